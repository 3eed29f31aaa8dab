"""Whether a training still improves at its end, and by how much against all that it has learnt.

Notation
    half, quarter   the last half and the last quarter of the curve
    start           the trivial predictor's loss, or the first level of the curve where that is higher
    learnt          start less the best level
    gain            fall of the loss over the last half, from its trend
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import ENOUGH, Curve, Trend, evaluations, trend
from diagnostics.evidence.validation import median_of_three
from diagnostics.signals import Signals

GAIN = 0.02
"""Share of what was learnt so far that the last half must still bring to count as improving (house rule)."""

CLEAR_GAIN = 0.06
"""The same for validation where its fall is not significant (house rule: it is measured on few samples)."""

LATE = 0.4
"""Share of the last half's gain that the last quarter must bring of it (house rule: half of it when the fall
is steady, a twelfth when it dies away)."""


@dataclass(frozen=True)
class Improvement:
    """The level `now`, the trend of the last `half`, the `share` of all learnt that the half brought, and
    whether it `goes_on` to the end, in validation as well."""

    now: float
    learnt: float
    half: Trend
    share: float
    goes_on: bool


def improvement(signals: Signals, curve: Curve, trivial: float) -> Improvement:
    """How the end of the curve improves."""
    half = trend(curve.half)
    smooth = median_of_three(curve.values)
    first = float(np.median(curve.values[:2]))
    start = max(first, trivial) if math.isfinite(trivial) else first
    learnt = start - float(np.min(smooth))
    share = -half.change / learnt if learnt > 0 else 0.0
    goes_on = _falls(curve.half, half) and share > GAIN and _falls_late(curve) and _validation_agrees(signals)
    return Improvement(float(np.median(curve.values[-3:])), learnt, half, share, goes_on)


def _falls(half: Curve, found: Trend) -> bool:
    """Whether it falls significantly; of too few values for that, whether each is below the last."""
    return bool(np.all(np.diff(half.values) < 0)) if len(half) < ENOUGH / 2 else found.falls


def _falls_late(curve: Curve) -> bool:
    """Whether the last quarter brings its part of what the last half brings."""
    half, quarter = trend(curve.half), trend(curve.last(1 / 4))
    return quarter.change < LATE / 2 * half.change


def _validation_agrees(signals: Signals) -> bool:
    """Whether validation falls over its last half as well, as far as it is measured."""
    v = evaluations(signals, "val_loss")
    if len(v) < ENOUGH:
        return True
    half = trend(v.half)
    learnt = float(np.max(v.values[:2])) - float(np.min(v.values))
    return -half.change > (GAIN if half.falls else CLEAR_GAIN) * learnt
