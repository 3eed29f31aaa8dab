"""Learning rate schedules by name: pure functions of the step.

Notation
    share   of the steps after the warm-up that are done, 0 to 1
    epochs  done since the warm-up, in fractions too
    f       multiplier of the learning rate, 0 to 1
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Schedule = Callable[[float, float, "TrialConfig"], float]
"""(share, epochs, config) -> f."""

# one_cycle: share of the steps before the top, f at the start, f at the end; torch's defaults
RISE, START, END = 0.3, 1 / 25, 1 / 250_000


def one_cycle(share: float) -> float:
    """From 1/25 up to 1 in the first 30 % of the steps, then far below where it began.

    Source: Smith & Topin, Super-Convergence, 2018.
    """
    if share < RISE:
        return half_cosine(START, 1.0, share / RISE)
    return half_cosine(1.0, END, (share - RISE) / (1.0 - RISE))


def half_cosine(start: float, end: float, share: float) -> float:
    """From `start` to `end`, level at both. Source: Loshchilov & Hutter, SGDR, 2016."""
    return end + (start - end) * (1.0 + math.cos(math.pi * share)) / 2.0


def drops(epochs: float, every: float) -> int:
    """How often `every` epochs are over; the billionth is for rounding just below a whole number."""
    return math.floor(epochs / every + 1e-9)


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda _, __, ___: 1.0,
    "step": lambda _, epochs, c: c.schedule_factor ** drops(epochs, c.schedule_every),
    "exponential": lambda _, epochs, c: c.schedule_factor ** (epochs / c.schedule_every),
    "cosine": lambda share, _, __: half_cosine(1.0, 0.0, share),
    "one_cycle": lambda share, _, __: one_cycle(share),
}


LASTING = ("constant", "step", "exponential")
"""Schedules that do not know where the training ends: with more epochs they go on as they were."""


def learning_rate_factor(step: int, total_steps: int, steps_per_epoch: float, config: TrialConfig) -> float:
    """The multiplier of the learning rate for the step that follows after `step` steps.

    Warm-up comes first: in its w = `warmup_epochs * steps_per_epoch` steps the factor grows in a
    line, from 1/(w + 1) of the schedule's first value to all of it at step w, where the schedule
    begins. From `total_steps` on it stays at the schedule's end.

    Source: Goyal et al., Accurate, Large Minibatch SGD, 2017 (warm-up).
    """
    warm = min(round(config.warmup_epochs * steps_per_epoch), total_steps)
    done = min(max(step, warm), total_steps) - warm
    share = done / max(total_steps - warm, 1)
    warmth = min((step + 1) / (warm + 1), 1.0)
    return warmth * SCHEDULES[config.schedule](share, done / steps_per_epoch, config)
