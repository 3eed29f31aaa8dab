"""A plain loop with the monitor beside it, over the same loop alone; and with torchmortem where it is there.

Notation
    block   BLOCK steps of one loop; the loops take their blocks by turns: bare, watched, watched, bare, ...
    ratio   seconds of two watched blocks on end over those of the bare ones before and after them: the second
            of two blocks on end finds its numbers in the caches, and each loop has to have it once

Both loops start from the same weights, seed and order and have to end with the same weights: that is checked.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median, quantiles

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks import mortem
from benchmarks.rows import Result, Row, Share, row, to_text
from diagnostics import Monitor

USUAL, ANYWHERE = 1.02, 1.05
"""Targets: of the median, for each case and over all cases, and of a whole training with all its rows."""

BATCH_SIZES = (16, 64, 256)
BLOCK = 20
WARM_UP = 3
"""Blocks that are left out at the beginning: both loops are still finding their place in memory."""

MORTEM_BLOCKS = 15
POOL, CLASSES, RATE, SEED = 2048, 10, 1e-3, 0


@dataclass(frozen=True)
class Case:
    """A model, what it reads, and how many blocks a training has by batch size; with or without a target."""

    build: Callable[[], nn.Module]
    inputs: tuple[int, ...]
    blocks: dict[int, int]
    has_target: bool = True


def mlp(*widths: int) -> nn.Module:
    """Linear layers with a ReLU between them."""
    layers: list[nn.Module] = []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def cnn() -> nn.Module:
    """Two convolutions with batch norm and a head."""
    return nn.Sequential(
        *(nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(8, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(16 * 7 * 7, CLASSES)),
    )


CASES = {
    "MLP": Case(lambda: mlp(784, 256, 256, CLASSES), (784,), {16: 150, 64: 150, 256: 100}),
    "CNN": Case(cnn, (1, 28, 28), {16: 100, 64: 75, 256: 50}),
    "tiny MLP": Case(lambda: mlp(64, 64, 64, CLASSES), (64,), {16: 150, 64: 150, 256: 150}, has_target=False),
}


@dataclass
class Loop:
    """One training: yields after every block, and keeps what it has seen."""

    case: Case
    size: int
    device: str
    seconds: list[float] = field(default_factory=list)
    rows: int = 0

    def __post_init__(self) -> None:
        torch.manual_seed(SEED)
        self.model = self.case.build().to(self.device)
        self.optimizer = torch.optim.Adam(self.model.parameters(), RATE)
        self.x = torch.randn(POOL, *self.case.inputs).to(self.device)
        self.y = torch.randint(CLASSES, (POOL,)).to(self.device)
        self.order = torch.Generator().manual_seed(SEED)

    def watch(self, loss: Tensor, x: Tensor, y: Tensor) -> None:
        """What is done beside the training after every step."""

    def close(self) -> None:
        """The training is over."""

    def step(self) -> None:
        """One step of a plain loop."""
        chosen = torch.randint(POOL, (self.size,), generator=self.order).to(self.device)
        x, y = self.x[chosen], self.y[chosen]
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.optimizer.step()
        self.watch(loss, x, y)

    def block(self) -> None:
        """Some steps on end, timed."""
        began = time.perf_counter()
        for _ in range(BLOCK):
            self.step()
        if self.device == "cuda":
            torch.cuda.synchronize()
        self.seconds.append((time.perf_counter() - began) / BLOCK)


class Watched(Loop):
    """With the monitor, as its manual says."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.monitor = Monitor(self.model, self.optimizer, num_classes=CLASSES)

    def watch(self, loss: Tensor, x: Tensor, y: Tensor) -> None:
        """The step is told to the monitor."""
        self.monitor.step(loss, batch=(x, y))

    def close(self) -> None:
        """Hooks off; the rows are counted."""
        self.monitor.close()
        self.rows = len(self.monitor.signals["weight_norm"])


class Timed(Watched):
    """With the monitor; says where its time goes."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.plain: list[float] = []
        self.calls: list[float] = []
        self.measured: list[float] = []

    def step(self) -> None:
        """The same step, timed as a whole."""
        self.has_row = self.monitor._probe.armed or self.monitor._probe.paired
        began = time.perf_counter()
        super().step()
        (self.measured if self.has_row else self.plain).append(time.perf_counter() - began)

    def watch(self, loss: Tensor, x: Tensor, y: Tensor) -> None:
        """The step is told to the monitor."""
        began = time.perf_counter()
        super().watch(loss, x, y)
        if not self.has_row:
            self.calls.append(time.perf_counter() - began)


class Dissected(Loop):
    """With torchmortem."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.recorder = mortem.Mortem(self.model, self.optimizer)

    def watch(self, loss: Tensor, x: Tensor, y: Tensor) -> None:
        """The step is told to its recorder."""
        self.recorder.step(loss, x, y, None)


