"""Whether a training truly failed: by its outcome alone, beside its healthy twin. No diagnostics here.

Notation
    l, v      last evaluated training and validation loss                           scalars
    l0, v0    the same of the best constant prediction                              scalars
    learnt    share of what can be learnt that was: 1 - l / l0, 1 - v / v0; for classes also accuracy
              over the largest class's share, (a - a0) / (1 - a0)                   per measure
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

FAILS_BELOW = 0.7
"""A training that learnt less than this share of what its twin learnt failed (house rule)."""

WORKS_FROM = 0.85
"""One that learnt at least this share works; what lies between is neither (house rule)."""

SHORT = 0.3
"""What one that was meant to train less than its twin must have learnt of that (house rule)."""

TRIVIAL = 0.97
"""A training loss at this share of the trivial predictor's is no better than it (DIAGNOSES.md)."""

RISEN = 0.15
"""A validation loss above its best by this share of the trivial one is an overfitted model's (house rule)."""

STEADY = 0.05
"""A healthy one stays within this share (house rule)."""

LITTLE = 0.1
"""What a twin must have learnt by a measure for the measure to say anything."""


class Truth(StrEnum):
    """What became of a training."""

    FAILS = "fails"
    WORKS = "works"
    BETWEEN = "between"


@dataclass(frozen=True)
class Outcome:
    """The last evaluation of a training, and its course. `best_val_loss` is the lowest one it had."""

    learnt: Mapping[str, float]
    train_loss: float
    val_loss: float
    trivial_loss: float
    val_trivial_loss: float
    best_val_loss: float
    finite: bool
    steps: int
    evaluations: Sequence[Mapping[str, float]] = ()

    @property
    def is_dead(self) -> bool:
        """Whether nothing was learnt at all, so that the training had better been stopped."""
        return not self.finite or self.train_loss >= TRIVIAL * self.trivial_loss

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def outcome_of(
    evaluations: Sequence[Mapping[str, float]],
    trivial: tuple[float, float],
    majority: tuple[float, float],
    steps: int,
) -> Outcome:
    """The outcome from all evaluations; `trivial` and `majority` are of training and validation labels."""
    last = evaluations[-1]
    learnt = {
        name: _share(1 - last[f"{name}_loss"] / level if level > 1e-3 else 0.0)
        for name, level in zip(("train", "val"), trivial, strict=True)
    }
    for name, most in zip(("train", "val"), majority, strict=True):
        if f"{name}_accuracy" in last:
            gain = (last[f"{name}_accuracy"] - most) / (1 - most) if most < 0.999 else 0.0
            learnt[f"{name}_score"] = _share(gain)
    losses = [e["val_loss"] for e in evaluations if math.isfinite(e["val_loss"])]
    finite = all(math.isfinite(last[f"{name}_loss"]) for name in ("train", "val"))
    best = min(losses, default=math.inf)
    levels = (trivial[0], trivial[1], best)
    return Outcome(learnt, last["train_loss"], last["val_loss"], *levels, finite, steps, tuple(evaluations))


def judge(case: Outcome, twin: Outcome, comparable: bool = True, own_budget: bool = False) -> Truth:
    """What became of `case`; `own_budget`: it was meant to train shorter than its twin."""
    if not case.finite or (comparable and case.train_loss >= TRIVIAL * case.trivial_loss):
        return Truth.FAILS
    shares = [
        case.learnt[name] / reached
        for name, reached in twin.learnt.items()
        if reached > LITTLE and name in case.learnt and (comparable or name.endswith("score"))
    ]
    worst = min(shares, default=1.0)
    fails_below, works_from = (SHORT, SHORT) if own_budget else (FAILS_BELOW, WORKS_FROM)
    if worst < fails_below or (comparable and has_risen(case, RISEN)):
        return Truth.FAILS
    overfits = comparable and has_risen(case, STEADY)
    return Truth.WORKS if worst >= works_from and not overfits else Truth.BETWEEN


def has_risen(case: Outcome, share: float) -> bool:
    """Whether the validation loss ended above its best by this share of the trivial one."""
    return case.val_loss > case.best_val_loss + share * case.val_trivial_loss


def is_healthy_alone(case: Outcome) -> bool:
    """Whether a base program by itself learnt something and did not overfit."""
    learnt = case.learnt["train"] > 2 * LITTLE and case.learnt["val"] > LITTLE
    return case.finite and learnt and not has_risen(case, STEADY)


def _share(value: float) -> float:
    return max(-1.0, value) if math.isfinite(value) else -1.0
