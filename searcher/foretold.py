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
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState

from searcher.vectors import Vector, vectors_in

Values = NDArray[np.float64]
Curve = Mapping[int, float]
"""Evaluations due -> v."""

CONSTRAINT = "constraints:"
"""How Optuna begins the names of the attributes of a trial that hold its constraints."""

TOGETHER = "violation"
"""The one constraint that takes the place of all: a sampler needs the same ones of all trials."""

KEPT = -1.0
"""How well a trial keeps its constraints of which nothing is known but that it violates none."""

BARREN = 1.0
"""By how much a trial that was given up before it had a value counts as violating, if it keeps all else."""

FENCE = 2.0
"""Times the way from the best value to the median that a value may lie beyond the median (house rule): worse
ones are brought to there, since one loss of a million would hide all differences among the good ones."""


def foretold(trials: Sequence[FrozenTrial], *signs: float) -> list[FrozenTrial]:
    """The trials, those that were stopped as if they were completed, without values far beyond all others.

    A sign for each objective: 1 for a metric to be minimized, -1 for one to be maximized. A trial that
    violates a constraint has the last values that it was told with: of a doomed one these are stand-ins
    already. One that was given up before it had a value, most likely since it did not begin to learn, is told
    as violating one, too: a place to keep away from, however little is known of it.
    """
    curves = {trial.number: _curves(trial, signs) for trial in trials}
    columns = [
        _ends(trials, place, sign, {number: of[place] for number, of in curves.items()})
        for place, sign in enumerate(signs)
    ]
    if not any(columns):
        return list(trials)
    barren = {t.number for t in trials if t.state is TrialState.PRUNED and not any(curves[t.number])}
    is_bound = bool(barren) or any(trial.constraints for trial in trials)

    def seen(trial: FrozenTrial) -> FrozenTrial:
        if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
            return trial
        values = [sign * column.get(trial.number, 0.0) for sign, column in zip(signs, columns, strict=True)]
        amount = violation(trial)
        if trial.number in barren and amount <= 0:
            amount = BARREN
        return _completed_at(trial, values, amount if is_bound else None)

    return [seen(trial) for trial in trials]


def _ends(
    trials: Sequence[FrozenTrial], place: int, sign: float, curves: Mapping[int, Curve]
) -> dict[int, float]:
    """v of the objective at this place at the end of every trial, by number; nothing where no trial has
    any.
    """
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    stopped = [trial for trial in trials if trial.state is TrialState.PRUNED]
    likely = LikelyEnds([curves[trial.number] for trial in completed])
    ends = {trial.number: sign * trial.values[place] for trial in completed}
    last: dict[int, float] = {}
    for trial in stopped:
        if curve := curves[trial.number]:
            if violation(trial) > 0:
                last[trial.number] = curve[max(curve)]
            else:
                ends[trial.number] = likely.end_of(curve)
    if not ends:
        return {}
    fence, known = _fence(np.array(list(ends.values()))), ends | last
    return {trial.number: min(known.get(trial.number, fence), fence) for trial in [*completed, *stopped]}


def violation(trial: FrozenTrial) -> float:
    """By how much a trial violates its constraints, together; if it does not, how near it comes to that."""
    amounts = trial.constraints.values()
    return sum(amount for amount in amounts if amount > 0) or max(amounts, default=KEPT)


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


def _curves(trial: FrozenTrial, signs: Sequence[float]) -> list[Curve]:
    """Of each objective; Optuna itself holds that of the only one."""
    if len(signs) == 1:
        told: dict[int, Vector] = {due: (value,) for due, value in trial.intermediate_values.items()}
    else:
        told = vectors_in(trial.user_attrs)
    return [
        {due: sign * vector[place] for due, vector in told.items() if math.isfinite(vector[place])}
        for place, sign in enumerate(signs)
    ]


def _completed_at(trial: FrozenTrial, values: list[float], amount: float | None) -> FrozenTrial:
    """The same point with these values, and with the amount of the one constraint, where there are any."""
    attrs = {name: value for name, value in trial.system_attrs.items() if not name.startswith(CONSTRAINT)}
    seen = copy.copy(trial)
    seen.state, seen.values = TrialState.COMPLETE, values
    seen.system_attrs = attrs | ({} if amount is None else {CONSTRAINT + TOGETHER: amount})
    return seen
