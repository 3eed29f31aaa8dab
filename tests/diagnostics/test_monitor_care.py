"""The monitor comes off cleanly, keeps nothing alive, survives accidents, and says what was wrong."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor

CLASSES = 3


def made() -> tuple[nn.Sequential, torch.optim.Optimizer]:
    """A model and its optimizer."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES))
    return model, torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """One step on a random batch."""
    x, y = torch.randn(16, 6), torch.randint(CLASSES, (16,))
    optimizer.zero_grad()
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    optimizer.step()
    return loss, (x, y)


def hooks_on(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """All hooks there are."""
    kinds = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    kinds += ("_forward_hooks_always_called",)
    of_model = sum(len(getattr(module, kind)) for module in model.modules() for kind in kinds)
    return of_model + len(optimizer._optimizer_step_pre_hooks) + len(optimizer._optimizer_step_post_hooks)


def test_closing_takes_every_hook_off_and_keeps_the_rows() -> None:
    model, optimizer = made()
    assert hooks_on(model, optimizer) == 0
    with Monitor(model, optimizer, num_classes=CLASSES, cadence=always()) as monitor:
        loss, data = step(model, optimizer)
        monitor.step(loss, batch=data)
        assert hooks_on(model, optimizer) > 4
    assert hooks_on(model, optimizer) == 0
    loss, data = step(model, optimizer)
    monitor.step(loss, batch=data)  # late, and harmless
    monitor.close()
    assert hooks_on(model, optimizer) == 0
    assert len(monitor.signals["loss"]) == 2 and len(monitor.signals["weight_norm"]) == 1


def test_hooks_come_off_when_the_loop_fails() -> None:
    model, optimizer = made()
    with pytest.raises(RuntimeError, match="shapes"), Monitor(model, optimizer, cadence=always()):
        model(torch.randn(4, 5))
    assert hooks_on(model, optimizer) == 0


def test_between_due_steps_there_is_one_hook_at_the_door_and_none_on_the_parts() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES)  # after steps 0 to 4, and 6, 8 ... rows are rare
    for count in range(40):
        loss, data = step(model, optimizer)
        monitor.step(loss, batch=data)
        parts = sum(len(module._forward_hooks) for module in model)
        assert parts in (0, len(model)) and len(model._forward_hooks) == 1
        if count in monitor.signals["weight_norm"].steps - 1:
            assert parts == len(model)
    monitor.close()
    assert hooks_on(model, optimizer) == 0


def test_a_copy_of_the_model_is_not_watched() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always())
    model(torch.randn(4, 6))
    twin = copy.deepcopy(model)
    for _ in range(3):
        F.cross_entropy(twin(torch.randn(16, 6) * 1e6), torch.randint(CLASSES, (16,))).backward()
        loss, data = step(model, optimizer)
        monitor.step(loss, batch=data)
    assert monitor.signals["answer_max"].values.max() < 1e3
    assert monitor.signals["output_spread"].values.max() < 1e3
    copy.deepcopy(optimizer).step()


def test_a_model_saved_on_the_way_is_read_back_without_this_package(tmp_path: Path) -> None:
    model, optimizer = made()
    Monitor(model, optimizer, num_classes=CLASSES, cadence=always())
    step(model, optimizer)
    torch.save(model, tmp_path / "model.pt")
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    x = torch.randn(5, 6)
    torch.save((x, model.eval()(x)), tmp_path / "seen.pt")
    code = (
        "import torch, sys; sys.modules['diagnostics'] = None;"
        "model = torch.load('model.pt', weights_only=False).eval(); x, y = torch.load('seen.pt');"
        "assert torch.equal(model(x), y); model.train()(x).sum().backward(); print('same')"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "same", done.stderr


def test_an_exception_in_the_middle_of_a_step_does_not_matter() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always())
    for count in range(6):
        if count % 2:
            with pytest.raises(ValueError, match="batch_size"):
                F.cross_entropy(model(torch.randn(16, 6)), torch.randint(CLASSES, (3,)))
            with pytest.raises(RuntimeError, match="shapes"):
                model(torch.randn(16, 5))
        loss, data = step(model, optimizer)
        monitor.step(loss, batch=data)
    signals = monitor.signals
    assert "probe_error" not in signals.facts
    assert len(signals["output_spread"]) == len(signals["update_norm"]) == 6


def test_nothing_of_a_step_is_kept_alive() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always())
    gc.collect()
    gc.disable()  # not even in a cycle
    try:
        for _ in range(3):
            x, y = torch.randn(16, 6), torch.randint(CLASSES, (16,))
            hidden: list[Any] = []
            handle = model[0].register_forward_hook(lambda m, i, o, kept=hidden: kept.append(weakref.ref(o)))
            loss = F.cross_entropy(model(x), y)
            handle.remove()
            graph = torch.nn.Identity()  # dies with the node of the graph that holds it
            loss.grad_fn.metadata["kept"] = graph
            nodes = [weakref.ref(loss), weakref.ref(graph), weakref.ref(x), *hidden]
            loss.backward()
            optimizer.step()
            monitor.step(loss, batch=(x, y))
            del loss, x, y, graph
            assert [node() for node in nodes] == [None] * 4
    finally:
        gc.enable()


def test_a_monitor_that_is_forgotten_goes_away_with_its_model() -> None:
    model, optimizer = made()
    monitor = weakref.ref(Monitor(model, optimizer, num_classes=CLASSES))
    alive = weakref.ref(model)
    del model, optimizer
    gc.collect()
    assert monitor() is None and alive() is None


