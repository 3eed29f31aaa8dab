"""Own trainers that train nothing, for studies that end in no time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from diagnostics import Signals
from trainers.progress import Progress

EPOCHS = 3


def quick(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A loss that depends on `x` alone, evaluated once an epoch."""
    for epoch in range(1, EPOCHS + 1):
        loss = (settings["x"] - 0.3) ** 2 + 1 / epoch
        rows = Signals.of({"loss": ([epoch - 1], [loss])})
        yield Progress(epoch, epoch, EPOCHS, {"val_loss": loss, "train_loss": loss / 2}, rows)


def non_finite(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Well for an epoch, then NaN."""
    for progress in quick(settings):
        if progress.epoch == 2:
            yield Progress(2, 2, EPOCHS, signals=Signals.of({"loss": ([1], [math.nan])}))
            raise AssertionError("a doomed training was asked for more")
        yield progress


def raises(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Evaluated once, then breaks."""
    yield next(quick(settings))
    raise RuntimeError("the glue came off")


def says_nothing(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Ends without a word."""
    yield from ()


def another_metric(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Reports something the study does not ask for."""
    yield Progress(1, 1, 1, {"val_charm": 0.5})


def words(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yields the wrong thing."""
    yield "good so far"


def number(settings: Mapping[str, Any]) -> float:
    """Is no generator."""
    return 0.5


def large(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Leaves signals of about a megabyte that cannot be compressed."""
    steps = range(100_000)
    rows = Signals.of({"loss": (steps, [1 + math.sin(step**2) / 2 for step in steps])})
    yield Progress(100_000, 1, 1, {"val_loss": settings["x"]}, rows)


not_callable = "a text"