def measure(device: str = "cpu", batch_sizes: tuple[int, ...] = BATCH_SIZES) -> Result:
    """Every model at every batch size, in blocks by turns."""
    pairs = [(name, case, size) for name, case in CASES.items() for size in batch_sizes]
    rows = [one for pair in pairs for one in _measure(*pair, device)]
    rows += _over_all(rows)
    if mortem.is_installed():
        rows += [_beside(*pair, device) for pair in pairs if pair[1].has_target]
    about = (
        f"Adam at float32 on `{device}` with one thread; a step of a plain loop with the default monitor "
        f"beside it over one without, in blocks of {BLOCK} steps by turns, of which two count together: "
        "so each loop comes first once. The MLP is 784-256-256-10 (the tiny one 64-64-64-10), the CNN two "
        "convolutions of 8 and 16 channels with batch norm on 28 x 28 "
        "pixels. “All of it” is the time of a whole training with all its rows, the dense ones at the start "
        "among them. Both loops end with the same weights."
    )
    if not mortem.is_installed():
        about += f" Left out: {mortem.MISSING}."
    return Result("Probe: a loop with the monitor over the same loop alone", about, rows, _shares(device))


def _measure(name: str, case: Case, size: int, device: str) -> Iterator[Row]:
    """The median block, and the whole training."""
    blocks = case.blocks[size]
    watched, bare = Watched(case, size, device), Loop(case, size, device)
    _by_turns(watched, bare, blocks)
    usual, anywhere = (USUAL, ANYWHERE) if case.has_target else (None, None)
    yield row(f"{name}, batches of {size}", *map(_in_both_orders, (watched, bare)), usual)
    total, alone = sum(watched.seconds) / blocks, sum(bare.seconds) / blocks
    title = f"{name}, batches of {size}, all of it: {watched.rows} rows in {blocks * BLOCK} steps"
    yield row(title, [total], [alone], anywhere)


def _in_both_orders(loop: Loop) -> list[float]:
    """Seconds of a step in two blocks on end, in one of which the other loop had gone before."""
    return [(one + other) / 2 for one, other in zip(*[iter(loop.seconds[WARM_UP:])] * 2, strict=False)]


def _over_all(rows: Sequence[Row]) -> list[Row]:
    """The median over the cases that have a target."""
    cases = [one for one in rows if one.limit == USUAL]
    if len(cases) < 2:
        return []
    ratios = [one.ratio for one in cases]
    low, middle, high = quantiles(ratios, n=4, method="inclusive")
    times = (median(one.ours for one in cases), median(one.bare for one in cases))
    return [Row(f"the median of these {len(cases)}", middle, (low, high), *times, len(cases), USUAL)]


def _beside(name: str, case: Case, size: int, device: str) -> Row:
    """The same loop under torchmortem 0.1.1."""
    other, bare = Dissected(case, size, device), Loop(case, size, device)
    _by_turns(other, bare, MORTEM_BLOCKS)
    return row(f"torchmortem: {name}, batches of {size}", other.seconds[WARM_UP:], bare.seconds[WARM_UP:])


def _by_turns(watched: Loop, bare: Loop, blocks: int) -> None:
    for turn in range(blocks):
        for loop in (watched, bare) if turn % 2 else (bare, watched):
            loop.block()
    watched.close()
    for one, other in zip(watched.model.parameters(), bare.model.parameters(), strict=True):
        if not torch.equal(one, other):
            raise RuntimeError(
                "the watched training is another one: its weights differ from those of the bare"
            )


def _shares(device: str) -> tuple[Share, ...]:
    """Where the monitor's time goes in a step of the first model at its smallest batch, on the mean."""
    case = next(iter(CASES.values()))
    loop = Timed(case, min(case.blocks), device)
    for _ in range(100):
        loop.block()
    loop.close()
    steps = len(loop.plain) + len(loop.measured)
    usual = median(loop.plain)
    more = sum(taken - usual for taken in loop.measured)
    return (
        Share("monitor.step, no row due", sum(loop.calls) / steps, len(loop.calls) / steps),
        Share("what steps with a row, or half a pair, take more", more / steps, len(loop.measured) / steps),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--size", type=int, action="append", help="a batch size; may be repeated")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(to_text(measure(given.device, tuple(given.size or BATCH_SIZES))))
