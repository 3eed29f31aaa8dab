"""A pruner that forecasts what a training will come to, by what others gained from where it stands.

Notation
    v    value of a trial at an evaluation, lower is better (the negative of a metric to be maximized)
    a    the same of the completed trials nearest to it there                              [n]
    g    what those gained from there: value at their end - a                              [n]
    x    how far those are from v, in units of their own spread h: (a - v) / h             [n]
    s    standard deviation of the gains around a line over x

The forecast is v and what the line says of x = 0, with a Student t around it that is as wide as the gains of
the others differ and as the line is uncertain. Whoever looks worse by no more than that is not given up.

Source: Bayesian linear regression, Gelman et al., Bayesian Data Analysis (2013), 14.2 and 14.8; to stop by
the chance to come up to the best, Domhan et al., Speeding up Automatic Hyperparameter Optimization of Deep
Neural Networks by Extrapolation of Learning Curves, IJCAI 2015.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Mapping
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from scipy.special import stdtr

from searcher.contest import Contest, FinishedTrial, Values, numbers_of

NEAREST = 30
"""Completed trials, those nearest to where a trial stands, that say what it will gain (house rule: more of
them are farther away and say little about it; and a question takes no longer the more trials there are)."""

WEIGHT = 1.0
"""How many trials, one h away, the guess that gains are the same everywhere counts for (house rule)."""

CAUTION = 2.0
"""How many trials the guess counts for that gains differ by as much as trials still move in their last
evaluation (house rule: a few siblings that agree by accident must not make a forecast sharp)."""


class Forecast:
    """Gives a trial up that comes up to the best `rank` completed ones with a smaller chance than `chance`.

    It goes on until `n_startup_trials` others have come to their end from where it stands, and where it is as
    good as they became already. Raises: ValueError for options that are out of bounds.
    """

    def __init__(
        self, contest: Contest, chance: float = 0.1, rank: int = 1, n_startup_trials: int = 5
    ) -> None:
        if not 0 < chance < 1:
            raise ValueError(f"chance has to lie between 0 and 1, but is {chance}")
        if rank < 1:
            raise ValueError(f"rank has to be at least 1, but is {rank}")
        if n_startup_trials < 3:
            raise ValueError(
                f"n_startup_trials has to be at least 3 for a line and a spread, but is {n_startup_trials}"
            )
        self._sign = -1.0 if contest.goal == "maximize" else 1.0
        self._chance, self._rank, self._fewest = chance, rank, n_startup_trials
        self._curves: dict[int, Mapping[int, float]] = {}  # completed: number -> evaluations due -> v
        self._there: dict[int, list[tuple[float, int]]] = {}  # evaluation -> (v, number) of who went on
        self._ends: list[float] = []  # sorted
        self._moves: list[float] = []  # squares of what each still moved in its last evaluation, sorted

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        self.forget(trial.number)
        curve = {
            due: self._sign * v for due, v in sorted(numbers_of(trial.values).items()) if math.isfinite(v)
        }
        if trial.completed and curve:
            self._curves[trial.number] = curve
            insort(self._ends, _end(curve))
            insort(self._moves, _move(curve))
            for due, v in _before_end(curve):
                insort(self._there.setdefault(due, []), (v, trial.number))

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        curve = self._curves.pop(number, None)
        if curve is None:
            return
        _remove(self._ends, _end(curve))
        _remove(self._moves, _move(curve))
        for due, v in _before_end(curve):
            _remove(self._there[due], (v, number))

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value), all it has so far."""
        due, reached = max(values, default=0), numbers_of(values)
        if due not in reached or not math.isfinite(reached[due]):
            return False
        v = self._sign * reached[due]
        there = self._nearest(due, v)
        if len(there) < self._fewest or len(self._ends) < self._rank or v <= self._ends[self._rank - 1]:
            return False
        a = np.array([other for other, _ in there])
        g = np.array([_end(self._curves[one]) for _, one in there]) - a
        wanted = self._ends[self._rank - 1] - v
        return chance_of(wanted, a - v, g, math.sqrt(self._usual_move)) < self._chance

    def notes(self, number: int) -> dict[str, Any]:
        """There are none."""
        return {}

    def _nearest(self, due: int, v: float) -> list[tuple[float, int]]:
        """The completed trials nearest to `v` that trained on after this evaluation."""
        known = self._there.get(due, [])
        place = bisect_left(known, (v, 0))
        around = known[max(place - NEAREST, 0) : place + NEAREST]
        return sorted(around, key=lambda one: (abs(one[0] - v), one[1]))[:NEAREST]

    @property
    def _usual_move(self) -> float:
        return self._moves[len(self._moves) // 2]


class ForecastPruner(optuna.pruners.BasePruner):
    """The same for Optuna alone; it goes through all completed trials at every question."""

    def __init__(self, chance: float = 0.1, rank: int = 1, n_startup_trials: int = 5) -> None:
        self._options: dict[str, Any] = {
            "chance": chance,
            "rank": rank,
            "n_startup_trials": n_startup_trials,
        }
        self._judge(Contest("", "minimize"))

    def prune(self, study: optuna.Study, trial: FrozenTrial) -> bool:
        """Whether a trial is given up after its newest value."""
        is_turned = study.direction is optuna.study.StudyDirection.MAXIMIZE
        judge = self._judge(Contest(study.study_name, "maximize" if is_turned else "minimize"))
        for other in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            judge.end(FinishedTrial(other.number, True, other.value, other.intermediate_values))
        return judge.should_prune(trial.number, trial.intermediate_values)

    def _judge(self, contest: Contest) -> Forecast:
        return Forecast(contest, **self._options)


def chance_of(wanted: float, away: NDArray[np.float64], g: NDArray[np.float64], usual: float) -> float:
    """The chance of a gain of `wanted` or better (lower), by the gains `g` of others that are `away`.

    `usual` is by how much values move for no reason.
    """
    n, h = len(g), float(np.std(away)) or 1.0
    x = away / h
    middle, weight = float(np.mean(x)), float(np.sum((x - np.mean(x)) ** 2)) + WEIGHT
    slope = float((x - middle) @ g) / weight
    expected = float(np.mean(g)) - slope * middle
    rest = g - expected - slope * x
    freedom = n - 1 + CAUTION
    s = math.sqrt((float(rest @ rest) + CAUTION * usual**2) / freedom)
    width = s * math.sqrt(1 + 1 / n + middle**2 / weight)
    if width == 0:
        return float(expected <= wanted)
    return float(stdtr(freedom, (wanted - expected) / width))


def _end(curve: Mapping[int, float]) -> float:
    return curve[max(curve)]


def _before_end(curve: Mapping[int, float]) -> list[tuple[int, float]]:
    return list(curve.items())[:-1]


def _move(curve: Mapping[int, float]) -> float:
    """The square of what the last evaluation changed."""
    *before, last = curve.values()
    return (last - before[-1]) ** 2 if before else 0.0


def _remove(known: list[Any], value: Any) -> None:
    del known[bisect_left(known, value)]
