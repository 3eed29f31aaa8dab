"""The trainer's step with `compile = true` over the same step uncompiled, and when compiling has paid.

Both are trainings by the trainer itself, with the same settings and seed, in blocks of steps by turns; their
losses have to agree, which is checked. Evaluations, rows with hooks and what compiling takes are left out of
the steps' times. How long compiling takes is measured in processes of their own: one that finds an empty
cache, and one that finds what the first has left.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.rows import Result, Row, row, to_text
from diagnostics import Signals
from trainers.config import TrialConfig
from trainers.data import Split, Splits, forget_data
from trainers.loop import Training
from trainers.shapes import Shapes

BATCH_SIZES = (16, 64, 256)
STEPS = 100
"""Steps in an epoch, and in a block there are `BLOCK`."""

BLOCK, WARM = 20, 2
"""Steps in a block, and the epochs before anything counts: they have most of the rows with hooks."""

CLASSES, FEW = 10, 20
"""`FEW` steps are enough for the first of them to be compiled: rows with hooks are not."""


@dataclass(frozen=True)
class Case:
    """A model by its settings, the side of its images in pixels, and how many epochs to look at."""

    settings: dict[str, Any]
    side: int
    epochs: int


CASES = {
    "small MLP": Case({"model": "mlp", "width": 64, "depth": 2}, 8, 14),
    "MLP": Case({"model": "mlp", "width": 256, "depth": 2}, 28, 8),
    "CNN": Case({"model": "cnn", "channels": 8, "depth": 2, "norm": "batch"}, 28, 4),
}


def measure(device: str = "cpu", batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Result:
    """Every model at every batch size; compiling itself at the second of them."""
    rows: list[Row] = []
    for name in CASES:
        steps = {size: _step(name, size, device) for size in batch_sizes}
        rows += steps.values()
        size = sorted(batch_sizes)[len(batch_sizes) // 2]
        rows.append(_paid(name, size, device, steps[size]))
    about = (
        f"A step of the trainer with `compile = true` over one without, Adam at float32 on `{device}` with "
        "one thread, warm, in blocks of steps by turns; both give the same losses. The small MLP is "
        "64-64-64-10, the MLP 784-256-256-10, the CNN two convolutions of 8 and 16 channels with batch norm "
        "on 28 x 28 pixels. The rows on compiling are of a fresh process, which finds an empty cache or a "
        "warm one, and say after how many steps it has paid. Another model of the same shape in the same "
        "process takes nothing."
    )
    return Result("Compiled: both passes in one compiled piece over the plain step", about, rows)


def load(settings: dict[str, Any]) -> Splits:
    """Random samples: the trainer reads them as data of own code."""
    generator = torch.Generator().manual_seed(settings["data_seed"])
    inputs = (1, settings["side"], settings["side"])

    def some(count: int) -> Split:
        x = torch.randn(count, *inputs, generator=generator)
        return Split(x, torch.randint(CLASSES, (count,), generator=generator))

    shapes = Shapes("image", inputs, CLASSES, "classification")
    return Splits(some(STEPS * settings["batch_size"]), some(64), None, shapes)


def training(name: str, size: int, device: str, compiled: bool) -> Training:
    """A training of a case."""
    case = CASES[name]
    return Training(
        TrialConfig(
            **case.settings,
            data="benchmarks.compiled:load",
            own={"side": case.side},
            batch_size=size,
            epochs=case.epochs,
            device=device,
            precision="float32",
            channels_last=False,
            compile=compiled,
        )
    )


def compiling(name: str, size: int, device: str) -> float:
    """Seconds that compiling takes in this process: of the first steps, less as many later ones."""
    one = training(name, size, device, True)
    batches = one.batches()

    def seconds(steps: int) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            one.step(next(batches))
        _wait()
        return time.perf_counter() - began

    with one.monitor:
        return seconds(FEW) - seconds(FEW)


def _step(name: str, size: int, device: str) -> Row:
    both = [training(name, size, device, compiled) for compiled in (True, False)]
    streams = [_blocks(one) for one in both]
    times: list[list[float]] = [[], []]
    for turn in range(CASES[name].epochs * STEPS // BLOCK):
        first = turn % 2
        found = {i: next(streams[i]) for i in (first, 1 - first)}
        if turn >= WARM * STEPS // BLOCK:
            for i in (0, 1):
                times[i].append(found[i])
    if not both[0].passes.is_compiled:
        raise RuntimeError(f"{name} was not compiled: {both[0].passes.why_not}")
    _check_agreement(*(one.monitor.signals for one in both))
    forget_data()
    return row(f"{name}, batches of {size}", *times)


def _blocks(one: Training) -> Iterator[float]:
    """The median seconds of a step in every block: those with rows are few."""
    batches = one.batches()
    while True:
        seconds = []
        for _ in range(BLOCK):
            batch = next(batches)
            began = time.perf_counter()
            one.step(batch)
            _wait()
            seconds.append(time.perf_counter() - began)
        yield median(seconds)


def _paid(name: str, size: int, device: str, step: Row) -> Row:
    """What compiling takes with a warm cache over an empty one, and the steps that save as much."""
    code = f"from benchmarks.compiled import compiling; print(compiling({name!r}, {size}, {device!r}))"
    seconds: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        for _ in ("empty", "warm"):
            environment = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": folder}
            command = [sys.executable, "-c", code]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds.append(float(done.stdout.split()[-1]))
    empty, warm = (_after(taken, step.bare - step.ours) for taken in seconds)
    title = f"{name}, batches of {size}: compiling, warm ({warm}) over empty ({empty})"
    return row(title, seconds[1:], seconds[:1])


def _after(seconds: float, saved: float) -> str:
    return f"paid after {float(f'{seconds / saved:.2g}'):,.0f} steps" if saved > 0 else "never paid"


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def _check_agreement(ours: Signals, theirs: Signals) -> None:
    """Both sides do the same work, or the comparison is worth nothing; later on rounding has its way."""
    early = theirs["loss"].steps < STEPS
    mine, other = ours["loss"].values[early], theirs["loss"].values[early]
    if not np.allclose(mine, other, rtol=0.02):
        raise RuntimeError(f"the losses disagree: {mine} and {other}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--size", type=int, action="append", help="a batch size; may be repeated")
    given = parser.parse_args()
    print(to_text(measure(given.device, tuple(given.size or BATCH_SIZES))))
