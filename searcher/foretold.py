"""What trials that were stopped would have come to: for samplers that learn from completed trials alone.

A Gaussian process knows no trial without a last value. So it would learn nothing from what the pruner gave
up, nor from what was doomed: from most of a study. Here each of them gets a value it would likely have had.

Notation
    v    value of a trial at an evaluation, lower is better (the negative of a metric to be maximized)
    a    the same of the completed trials that were at that evaluation, sorted          [n]
    f    what those came to in the end, in the same order                               [n]
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

Values = NDArray[np.float64]
Curve = Mapping[int, float]
"""Evaluations due -> v."""

FENCE = 2.0
"""Times the way from the best value to the median that a value may lie beyond the median (house rule): worse
ones are brought to there, since one loss of a million would hide all differences among the good ones."""


def foretold(trials: Sequence[FrozenTrial], sign: float) -> list[FrozenTrial]:
    """The trials, those that were stopped as if they were completed, without values far beyond all others.

    `sign` is 1 for a metric to be minimized, -1 for one to be maximized. A trial that violates a constraint
    is as bad as the worst: it was doomed, and what it had reached by then says nothing.
    """
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    likely = LikelyEnds([_curve(trial, sign) for trial in completed])
    ends = {trial.number: sign * trial.values[0] for trial in completed}
    for trial in trials:
        if trial.state is TrialState.PRUNED and not _is_doomed(trial) and (curve := _curve(trial, sign)):
            ends[trial.number] = likely.end_of(curve)
    if not ends:
        return list(trials)
    fence = _fence(np.array(list(ends.values())))

    def seen(trial: FrozenTrial) -> FrozenTrial:
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return trial
        return _completed_at(trial, sign * min(ends.get(trial.number, fence), fence))

    return [seen(trial) for trial in trials]


class LikelyEnds:
    """Where trainings end, by the curves of completed ones."""

    def __init__(self, curves: Sequence[Curve]) -> None:
        self._curves = [curve for curve in curves if curve]
        self._known: dict[int, tuple[Values, Values]] = {}  # evaluation -> a and f

    def end_of(self, curve: Curve) -> float:
        """What a training with this curve comes to.

        It ends where a completed one has ended that was as good at the same evaluation: between two of them
        in proportion; beyond the worst by as much as it is behind that one; no better than the best. Its own
        value where none was evaluated so late.
        """
        at = max(curve)
        a, f = self._at(at)
        if not len(a):
            return curve[at]
        behind = max(curve[at] - float(a[-1]), 0.0)
        return float(np.interp(curve[at], a, f)) + behind

    def _at(self, at: int) -> tuple[Values, Values]:
        if at not in self._known:
            there = [curve for curve in self._curves if max(curve) >= at]
            pairs = sorted(
                (curve[max(d for d in curve if d <= at)], curve[max(curve)])
                for curve in there
                if min(curve) <= at
            )
            a, f = np.array(pairs).T if pairs else np.empty((2, 0))
            self._known[at] = a, _rising(f)
        return self._known[at]


def _rising(f: Values) -> Values:
    """The middle between the lowest sequence above `f` that does not fall, and the highest below it."""
    above = np.maximum.accumulate(f)
    below = np.minimum.accumulate(f[::-1])[::-1]
    return (above + below) / 2


def _fence(ends: Values) -> float:
    """The worst value that is told apart from others."""
    middle, worst = float(np.median(ends)), float(np.max(ends))
    reach = FENCE * (middle - float(np.min(ends)))
    return min(middle + reach, worst) if reach > 0 else worst


def _curve(trial: FrozenTrial, sign: float) -> Curve:
    return {due: sign * value for due, value in trial.intermediate_values.items() if np.isfinite(value)}


def _is_doomed(trial: FrozenTrial) -> bool:
    return any(amount > 0 for amount in trial.constraints.values())


def _completed_at(trial: FrozenTrial, value: float) -> FrozenTrial:
    """The same point with this value, which says what its constraints said."""
    seen = copy.copy(trial)
    seen.state, seen.values, seen.system_attrs = TrialState.COMPLETE, [value], {}
    return seen