def test_two_monitors_see_the_same() -> None:
    model, optimizer = made()
    monitors = [Monitor(model, optimizer, num_classes=CLASSES, cadence=always()) for _ in range(2)]
    for _ in range(3):
        loss, data = step(model, optimizer)
        for monitor in monitors:
            monitor.step(loss, batch=data)
    one, other = (monitor.signals for monitor in monitors)
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name].values, other[name].values) for name in one)
    monitors[0].close()
    loss, data = step(model, optimizer)
    monitors[1].step(loss, batch=data)
    assert len(monitors[1].signals["output_spread"]) == 4
    monitors[1].close()
    assert hooks_on(model, optimizer) == 0


def test_what_the_probe_cannot_measure_does_not_end_the_training() -> None:
    class Odd(nn.Module):
        def forward(self, x: Tensor) -> Any:
            return x.to_sparse()

    model = nn.Sequential(nn.Linear(6, CLASSES), Odd())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always())

    def train() -> None:
        for _ in range(3):
            loss = model(torch.randn(4, 6)).to_dense().square().mean()
            loss.backward()
            optimizer.step()
            monitor.step(loss)

    with pytest.warns(UserWarning, match="a figure is missing, the training goes on") as seen:
        train()
    assert len(seen) == 1, "once is enough"
    assert len(monitor.signals["loss"]) == 3
    assert monitor.signals.facts["probe_error"]


BAD = {
    "task": (lambda m, o: Monitor(m, o, task="ranking"), ValueError, ("'ranking'", "classification")),
    "preset": (lambda m, o: Monitor(m, o, preset="often"), ValueError, ("'often'", "thorough")),
    "classes": (lambda m, o: Monitor(m, o, num_classes=0), ValueError, ("num_classes", "0")),
    "classes as text": (lambda m, o: Monitor(m, o, num_classes="10"), ValueError, ("num_classes", "'10'")),
    "optimizer": (lambda m, o: Monitor(m, "adam"), TypeError, ("optimizer", "str")),
    "optimizer none": (lambda m, o: Monitor(m, None), TypeError, ("optimizer", "NoneType")),
    "optimizers": (lambda m, o: Monitor(m, []), TypeError, ("optimizer", "none")),
    "parameters": (lambda m, o: Monitor(m, m.parameters()), TypeError, ("optimizer", "Parameter")),
    "model": (lambda m, o: Monitor(m.forward, o), TypeError, ("nn.Module", "method")),
    "fact": (lambda m, o: Monitor(m, o, facts={"clip_norm": [1]}), TypeError, ("clip_norm", "list")),
    "lazy": (lambda m, o: Monitor(nn.LazyLinear(3), o), ValueError, ("weight", "batch")),
    "losses": (lambda m, o: Monitor(m, o).step(torch.ones(4)), ValueError, ("[4]", "mean")),
    "no loss": (lambda m, o: Monitor(m, o).step(None), TypeError, ("loss", "NoneType", "backward")),
    "metric": (lambda m, o: Monitor(m, o).evaluate(accuracy=0.5), ValueError, ("accuracy", "val_accuracy")),
    "metric of many": (
        lambda m, o: Monitor(m, o).evaluate(val_loss=torch.ones(2)),
        ValueError,
        ("val_loss", "one number"),
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_named_with_what_to_do(kind: str) -> None:
    call, error, words = BAD[kind]
    with pytest.raises(error) as caught:
        call(*made())
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_facts_and_figures_of_numpy_can_be_saved(tmp_path: Path) -> None:
    model, optimizer = made()
    monitor = Monitor(
        model,
        optimizer,
        num_classes=np.int64(3),
        facts={"total_steps": np.int64(5), "clip_norm": np.float32(0.5)},
    )
    loss, data = step(model, optimizer)
    monitor.step(loss.item(), batch=data, grad_norm=np.float64(1.5))
    monitor.evaluate(val_loss=np.float32(0.5), train_loss=torch.tensor(0.25), train_losses=torch.rand(9))
    monitor.signals.save(tmp_path / "signals.npz")
    found = type(monitor.signals).load(tmp_path / "signals.npz")
    assert found.facts["total_steps"] == 5 and found.facts["clip_norm"] == 0.5
    assert found["val_loss"].values.tolist() == [0.5] and found["raw_grad_norm"].values.tolist() == [1.5]


def test_the_share_of_passes_in_evaluation_mode() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES)
    for modes in ((True, True), (False, True), (False, False)):
        loss, data = step(model.train(), optimizer)
        monitor.step(loss, batch=data)
        for is_eval in modes:
            with torch.inference_mode():
                model.train(not is_eval)(torch.randn(4, 6))
        monitor.evaluate(val_loss=1.0)
    assert monitor.signals["eval_mode_share"].values.tolist() == [1.0, 0.5, 0.0]


def test_what_is_taken_bit_by_bit_is_all_there_is() -> None:
    model, optimizer = made()
    monitor = Monitor(model, optimizer, num_classes=CLASSES)
    taken = type(monitor.signals)()
    for count in range(60):
        loss, data = step(model, optimizer)
        monitor.step(loss, batch=data)
        if count % 7 == 0:
            taken = taken.extend(monitor.take())
        if count % 5 == 0:
            monitor.report()
    taken = taken.extend(monitor.take())
    assert len(monitor.take()) == 0
    assert taken.keys() == monitor.signals.keys() and dict(taken.facts) == dict(monitor.signals.facts)
    assert all(np.array_equal(taken[name].values, monitor.signals[name].values) for name in taken)
