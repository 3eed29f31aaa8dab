"""A trainer whose losses fall, rise for good, or rise and come back, by the setting `x`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from diagnostics import Signals
from trainers.progress import Progress

ROWS, EPOCHS = 20, 8
"""Steps in an epoch, and epochs."""

START = 2.0


def course_of(x: float) -> list[float]:
    """The loss of each epoch: above 0 it falls to `x`; below -1 it rises for good; between it comes back, to
    the best of all from -0.5 on, else to a poor value; below -3 it is good before it rises and comes back,
    and below -4 before it rises for good."""
    if x > 0:
        return [START - (START - x) * epoch / (EPOCHS - 1) for epoch in range(EPOCHS)]
    if x < -3:
        return [START, 1.0, 0.2, 0.2, *[300.0 * START] * 2, *([0.1] * 2 if x > -4 else [300.0 * START] * 2)]
    if x < -1:
        return [START, START, *[300.0 * START] * (EPOCHS - 2)]
    end = 0.01 if x >= -0.5 else 1.9
    return [START, START, *[300.0 * START] * 2, *[end] * (EPOCHS - 4)]


def ups_and_downs(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """One evaluation an epoch."""
    for epoch, level in enumerate(course_of(settings["x"])):
        steps = range(epoch * ROWS, (epoch + 1) * ROWS)
        noise = [level * math.exp(0.01 * math.sin(7.0 * step)) for step in steps]
        yield Progress(
            (epoch + 1) * ROWS,
            epoch + 1,
            EPOCHS,
            {"val_loss": level},
            Signals.of({"loss": (steps, noise)}),
            {"trivial_loss": START, "task": "regression"} if not epoch else {},
        )


def ends_in_nan(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Weights and losses are NaN from the second epoch on."""
    for progress in ups_and_downs(settings):
        lost = progress.epoch > 1
        steps = progress.signals["loss"].steps
        values = np.full(len(steps), math.nan) if lost else progress.signals["loss"].values
        weights = np.where(np.isfinite(values), 3.0, math.nan)
        signals = Signals.of({"loss": (steps, values), "total_weight_norm": (steps, weights)})
        yield Progress(
            progress.step, progress.epoch, EPOCHS, {} if lost else progress.metrics, signals, progress.facts
        )
