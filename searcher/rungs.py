"""Successive halving and Hyperband with sorted rungs: a question takes no longer the more trials there are.

Notation
    r    min_resource               evaluations to the first rung
    f    reduction_factor           one trial in f goes on from a rung
    s    min_early_stopping_rate    how many rungs are left out at the bottom
    k    rung, from 0: a trial is on it after r * f^(s + k) evaluations
    b    bracket of Hyperband, from 0: successive halving with s = b

Trials on a rung note their value there. Decisions, notes and options are those of Optuna's
SuccessiveHalvingPruner and HyperbandPruner, which search all trials at every question.

Source: Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020;
Li et al., Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization, JMLR 18, 2018.
"""

from __future__ import annotations

import math
import zlib
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from itertools import accumulate
from typing import Any

from searcher.contest import Contest, FinishedTrial, Values
from searcher.spec import Goal
from searcher.standings import Standings
from searcher.vectors import Vector, from_plain, to_plain

NOTE = "completed_rung_"
"""With the number of a rung: where Optuna keeps a trial's value on it."""


class Rungs:
    """The values of trials on rungs, best first."""

    def __init__(self, goal: Goal) -> None:
        self._sign = -1.0 if goal == "maximize" else 1.0
        self._costs: dict[int, list[float]] = {}  # rung -> values, negative where more is better, sorted
        self._trials: dict[int, dict[int, float]] = {}  # number -> rung -> value

    def add(self, number: int, rung: int, value: float) -> None:
        """A trial is on a rung, with a value that is not NaN."""
        self._trials.setdefault(number, {})[rung] = value
        insort(self._costs.setdefault(rung, []), self._sign * value)

    def remove(self, number: int) -> None:
        """A trial was on no rung."""
        for rung, value in self._trials.pop(number, {}).items():
            costs = self._costs[rung]
            del costs[bisect_left(costs, self._sign * value)]

    def count(self, rung: int) -> int:
        """How many trials are on a rung."""
        return len(self._costs[rung])

    def is_among(self, best: int, rung: int, value: float) -> bool:
        """Whether a value is at least as good as the worst of so many on a rung."""
        return self._sign * value <= self._costs[rung][best - 1]

    def of(self, number: int) -> Mapping[int, float]:
        """The rungs a trial is on, with its values."""
        return self._trials.get(number, {})

    def noted(self, number: int) -> dict[int, Any]:
        """The same as the store keeps it."""
        return dict(self.of(number))

    def remember(self, number: int, rung: int, note: Any) -> None:
        """A trial is on a rung, as the store has kept it."""
        self.add(number, rung, float(note))


class RungsOfSeveral:
    """The same with several objectives: trials on rungs, by how many others there dominate them."""

    def __init__(self, contest: Contest) -> None:
        self._contest = contest
        self._standings: dict[int, Standings] = {}  # rung -> the trials on it
        self._trials: dict[int, dict[int, Vector]] = {}  # number -> rung -> all objectives

    def add(self, number: int, rung: int, value: Vector) -> None:
        """A trial is on a rung, with all its objectives."""
        self._trials.setdefault(number, {})[rung] = value
        self._standings.setdefault(rung, Standings(self._contest)).add(number, value)

    def remove(self, number: int) -> None:
        """A trial was on no rung."""
        for rung in self._trials.pop(number, {}):
            self._standings[rung].remove(number)

    def count(self, rung: int) -> int:
        """How many trials are on a rung."""
        return len(self._standings[rung])

    def is_among(self, best: int, rung: int, value: Vector) -> bool:
        """Whether a trial stands at least as well as the worst of so many on a rung, or nobody dominates
        it.
        """
        return self._standings[rung].is_among(best, value)

    def of(self, number: int) -> Mapping[int, Vector]:
        """The rungs a trial is on, with its objectives."""
        return self._trials.get(number, {})

    def noted(self, number: int) -> dict[int, Any]:
        """The same as the store keeps it."""
        return {rung: to_plain(vector) for rung, vector in self.of(number).items()}

    def remember(self, number: int, rung: int, note: Any) -> None:
        """A trial is on a rung, as the store has kept it."""
        self.add(number, rung, from_plain(note))


