"""Own trainers that train nothing, for studies that end in no time."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from diagnostics import Series, Signals
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


def steps_back(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Counts its steps anew in every epoch."""
    for epoch in (1, 2):
        rows = Signals.of({"loss": ([0, 1], [2.0, 1.0])})
        yield Progress(2 * epoch, epoch, 2, {"val_loss": 1 / epoch}, rows)


def metric_in_words(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Evaluates to a text."""
    yield Progress(1, 1, 1, {"val_loss": "quite good"})  # type: ignore[dict-item]


def cannot_be_sent(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Says something that no other process can read."""

    class Local(float):
        pass

    yield Progress(1, 1, 1, {"val_loss": 1.0}, facts={"how": Local(1.0)})


def fact_in_arrays(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Tells a fact that no record can keep."""
    yield Progress(1, 1, 1, {"val_loss": 1.0}, facts={"classes": [3, 4]})  # type: ignore[dict-item]


def scores(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Reports a metric of its own name."""
    for epoch in range(1, EPOCHS + 1):
        yield Progress(epoch, epoch, EPOCHS, {"score": settings["x"] + epoch})


def other_layers(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Measures other layers in its second epoch, where x is 1."""
    for progress in quick(settings):
        layer = "b" if settings["x"] == 1 and progress.epoch == 2 else "a"
        rows = Series(np.array([progress.step - 1]), np.ones((1, 1)), (layer,))
        yield replace(progress, signals=Signals({"grad_norm": rows}))


def fact_in_words(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Tells in words what guessing costs in its second epoch, where x is 1."""
    for progress in quick(settings):
        in_words = settings["x"] == 1 and progress.epoch == 2
        yield replace(progress, facts={"trivial_loss": "about 2" if in_words else 2.0})


def crossing(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Losses that begin high or low and cross each other; with a large `x` NaN after a while."""
    x, late = settings["x"], settings["late"]
    for epoch in range(1, 10):
        lost = x > 0.9 and epoch > 4
        rows = Signals.of({"loss": ([epoch - 1], [math.nan])}) if lost else Signals()
        metrics = {} if lost else {"val_loss": 0.2 + (x - 0.3) ** 2 + (0.2 + late) / epoch ** (0.4 + late)}
        yield Progress(epoch, epoch, 9, metrics, rows)


def seeded(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A loss that depends on `x` and on the random states; it diverges for `x` below 0.1, where `fragile`,
    with every seed but 0."""
    luck = settings.get("noise", 0.1) * random.random()
    for epoch in range(1, EPOCHS + 1):
        loss = (settings["x"] - 0.3) ** 2 + luck + 1 / epoch
        lost = settings.get("fragile") and settings["x"] < 0.1 and settings["seed"] and epoch == 2
        rows = Signals.of({"loss": ([epoch - 1], [math.nan if lost else loss])})
        yield Progress(epoch, epoch, EPOCHS, {} if lost else {"val_loss": loss}, rows)
