"""Median and percentiles of completed trials, kept sorted: a question takes no longer with more trials.

Decisions and options are those of Optuna's MedianPruner and PercentilePruner, which collect the values of
all trials at every question.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

from searcher.contest import Contest, FinishedTrial, Values
from searcher.spec import Goal
from searcher.standings import Standings
from searcher.vectors import Vector


class SortedTrials:
    """The values of completed trials at each evaluation, sorted."""

    def __init__(self, goal: Goal) -> None:
        self._more_is_better = goal == "maximize"
        self._sorted: dict[int, list[float]] = {}  # evaluations due -> values that are not NaN
        self._reached: dict[int, int] = {}  # evaluations due -> how many values, NaN among them

    def add(self, number: int, due: int, value: float) -> None:
        """A completed trial had this value."""
        self._reached[due] = self._reached.get(due, 0) + 1
        if not math.isnan(value):
            insort(self._sorted.setdefault(due, []), value)

    def remove(self, number: int, due: int, value: float) -> None:
        """It had not."""
        self._reached[due] -= 1
        if not math.isnan(value):
            known = self._sorted[due]
            del known[bisect_left(known, value)]

    def is_behind(self, percentile: float, fewest: int, values: Mapping[int, float]) -> bool:
        """Whether the best of a trial's values is worse than a percentile where it is, of `fewest` at
        least.
        """
        known = [value for value in values.values() if not math.isnan(value)]
        if not known:
            return True
        due = max(values)
        if self._reached.get(due, 0) < fewest or not self._sorted.get(due):
            return False
        share = (100 - percentile if self._more_is_better else percentile) / 100
        bound = _percentile(self._sorted[due], share)
        return max(known) < bound if self._more_is_better else min(known) > bound


class TrialsOfSeveral:
    """The same with several objectives: completed trials at each evaluation, by how many others there
    dominate them."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._standings: dict[int, Standings] = {}  # evaluations due -> the trials there

    def add(self, number: int, due: int, value: Vector) -> None:
        """A completed trial had these objectives."""
        self._standings.setdefault(due, Standings(self._contest)).add(number, value)

    def remove(self, number: int, due: int, value: Vector) -> None:
        """It had not."""
        self._standings[due].remove(number)

    def is_behind(self, percentile: float, fewest: int, values: Mapping[int, Vector]) -> bool:
        """Whether a trial stands worse than a percentile where it is, of `fewest` at least."""
        due = max(values)
        there = self._standings.get(due)
        if there is None or len(there) < max(fewest, 1):
            return False
        return not there.is_within(percentile, values[due])


class Percentile:
    """Gives a trial up whose best value is worse than a percentile of the completed ones where it is.

    Options as `PercentilePruner` has found them to be in order.
    """

    def __init__(
        self,
        contest: Contest,
        percentile: float,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
    ) -> None:
        self._percentile = percentile
        self._startup = n_startup_trials
        self._warmup = n_warmup_steps
        self._interval = interval_steps
        self._fewest = n_min_trials
        self._completed: dict[int, Values] = {}  # number -> evaluations due -> value
        self._there: Any = TrialsOfSeveral(contest) if contest.further else SortedTrials(contest.goal)

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        self.forget(trial.number)
        if trial.completed:
            self._completed[trial.number] = trial.values
            for due, value in trial.values.items():
                self._there.add(trial.number, due, value)

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        for due, value in self._completed.pop(number, {}).items():
            self._there.remove(number, due, value)

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value), all it has so far."""
        if len(self._completed) < max(self._startup, 1) or not values or not self._is_time(values):
            return False
        return bool(self._there.is_behind(self._percentile, self._fewest, values))

    def notes(self, number: int) -> dict[str, Any]:
        """There are none."""
        return {}

    def _is_time(self, values: Values) -> bool:
        """Whether the warmup is over, and the last value the first of its interval."""
        *before, due = sorted(values)
        begins = (due - self._warmup) // self._interval * self._interval + self._warmup
        return due >= self._warmup and (not before or before[-1] < begins)


class Median(Percentile):
    """Gives a trial up whose best value is worse than the median of the completed ones where it is."""

    def __init__(
        self,
        contest: Contest,
        n_startup_trials: int = 5,
        n_warmup_steps: int = 0,
        interval_steps: int = 1,
        *,
        n_min_trials: int = 1,
    ) -> None:
        super().__init__(
            contest, 50.0, n_startup_trials, n_warmup_steps, interval_steps, n_min_trials=n_min_trials
        )


def _percentile(values: list[float], share: float) -> float:
    """As `numpy.percentile` says, between its neighbours; NaN between infinite ones. `values` are sorted."""
    place = (len(values) - 1) * share
    below = math.floor(place)
    low, high = values[below], values[min(below + 1, len(values) - 1)]
    weight, step = place - below, high - low
    return low + step * weight if weight < 0.5 else high - step * (1 - weight)
