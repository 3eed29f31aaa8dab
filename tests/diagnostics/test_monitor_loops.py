"""The monitor in the loops that people write: what it records is what really happened there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from diagnostics import Monitor, Signals

CLASSES = 3


def mlp() -> nn.Sequential:
    """Two layers."""
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))


def batch(size: int = 16) -> tuple[Tensor, Tensor]:
    """Random samples."""
    return torch.randn(size, 6), torch.randint(CLASSES, (size,))


def watch(model: nn.Module, optimizer: Optimizer | list[Optimizer], **more: Any) -> Monitor:
    """A monitor that looks at every step."""
    return Monitor(model, optimizer, num_classes=CLASSES, cadence=always(), **more)


def plain_step(model: nn.Module, optimizer: Optimizer, x: Any, y: Tensor) -> Tensor:
    """Zero, forward, backward, step."""
    optimizer.zero_grad()
    answer = model(x)
    loss = F.cross_entropy(answer, y)
    loss.backward()
    optimizer.step()
    return loss


def signals_of(monitor: Monitor) -> Signals:
    """What was recorded, without any accident on the way."""
    signals = monitor.signals
    assert "probe_error" not in signals.facts, signals.facts["probe_error"]
    return signals


def last(signals: Signals, name: str, column: str | None = None) -> float:
    """The newest figure of a signal."""
    series = signals[name]
    return float(series.values[-1] if column is None else series.values[-1, series.layers.index(column)])


def copies(model: nn.Module) -> dict[str, Tensor]:
    """The weights as they are now."""
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def norm_of(tensors: list[Tensor]) -> float:
    """The norm of all numbers of some tensors."""
    return float(torch.cat([t.detach().double().flatten() for t in tensors]).norm())


def test_accumulated_gradients_are_those_the_optimizer_saw() -> None:
    model = mlp()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    monitor = watch(model, optimizer)
    for _ in range(3):
        optimizer.zero_grad()
        for _ in range(4):
            x, y = batch()
            loss = F.cross_entropy(model(x), y) / 4
            loss.backward()
        before, gradient = copies(model), norm_of([p.grad for p in model.parameters() if p.grad is not None])
        optimizer.step()
        optimizer.zero_grad()  # as many loops do, before anybody could look
        monitor.step(loss * 4, batch=(x, y))
    signals = signals_of(monitor)
    moved = [p - before[name] for name, p in model.named_parameters()]
    assert last(signals, "total_grad_norm") == pytest.approx(gradient, rel=1e-4)
    assert last(signals, "total_update_norm") == pytest.approx(norm_of(moved), rel=1e-4)
    assert last(signals, "total_weight_norm") == pytest.approx(norm_of(list(before.values())), rel=1e-4)
    assert signals["output_grad"].layers == ("0", "2")


def test_pairs_are_of_the_gradients_and_the_update_between_them() -> None:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    monitor, gradients, weights = watch(model, optimizer), [], [copies(model)]
    x, y = batch()
    for _ in range(2):
        loss = plain_step(model, optimizer, x, y)
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
        weights.append(copies(model))
        monitor.step(loss)
    signals = signals_of(monitor)
    one, other = (torch.cat([g.flatten() for g in step]) for step in gradients)
    step = torch.cat([(weights[1][name] - weights[0][name]).flatten() for name in weights[0]])
    assert last(signals, "grad_dot") == pytest.approx(float(one @ other), rel=1e-3)
    assert last(signals, "grad_square") == pytest.approx(float(one @ one + other @ other) / 2, rel=1e-3)
    assert last(signals, "overshoot") == pytest.approx(float(1 - (other @ step) / (one @ step)), rel=1e-2)
    assert signals["grad_dot"].steps.tolist() == [1]


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.LBFGS, torch.optim.Adam])
def test_a_closure_computes_its_gradients_inside_the_step(make: Callable[..., Optimizer]) -> None:
    model = mlp()
    optimizer = make(model.parameters(), lr=0.1)
    monitor = watch(model, optimizer)
    for _ in range(3):
        x, y = batch()

        def closure(x: Tensor = x, y: Tensor = y) -> Tensor:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(x), y)
            loss.backward()
            return loss

        loss = optimizer.step(closure)
        monitor.step(loss, batch=(x, y))
        now = norm_of([p.grad for p in model.parameters() if p.grad is not None])
        signals = signals_of(monitor)
        assert last(signals, "total_grad_norm") == pytest.approx(now, rel=1e-4)
        assert last(signals, "grad_norm", "0.weight") > 0
        assert last(signals, "total_update_norm") > 0


@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_scaler_may_skip_steps(fused: bool) -> None:
    model = mlp()
    optimizer = torch.optim.Adam(model.parameters(), 0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**14, growth_interval=4)
    monitor = watch(model, optimizer)
    expected = []
    for step in range(8):
        x, y = batch()
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            loss = F.cross_entropy(model(x), y)
        scale = scaler.get_scale()
        scaler.scale(loss).backward()
        if step == 5:
            model[0].weight.grad[0, 0] = torch.inf
        expected.append(norm_of([p.grad for p in model.parameters() if p.grad is not None]) / scale)
        scaler.step(optimizer)
        scaler.update()
        monitor.step(loss, batch=(x, y))
    signals = signals_of(monitor)
    assert len(signals["loss"]) == 8 and np.all(np.isfinite(signals["total_weight_norm"].values))
    assert len(signals["output_spread"]) == 8
    series = signals["total_grad_norm"]
    for t, value in zip(series.steps, series.values, strict=True):
        assert value == pytest.approx(expected[t], rel=1e-3)
    assert (5 in series.steps) == fused  # the scaler skips the step, or the optimizer itself does
    assert [f.kind for f in monitor.report().findings if f.severity == 2] == []


def test_pure_half_precision_is_measured_in_full() -> None:
    model = mlp().to(torch.bfloat16)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    monitor = watch(model, optimizer)
    for _ in range(3):
        before = copies(model)
        x, y = batch()
        monitor.step(plain_step(model, optimizer, x.bfloat16(), y), batch=(x, y))
    moved = [p.detach() - before[name] for name, p in model.named_parameters()]
    signals = signals_of(monitor)
    assert last(signals, "total_weight_norm") == pytest.approx(norm_of(list(before.values())), rel=1e-4)
    assert last(signals, "total_update_norm") == pytest.approx(norm_of(moved), rel=1e-4)


def test_groups_with_rates_of_their_own_and_several_optimizers() -> None:
    model = mlp()
    first = torch.optim.SGD(
        [{"params": [model[0].weight], "lr": 0.5}, {"params": [model[0].bias], "lr": 0.001}], lr=0.1
    )
    second = torch.optim.Adam(model[2].parameters(), 0.01)
    monitor = watch(model, [first, second])
    for _ in range(3):
        before = copies(model)
        x, y = batch()
        first.zero_grad(), second.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        first.step(), second.step()
        monitor.step(loss, batch=(x, y))
    signals = signals_of(monitor)
    for name, p in model.named_parameters():
        signal = "update_norm" if p.ndim > 1 else "vector_update_norm"
        assert last(signals, signal, name) == pytest.approx(norm_of([p - before[name]]), rel=1e-3)
    assert last(signals, "learning_rate") == 0.5
    assert last(signals, "grad_square") > 0


def test_two_players_that_step_by_turns() -> None:
    model = nn.ModuleDict({"maker": nn.Linear(4, 6), "judge": nn.Linear(6, 1)})
    maker, judge = (torch.optim.Adam(model[name].parameters(), 0.01) for name in ("maker", "judge"))
    monitor = Monitor(model, [maker, judge], task="regression", cadence=always())
    for step in range(6):
        for _ in range(2):
            judge.zero_grad()
            real, made = torch.randn(8, 6), model["maker"](torch.randn(8, 4)).detach()
            loss = F.softplus(-model["judge"](real)).mean() + F.softplus(model["judge"](made)).mean()
            loss.backward()
            judge.step()
        if step % 2 == 0:
            maker.zero_grad()
            F.softplus(-model["judge"](model["maker"](torch.randn(8, 4)))).mean().backward()
            maker.step()
        monitor.step(loss)
    series = signals_of(monitor)["update_norm"]
    moved = dict(zip(series.layers, series.values.T, strict=True))
    assert np.all(moved["judge.weight"] > 0)
    assert (moved["maker.weight"] > 0).tolist() == [True, False] * 3
    assert len(signals_of(monitor)["output_spread"]) == 6


def test_a_parameter_of_two_optimizers_has_the_update_of_both() -> None:
    model = mlp()
    both = [torch.optim.SGD(model.parameters(), 0.1) for _ in range(2)]
    monitor = watch(model, both)
    x, y = batch()
    before = copies(model)
    loss = F.cross_entropy(model(x), y)
    loss.backward()
    for optimizer in both:
        optimizer.step()
    monitor.step(loss)
    moved = norm_of([p - before[name] for name, p in model.named_parameters()])
    assert last(signals_of(monitor), "total_update_norm") == pytest.approx(moved, rel=1e-4)


def test_a_group_that_is_added_on_the_way_and_a_state_that_is_loaded() -> None:
    model = mlp()
    for p in model[0].parameters():
        p.requires_grad_(False)
    optimizer = torch.optim.SGD(model[2].parameters(), 0.1)
    monitor = watch(model, optimizer)
    for step in range(4):
        if step == 2:
            for p in model[0].parameters():
                p.requires_grad_(True)
            optimizer.add_param_group({"params": list(model[0].parameters()), "lr": 0.2})
            optimizer.load_state_dict(optimizer.state_dict())
            optimizer.param_groups[0]["lr"] = 0.05
        x, y = batch()
        monitor.step(plain_step(model, optimizer, x, y), batch=(x, y))
    signals = signals_of(monitor)
    assert signals["learning_rate"].values.tolist() == [0.1, 0.1, 0.05, 0.05]
    assert len(signals["update_norm"]) == 4


def test_a_rate_that_lives_in_a_tensor() -> None:
    model = mlp()
    rate = torch.tensor(0.1)
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, foreach=False)
    monitor = watch(model, optimizer)
    for _ in range(3):
        x, y = batch()
        monitor.step(plain_step(model, optimizer, x, y))
        rate.mul_(0.5)
    assert signals_of(monitor)["learning_rate"].values == pytest.approx([0.1, 0.05, 0.025])
