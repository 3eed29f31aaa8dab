"""The trainer's step over a hand-written PyTorch loop that does the same work.

Both gather their batches from memory by index, keep the loss on the device, and start from the same
weights, seed and order, so their losses have to agree: that is checked. Evaluations are left out of the
times; what the trainer does for its messages between them is not.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.rows import Result, Row, row, to_text
from diagnostics import Series
from diagnostics.measuring.thinning import Thinned
from trainers.config import TrialConfig
from trainers.data import Split, Splits, forget_data
from trainers.loop import train
from trainers.progress import Progress
from trainers.shapes import Shapes

TARGET = 1.05
BATCH_SIZES = (16, 64, 256)
STEPS = 100
"""Steps in an epoch; there is one evaluation in an epoch and a message every `BLOCK` steps."""

BLOCK, BLOCKS = 20, 5
RATE, CLASSES = 1e-3, 10

NOTHING = Series(np.array([], int), np.array([]))
"""No rows: none became known."""


@dataclass(frozen=True)
class Case:
    """A model by its settings, what it reads, the same model as a person writes it, and how long to look."""

    settings: Mapping[str, Any]
    inputs: tuple[int, ...]
    epochs: Mapping[int, int]  # batch size -> epochs


CASES = {
    "MLP": Case({"model": "mlp", "width": 64, "depth": 2}, (1, 8, 8), {16: 21, 64: 21, 256: 13}),
    "CNN": Case({"model": "cnn", "channels": 8, "depth": 2}, (1, 16, 16), {16: 11, 64: 8, 256: 4}),
}


def measure(device: str = "cpu", batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Result:
    """Every model at every batch size, in blocks by turns."""
    rows = [_measure(name, case, size, device) for name, case in CASES.items() for size in batch_sizes]
    rows += [_measure(name, case, batch_sizes[0], device, fused=True) for name, case in CASES.items()]
    about = (
        f"Adam at float32 on `{device}` with one thread; 8 x 8 pixels for the MLP (two hidden layers of 64), "
        "16 x 16 for the CNN (two convolutions from 8 channels). Times are of one step, measured in blocks "
        f"of {BLOCK} steps by turns; evaluations are left out. Both sides give the same losses. "
        "The trainer uses torch's fused optimizers, which a loop written by hand has to ask for: two rows "
        "show it over a loop that does."
    )
    return Result("Step: the trainer over a hand-written loop", about, rows)


def load(settings: Mapping[str, Any]) -> Splits:
    """Random samples: the trainer reads them as data of own code."""
    inputs = CASES["CNN" if settings["model"] == "cnn" else "MLP"].inputs
    generator = torch.Generator().manual_seed(settings["data_seed"])

    def some(count: int) -> Split:
        x = torch.randn(count, *inputs, generator=generator)
        return Split(x, torch.randint(CLASSES, (count,), generator=generator))

    shapes = Shapes("image", inputs, CLASSES, "classification")
    return Splits(some(STEPS * settings["batch_size"]), some(128), None, shapes)


def hand_written(case: Case) -> nn.Module:
    """The models as a person writes them down."""
    if case.settings["model"] == "mlp":
        return nn.Sequential(
            nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, CLASSES)
        )
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * 4 * 4, CLASSES)),
    )


def hand_written_loop(
    model: nn.Module, data: Split, size: int, epochs: int, seed: int, fused: bool
) -> Iterator[Tensor]:
    """Train; yield the losses of every block of steps, still on the device."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE, fused=fused or None)
    order = torch.Generator().manual_seed(seed)
    losses: list[Tensor] = []
    for _ in range(epochs):
        indices = torch.randperm(len(data), generator=order).to(data.x.device)
        for begin in range(0, len(data), size):
            chosen = indices[begin : begin + size]
            optimizer.zero_grad()
            loss = F.cross_entropy(model(data.x[chosen]), data.y[chosen])
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
            if len(losses) == BLOCK:
                yield torch.stack(losses)
                losses = []


def _measure(name: str, case: Case, size: int, device: str, fused: bool = False) -> Row:
    epochs = case.epochs[size]
    config = TrialConfig(
        **case.settings,
        data="benchmarks.step:load",
        optimizer="adam",
        learning_rate=RATE,
        batch_size=size,
        epochs=epochs,
        evaluations_per_epoch=1,
        device=device,
        precision="float32",
        channels_last=False,
    )
    ours, bare = _by_turns(_messages(config), _twin(case, config, fused))
    forget_data()
    beside = ", over a loop that fuses too" if fused else ""
    return row(f"{name}, batches of {size}{beside}", ours, bare, None if fused else TARGET)


def _messages(config: TrialConfig) -> Iterator[Progress]:
    """The trainer's messages, the first of which, with the facts alone, is out of the way."""
    stream = train(config)
    next(stream)
    return stream


def _twin(case: Case, config: TrialConfig, fused: bool) -> Iterator[Tensor]:
    """The hand-written loop, begun with the trainer's weights."""
    from trainers.models import build_model

    splits = load(config.settings())
    torch.manual_seed(config.seed)
    trained, model = build_model(config, splits.shapes), hand_written(case)
    for mine, theirs in zip(model.parameters(), trained.parameters(), strict=True):
        mine.data.copy_(theirs.data)
    data = Split(splits.train.x.to(config.device), splits.train.y.to(config.device))
    model = model.to(config.device)
    return hand_written_loop(model, data, config.batch_size, config.epochs, config.seed, fused)


def _by_turns(messages: Iterator[Progress], twin: Iterator[Tensor]) -> tuple[list[float], list[float]]:
    """Seconds per step of both; blocks with an evaluation, and the first epoch, are left out."""
    ours: list[float] = []
    bare: list[float] = []
    expected = Thinned()
    for turn in range(10**9):
        if turn % 2:
            (progress, mine), (losses, theirs) = _timed(messages), _timed(twin)
        else:
            (losses, theirs), (progress, mine) = _timed(twin), _timed(messages)
        if progress is None or losses is None:
            break
        expected.add(range(progress.step - BLOCK, progress.step), losses.tolist())
        _check_agreement(progress, expected.take())
        if not progress.metrics and turn >= BLOCKS:
            ours.append(mine / BLOCK)
            bare.append(theirs / BLOCK)
    return ours, bare


def _timed(stream: Iterator[Any]) -> tuple[Any, float]:
    began = time.perf_counter()
    item = next(stream, None)
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return item, time.perf_counter() - began


def _check_agreement(progress: Progress, expected: Series) -> None:
    """Both sides do the same work, or the comparison is worth nothing.

    Late rows are medians of blocks of steps: what is `expected` are the twin's losses, thinned likewise.
    """
    seen = progress.signals.get("loss", NOTHING)
    if not np.array_equal(seen.steps, expected.steps) or not np.allclose(
        seen.values, expected.values, rtol=0.02, atol=1e-3
    ):
        raise RuntimeError(
            f"the losses disagree by step {progress.step}: {seen.values} and {expected.values}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or mps")
    parser.add_argument("--size", type=int, action="append", help="a batch size; may be repeated")
    given = parser.parse_args()
    print(to_text(measure(given.device, tuple(given.size or BATCH_SIZES))))
