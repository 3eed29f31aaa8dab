"""Whether a training still improves at its end, and by how much against all that it has learnt.

The verdict and the rules of a plateau, of underfitting and of a fall at the end share this one decision.

Notation
    half, quarter   the last half and the last quarter of the curve
    start           the trivial predictor's loss, or the first level of the curve where that is higher
    learnt          start less the best level
    gain            fall of the loss over the last half, from its trend
    e               the training loss per evaluation, where there are too few for a trend      [n < ENOUGH]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import ENOUGH, Curve, Trend, evaluations, falls_each_time, trend
from diagnostics.evidence.learning import FRESH, LEARNT
from diagnostics.evidence.validation import median_of_three
from diagnostics.signals import Signals

GAIN = 0.02
"""Share of what was learnt so far that the last half must still bring to count as improving (house rule)."""

CLEAR_GAIN = 0.06
"""The same for validation where its fall is not significant (house rule: it is measured on few samples)."""

LATE = 0.4
"""Share of the last half's gain that the last quarter must bring of it (house rule: half of it when the fall
is steady, a twelfth when it dies away)."""

CLEAR_STEP = GAIN / 2
"""Share of what was learnt that the last of a few evaluations must bring (house rule: the last half of a few
are two or three of them)."""


@dataclass(frozen=True)
class Improvement:
    """The level `now`, the trend of the last `half`, the `share` of all learnt that the half brought and the
    one that its last quarter did (`late`), and whether it `goes_on` to the end, in validation as well.

    `tested`: there is enough to say that it does not.
    """

    now: float
    learnt: float
    half: Trend
    share: float
    late: float
    goes_on: bool
    tested: bool


def improvement(signals: Signals, curve: Curve, trivial: float) -> Improvement:
    """How the end of the curve improves; a few evaluations count as well, where each is below the last."""
    found = _of(signals, curve, trivial)
    e = evaluations(signals, "train_loss")
    if found.goes_on or not _few_fall(signals, e, trivial):
        return found
    half, learnt = trend(e.half), _start(e, trivial) - float(e.values[-1])
    late = float(e.values[-2] - e.values[-1]) / learnt
    return Improvement(float(e.values[-1]), learnt, half, -half.change / learnt, late, True, True)


def soon_learns(signals: Signals, trivial: float) -> bool:
    """Whether a few evaluations fall each time, and fast enough that as many again will have learnt.

    Of so few the level of the last ones lags behind the last one, which stands below them all.
    """
    e = evaluations(signals, "train_loss")
    if not math.isfinite(trivial) or not _few_fall(signals, e, trivial):
        return False
    last, pace = float(e.values[-1]), float(e.values[-2] - e.values[-1])
    return last < trivial and last - pace * (len(e) - 1) < trivial - (1 - LEARNT) * abs(trivial)


def share_learnt(now: float, first: float, trivial: float) -> float:
    """Share of the trivial predictor's loss (of the first level, where that is unknown) that is gone."""
    level = trivial if math.isfinite(trivial) else first
    return (level - now) / abs(level) if level else 0.0


def slows_down(share: float, late: float) -> bool:
    """Whether the last quarter brings less than its part of what the last half brings."""
    return late <= LATE / 2 * share


def _of(signals: Signals, curve: Curve, trivial: float) -> Improvement:
    half = trend(curve.half)
    learnt = _start(curve, trivial) - float(np.min(median_of_three(curve.values)))
    quarter = trend(curve.last(1 / 4))
    share, late = (-part.change / learnt if learnt > 0 else 0.0 for part in (half, quarter))
    falls = _falls(curve.half, half)
    goes_on = falls and share > GAIN and not slows_down(share, late) and _validation_agrees(signals)
    now = _now(signals, curve, falls)
    return Improvement(now, learnt, half, share, late, goes_on, goes_on or len(curve) >= ENOUGH)


def _now(signals: Signals, curve: Curve, falls: bool) -> float:
    """The present level: of fresh evaluations where there are any, the last one where they fall."""
    e = evaluations(signals, "train_loss")
    last = signals.last_step
    fresh = len(e) > 0 and last - e.steps[-1] <= FRESH * (last + 1)
    x = e.values if curve.name == "loss" and fresh else curve.values
    evaluated = curve.name != "loss" or fresh
    few = len(x) <= 3 or falls
    return float(x[-1]) if evaluated and few else float(np.median(x[-3:]))


def _start(curve: Curve, trivial: float) -> float:
    first = float(np.median(curve.values[:2]))
    return max(first, trivial) if math.isfinite(trivial) else first


def _few_fall(signals: Signals, e: Curve, trivial: float) -> bool:
    """Whether there are a few evaluations, each clearly below the last, and validation no worse for it."""
    if len(e) >= ENOUGH or not falls_each_time(e):
        return False
    v = evaluations(signals, "val_loss").values
    pace, learnt = float(e.values[-2] - e.values[-1]), _start(e, trivial) - float(e.values[-1])
    return pace > CLEAR_STEP * learnt > 0 and not (len(v) > 1 and v[-1] > v[-2])


def _falls(half: Curve, found: Trend) -> bool:
    """Whether it falls significantly; of too few values for that, whether each is below the last."""
    return bool(np.all(np.diff(half.values) < 0)) if len(half) < ENOUGH / 2 else found.falls


def _validation_agrees(signals: Signals) -> bool:
    """Whether validation falls over its last half as well, as far as it is measured."""
    v = evaluations(signals, "val_loss")
    if len(v) < ENOUGH:
        return True
    half = trend(v.half)
    learnt = float(np.max(v.values[:2])) - float(np.min(v.values))
    return -half.change > (GAIN if half.falls else CLEAR_GAIN) * learnt
