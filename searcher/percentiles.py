"""Median and percentiles of completed trials, kept sorted: a question takes no longer with more trials.

Decisions and options are those of Optuna's MedianPruner and PercentilePruner, which collect the values of
all trials at every question.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

from searcher.contest import Contest, FinishedTrial


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
        self._more_is_better = contest.goal == "maximize"
        self._share = (100 - percentile if self._more_is_better else percentile) / 100
        self._startup = n_startup_trials
        self._warmup = n_warmup_steps
        self._interval = interval_steps
        self._fewest = n_min_trials
        self._completed: dict[int, Mapping[int, float]] = {}  # number -> evaluations due -> value
        self._sorted: dict[int, list[float]] = {}  # evaluations due -> values that are not NaN
        self._reached: dict[int, int] = {}  # evaluations due -> how many values, NaN among them

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        self.forget(trial.number)
        if trial.completed:
            self._completed[trial.number] = trial.values
            for due, value in trial.values.items():
                self._reached[due] = self._reached.get(due, 0) + 1
                if not math.isnan(value):
                    insort(self._sorted.setdefault(due, []), value)

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        for due, value in self._completed.pop(number, {}).items():
            self._reached[due] -= 1
            if not math.isnan(value):
                known = self._sorted[due]
                del known[bisect_left(known, value)]

    def should_prune(self, number: int, values: Mapping[int, float]) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value), all it has so far."""
        if len(self._completed) < max(self._startup, 1) or not values or not self._is_time(values):
            return False
        known = [value for value in values.values() if not math.isnan(value)]
        if not known:
            return True
        due = max(values)
        if self._reached.get(due, 0) < self._fewest or not self._sorted.get(due):
            return False
        bound = _percentile(self._sorted[due], self._share)
        return max(known) < bound if self._more_is_better else min(known) > bound

    def notes(self, number: int) -> dict[str, Any]:
        """There are none."""
        return {}

    def _is_time(self, values: Mapping[int, float]) -> bool:
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
