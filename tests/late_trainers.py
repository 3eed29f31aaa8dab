"""A trainer that guesses for `begins` epochs, then learns, down to the loss `ends`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from diagnostics import Signals
from trainers.progress import Progress

STEPS, EPOCHS, GUESSING = 20, 6, 2.0
"""Steps in an epoch, epochs, and the loss of guessing."""

PARTS = 5
"""Messages in an epoch; the last one has an evaluation."""


def loss_at(settings: Mapping[str, Any], step: int) -> float:
    """The training loss of a step, with a little noise."""
    learns = step / STEPS >= settings["begins"]
    return (float(settings["ends"]) if learns else GUESSING) * math.exp(0.002 * math.sin(7.0 * step))


def late(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Five messages an epoch."""
    for part in range(1, EPOCHS * PARTS + 1):
        done = part * STEPS // PARTS
        steps = range(done - STEPS // PARTS, done)
        losses = [loss_at(settings, step) for step in steps]
        metrics = {"val_loss": losses[-1]} if part % PARTS == 0 else {}
        facts = {"trivial_loss": GUESSING, "evaluations_per_epoch": 1} if part == 1 else {}
        yield Progress(done, part / PARTS, EPOCHS, metrics, Signals.of({"loss": (steps, losses)}), facts)
