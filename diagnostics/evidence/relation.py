"""Whether labels have anything to do with their inputs: what is learnt by heart, or not at all.

Notation
    e, v    training and validation loss per evaluation                  [evaluations]
    T       trivial loss
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from diagnostics.data import largest_share
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.learning import LEARNT, standing
from diagnostics.evidence.rows import finite_values, typical
from diagnostics.evidence.steps import EARLY, update_ratios
from diagnostics.evidence.strides import LARGE, VIOLENT, signs_of
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall
from diagnostics.findings import Facts
from diagnostics.signals import Signals

FEWEST = 4
"""Evaluations before validation is said never to have been better than guessing."""

MEMORISED = 0.5
"""Share of the trivial loss that the training loss must be below to count as learnt by heart. On the way to
it, all that is better than guessing counts, while validation only gets worse."""

WILD = 3.0
"""Times the trivial loss of a first loss that is rather the weights' fault (as in `bad-init-scale`)."""

MANY = 100
"""Training samples below which poor validation is rather the fault of too few."""

NEAR = 1.05
"""Times the trivial loss up to which a training that learns nothing stays at guessing (house rule)."""

BRISK = 1e-4
"""Update ratio of the first steps above which nothing holds a matrix fast: a tenth of the usual 1e-3."""

SURE = 0.15
"""Share of the way from the largest class's share to 1 that an accuracy is clearly above it (house rule)."""


@dataclass(frozen=True)
class Unrelated:
    """The losses that show it; `learnt` where the training labels are learnt by heart."""

    train: float
    best_val: float
    trivial: float
    step: int
    learnt: bool


def unrelated(signals: Signals, facts: Facts) -> Unrelated | None:
    """Labels that validation shows to have no rule, whether they are learnt by heart or not at all."""
    trivial = trivial_loss(signals, facts)
    if not trivial > 0:
        return None
    e, v = finite_values(signals, "train_loss"), finite_values(signals, "val_loss")
    if min(len(e), len(v)) < FEWEST or float(facts.get("train_samples", MANY)) < MANY:
        return None
    if float(signals["loss"].values[0]) > WILD * trivial:
        return None  # a wild start spoils validation as well
    if float(np.min(v)) < LEARNT * trivial or _guesses_well(signals, facts, trivial):
        return None
    fitted = float(np.median(e[-3:])) / trivial
    learnt = fitted < MEMORISED or (fitted < LEARNT and _only_worse(v, trivial))
    if not learnt and not _learns_nothing(signals, facts, trivial):
        return None
    return Unrelated(float(e[-1]), float(np.min(v)), trivial, int(signals["val_loss"].steps[0]), learnt)


def _only_worse(v: Values, trivial: float) -> bool:
    """Whether the validation loss has risen from its beginning on."""
    rise = float(np.median(v[-3:]) - np.median(v[:3]))
    return mann_kendall(v) > SIGNIFICANT and rise > (1 - LEARNT) * trivial


def _learns_nothing(signals: Signals, facts: Facts, trivial: float) -> bool:
    """Whether a training with steps of a usual size stays at guessing: they do not explain it."""
    state = standing(signals, facts)
    if not (state.known and state.stuck) or state.worse or state.now > NEAR * trivial:
        return False
    rows, signs = update_ratios(signals), signs_of(signals, state)
    early = [typical(column[rows.steps < EARLY]) for column in rows.values[0].T]
    return (
        bool(early)
        and min(early) > BRISK
        and signs.early < LARGE
        and signs.peak < VIOLENT
        and not signs.by_course
    )


def _guesses_well(signals: Signals, facts: Facts, trivial: float) -> bool:
    """Whether validation accuracy is above that of guessing, although the loss is not (overconfidence)."""
    accuracy = finite_values(signals, "val_accuracy")
    guess = largest_share(trivial, int(facts.get("outputs", 2)))
    return bool(len(accuracy) and float(np.median(accuracy[-3:])) > guess + SURE * (1 - guess))
