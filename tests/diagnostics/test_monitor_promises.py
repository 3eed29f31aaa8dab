"""Live equals replay at every step; nothing waits for a device between rows; memory stays flat."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor, Report, Signals, diagnose
from diagnostics.measuring.cadence import Fixed
from diagnostics.measuring.everystep import BUFFER, EveryStep, held

CLASSES = 4


def mlp(act: type[nn.Module] = nn.ReLU, depth: int = 2) -> nn.Sequential:
    """A plain network."""
    layers: list[nn.Module] = [nn.Linear(6, 16), act()]
    for _ in range(depth - 1):
        layers += [nn.Linear(16, 16), act()]
    return nn.Sequential(*layers, nn.Linear(16, CLASSES))


@dataclasses.dataclass
class Run:
    """One small training, sick or healthy."""

    model: Callable[[], nn.Module] = mlp
    rate: float = 0.1
    steps: int = 40
    data: Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]] = lambda x, y, step: (x, y)
    loss: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy
    task: str = "classification"
    forgets_zero: bool = False


def with_nan(x: Tensor, y: Tensor, step: int) -> tuple[Tensor, Tensor]:
    """A NaN in one batch."""
    if step == 17:
        x = x.clone()
        x[0, 3] = torch.nan
    return x, y


def sqrt_of_zero(answer: Tensor, y: Tensor) -> Tensor:
    """Finite, but not its gradient once an answer is 0."""
    return F.cross_entropy(answer, y) + torch.sqrt((answer - answer).abs()).sum()


def sluggish() -> nn.Module:
    """One more part is called from the tenth pass on."""

    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.late, self.passes = mlp(), nn.Linear(CLASSES, CLASSES), 0

        def forward(self, x: Tensor) -> Tensor:
            self.passes += 1
            x = self.body(x)
            return x + torch.softmax(self.late(x), -1) if self.passes > 10 else x

    return Growing()


def zeroed() -> nn.Module:
    """All weights alike."""
    model = mlp()
    for p in model.parameters():
        nn.init.constant_(p, 0.1)
    return model


RUNS = {
    "healthy": Run(),
    "healthy regression": Run(rate=0.01, loss=lambda a, y: F.mse_loss(a[:, 0], y.float()), task="regression"),
    "too fast": Run(rate=1e4),
    "bad input": Run(data=with_nan),
    "bad gradient": Run(loss=sqrt_of_zero),
    "deep sigmoid": Run(model=lambda: mlp(nn.Sigmoid, 6)),
    "constant init": Run(model=zeroed),
    "constant labels": Run(data=lambda x, y, step: (x, y * 0)),
    "no zero_grad": Run(rate=1.0, forgets_zero=True),
    "grows on the way": Run(model=sluggish),
    "unscaled": Run(data=lambda x, y, step: (x * 1e4 + 1e5, y)),
}


def told(run: Run, path: Path) -> tuple[list[Report], Signals]:
    """What was said live at every step, and what was saved at the end."""
    model = run.model()
    optimizer = torch.optim.SGD(model.parameters(), run.rate)
    monitor = Monitor(model, optimizer, task=run.task, num_classes=CLASSES, cadence=Fixed())
    x_all = torch.randn(128, 6)
    y_all = x_all[:, :CLASSES].argmax(dim=1)
    said = []
    for step in range(run.steps):
        chosen = torch.randint(128, (16,))
        x, y = run.data(x_all[chosen], y_all[chosen], step)
        if not run.forgets_zero:
            optimizer.zero_grad()
        loss = run.loss(model(x), y)
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, y))
        if step % 8 == 7:
            with torch.no_grad():
                found = run.loss(model.eval()(x_all), y_all)
            model.train()
            monitor.evaluate(val_loss=found, train_loss=found)
        said.append(monitor.report())
    monitor.signals.save(path)
    return said, Signals.load(path)


def same(live: Report, again: Report) -> list[str]:
    """The fields in which two reports differ."""
    return [
        f.name
        for f in dataclasses.fields(Report)
        if repr(getattr(live, f.name)) != repr(getattr(again, f.name))
    ]


@pytest.mark.parametrize("name", RUNS)
def test_what_was_said_live_is_what_a_replay_says(name: str, tmp_path: Path) -> None:
    said, signals = told(RUNS[name], tmp_path / "signals.npz")
    assert "probe_error" not in signals.facts
    for step, live in enumerate(said):
        again = diagnose(signals.until(step))
        assert same(live, again) == [], f"step {step}: {live} and {again}"
        assert live.errors == {}


def test_a_lost_training_is_called_with_its_origin(tmp_path: Path) -> None:
    said, _ = told(RUNS["bad input"], tmp_path / "signals.npz")
    assert [report.verdict == "non-finite" for report in said] == [step >= 17 for step in range(len(said))]
    fatal = said[-1].fatal
    assert fatal is not None and fatal.step == 17 and "feature 3" in fatal.cause + fatal.remedy


def device_loop(device: str, steps: int) -> Monitor:
    """A loop whose tensors live elsewhere, with and without rows."""
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, CLASSES)).to(device)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=Fixed())
    for _ in range(steps):
        x = torch.empty(16, 6, device=device).normal_()
        y = torch.zeros(16, dtype=torch.long, device=device)
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        monitor.step(loss, batch=(x, y), grad_norm=norm)
    return monitor


@pytest.mark.filterwarnings("error")  # the monitor warns of what went wrong
def test_no_row_and_no_step_waits_for_a_device() -> None:
    """Tensors on `meta` have no numbers: whatever fetched one would fail, as the report does in the end."""
    monitor = device_loop("meta", 40)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        monitor.report()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device on this machine")
def test_no_step_waits_for_a_cuda_device() -> None:
    torch.cuda.set_sync_debug_mode("error")
    try:
        monitor = device_loop("cuda", BUFFER - 1)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    signals = monitor.signals
    assert "probe_error" not in signals.facts
    assert np.all(np.isfinite(signals["loss"].values)) and len(signals["weight_norm"]) > 10


def test_figures_of_a_device_are_as_they_were_when_they_were_given() -> None:
    every, loss = EveryStep(), torch.zeros((), dtype=torch.bfloat16)
    for step in range(5):
        loss.fill_(step)  # as a graph of a device writes into the same place each time
        every.add((step, held(loss), 0.5, None))
        assert len(every) == step + 1
    assert every.take() == {
        "loss": ([0, 1, 2, 3, 4], [0.0, 1.0, 2.0, 3.0, 4.0]),
        "learning_rate": ([0, 1, 2, 3, 4], [0.5] * 5),
    }
    assert every.take() == {} and len(every) == 0
    every.add((5, 1.0, None, None))
    assert len(every) == 1


@pytest.mark.timeout(600)  # ten seconds, when nobody else is at work
def test_memory_is_flat_over_a_hundred_thousand_steps() -> None:
    model = nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.01)
    monitor = Monitor(model, optimizer, task="regression", preset="thorough")
    x = torch.randn(2, 1)
    process, seen = psutil.Process(), {}
    for step in range(100_001):
        optimizer.zero_grad()
        loss = model(x).square().sum()
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, x))
        if step % 1000 == 0:
            monitor.report() if step % 20_000 == 0 else monitor.take()
        if step in (20_000, 100_000):
            gc.collect()
            numbers = sum(series.values.size for series in monitor.signals.values())
            seen[step] = (process.memory_info().rss / 2**20, len(gc.get_objects()), numbers)
    (early, objects, numbers), (late, more_objects, more_numbers) = seen.values()
    assert late - early < 16, f"{late - early:.1f} MiB more"
    assert more_objects - objects < 5000
    assert more_numbers < 2.5 * numbers, "so that the rules take no longer either"
