"""Whether a training has begun to learn, by the losses of its steps: long before anything is evaluated.

Notation
    t, x    optimizer step and training loss of a row              [n]
    T       trivial loss: of the best answer that looks at no input
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.learning import LEARNT
from diagnostics.findings import Facts
from diagnostics.signals import Signals

NEWEST = 1 / 3
"""Share of all steps whose losses count: what the training has come to, without the noise of one batch (house
rule)."""

EVALUATED = ("train_loss", "val_loss")
"""Losses of evaluations."""

ROWS, FEWEST = 3, 6
"""Rows that it takes at least, and those of a training before anything is said of it (house rule)."""


def has_begun(signals: Signals, facts: Facts) -> bool | None:
    """Whether the losses of the newest third of the steps lie below 0.97 T, in the middle, or one of an
    evaluation does, where no dropout and no augmentation make it hard; None where T is unknown, or there are
    too few steps yet, the newest of them with a finite loss.
    """
    trivial = trivial_loss(signals, facts)
    if "loss" not in signals or not len(signals["loss"]) or not math.isfinite(trivial):
        return None
    if len(signals["loss"]) < FEWEST:
        return None if math.isfinite(signals["loss"].values[-1]) else False
    if any(np.any(signals[name].values < LEARNT * trivial) for name in EVALUATED if name in signals):
        return True
    t, x = signals["loss"].steps, signals["loss"].values
    since = min(int(np.searchsorted(t, (1 - NEWEST) * (t[-1] + 1))), len(t) - ROWS)
    return bool(np.median(x[since:]) < LEARNT * trivial)


def soon_begins(signals: Signals, facts: Facts) -> bool:
    """Whether it comes to 0.97 T within as many steps as it has done, if its losses go on to fall by the same
    share as from the older to the newer half of them.
    """
    x = signals["loss"].values
    half = len(x) // 2
    if not half:
        return False
    older, newer = float(np.median(x[:half])), float(np.median(x[-half:]))
    if not 0 < newer < older < math.inf:
        return False
    later: float = newer * (newer / older) ** (len(x) / (len(x) - half))
    return later < LEARNT * trivial_loss(signals, facts)