class SuccessiveHalving:
    """Gives a trial up on a rung on which it is not among the best 1 / `reduction_factor`.

    With `min_resource = "auto"` a hundredth of the evaluations of the first trial to complete, also after
    an interruption. Raises: ValueError for options that are out of bounds or no whole numbers.
    """

    def __init__(
        self,
        contest: Contest,
        min_resource: str | int = "auto",
        reduction_factor: int = 4,
        min_early_stopping_rate: int = 0,
        bootstrap_count: int = 0,
    ) -> None:
        self._min_resource = _number_or_auto("min_resource", min_resource)
        self._factor = _whole("reduction_factor", reduction_factor, at_least=2)
        self._rate = _whole("min_early_stopping_rate", min_early_stopping_rate, at_least=0)
        self._bootstrap = _whole("bootstrap_count", bootstrap_count, at_least=0)
        if contest.further and self._bootstrap:
            raise ValueError(
                "bootstrap_count gives up trials that no other dominates; leave it out with several metrics"
            )
        self._rungs: Any = RungsOfSeveral(contest) if contest.further else Rungs(contest.goal)

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        self.forget(trial.number)
        if self._min_resource is None and trial.completed and trial.values:
            self._min_resource = max(max(trial.values) // 100, 1)
        for name, value in trial.notes.items():
            rung = name.removeprefix(NOTE)
            if rung != name and rung.isdecimal():
                self._rungs.remember(trial.number, int(rung), value)

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        self._rungs.remove(number)

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value); notes its rungs."""
        if not values or self._min_resource is None:
            return False
        due = max(values)
        value = values[due]
        climbed = self._rungs.of(number)
        rung = next(rung for rung in range(len(climbed) + 1) if rung not in climbed)
        while due >= self._min_resource * self._factor ** (self._rate + rung):
            if isinstance(value, float) and math.isnan(value):
                return True
            self._rungs.add(number, rung, value)
            competing = self._rungs.count(rung)
            best = max(competing // self._factor, 1)
            if competing <= self._bootstrap or not self._rungs.is_among(best, rung, value):
                return True
            rung += 1
        return False

    def notes(self, number: int) -> dict[str, Any]:
        """What was noted about a trial, as Optuna would name it."""
        return {f"{NOTE}{rung}": value for rung, value in self._rungs.noted(number).items()}


class Hyperband:
    """Successive halving in brackets: the higher the bracket, the later its first rung, the fewer its trials.

    With `max_resource = "auto"` one more than the evaluations of the first trial to complete, also after an
    interruption; until then, and when that is less than `min_resource`, no trial is given up.
    Raises: ValueError for options that are out of bounds or no whole numbers.
    """

    def __init__(
        self,
        contest: Contest,
        min_resource: int = 1,
        max_resource: str | int = "auto",
        reduction_factor: int = 3,
        bootstrap_count: int = 0,
    ) -> None:
        self._contest = contest
        self._min_resource = _whole("min_resource", min_resource, at_least=1)
        self._max_resource = _number_or_auto("max_resource", max_resource)
        self._factor = _whole("reduction_factor", reduction_factor, at_least=2)
        self._bootstrap = _whole("bootstrap_count", bootstrap_count, at_least=0)
        if self._max_resource is not None and self._max_resource < self._min_resource:
            raise ValueError(f"max_resource is {max_resource}, less than min_resource, {min_resource}")
        self._brackets: list[SuccessiveHalving] = []
        self._budgets: list[int] = []  # of the brackets, each with those before it
        self._early: dict[int, FinishedTrial] = {}  # trials that ended before there were brackets
        if self._max_resource is not None:
            self._make_brackets(self._max_resource)

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        if self._max_resource is None and trial.completed and trial.values:
            self._max_resource = max(trial.values) + 1
            self._make_brackets(self._max_resource)
        if self._brackets:
            self._bracket(trial.number).end(trial)
        else:
            self._early[trial.number] = trial

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        self._early.pop(number, None)
        if self._brackets:
            self._bracket(number).forget(number)

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value); notes its rungs."""
        return bool(self._brackets) and self._bracket(number).should_prune(number, values)

    def notes(self, number: int) -> dict[str, Any]:
        """What was noted about a trial, as Optuna would name it."""
        return self._bracket(number).notes(number) if self._brackets else {}

    def _make_brackets(self, max_resource: int) -> None:
        count = math.floor(math.log(max_resource / self._min_resource, self._factor)) + 1
        shares = [math.ceil(count * self._factor ** (count - 1 - b) / (count - b)) for b in range(count)]
        self._budgets = list(accumulate(shares))
        self._brackets = [
            SuccessiveHalving(self._contest, self._min_resource, self._factor, b, self._bootstrap)
            for b in range(count)
        ]
        if self._brackets:
            for trial in self._early.values():
                self._bracket(trial.number).end(trial)
            self._early.clear()

    def _bracket(self, number: int) -> SuccessiveHalving:
        draw = zlib.crc32(f"{self._contest.study}_{number}".encode()) % self._budgets[-1]
        return self._brackets[bisect_right(self._budgets, draw)]


def _whole(name: str, given: object, at_least: int) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or given < at_least:
        raise ValueError(f"{name} is {given!r}; give a whole number from {at_least} on")
    return given


def _number_or_auto(name: str, given: object) -> int | None:
    if given == "auto":
        return None
    if not isinstance(given, int) or isinstance(given, bool) or given < 1:
        raise ValueError(f"{name} is {given!r}; give a whole number from 1 on, or 'auto'")
    return given
