"""Which trials lead a study, what training them again with other seeds has shown, and which is next. Pure.

The first value of a leader has chosen it among many, and is likely a lucky one: what its settings are worth
is the mean of the repeats alone.

Notation
    y     values of those repeats of a trial that were trained to their end           [n]
    m     mean of y: the value of the settings                                        [trials]
    s     standard deviation of one training over seeds, pooled over all repeated trials
    nu    degrees of freedom of s: values less trials
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from searcher.repeats import Repeat
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, TrialResult, ranked

SEED = "seed"
"""The setting in which a repeat differs from what it repeats."""

LEADERS = 3
"""Trials that are repeated: those whose weights are kept (house rule)."""

TOGETHER = 2
"""Rounds that are begun at once: with one value each nothing tells how much the seed alone moves them."""

LOSING = 0.05
"""Chance to be the best below which a leader is not repeated any more."""

DRAWS = 20_000
"""Draws behind a chance: it is known to 0.7 percentage points."""

LOST = (Outcome.DOOMED, Outcome.INFEASIBLE)
"""Ends of a repeat that say that the settings do not hold with every seed. One that failed by accident, or
that a person has ended, says nothing."""


@dataclass(frozen=True)
class Confirmed:
    """A trial that was repeated: the `values` of its repeats that were trained to their end, by seed, and the
    `lost` repeats, which could not recover or violate a constraint.

    `mean` is that of the values, `error` its standard error; `chance` the probability that it is the best of
    all that were repeated. Each is None where nothing can be said.
    """

    trial: TrialResult
    values: tuple[float, ...]
    lost: tuple[int, ...]
    mean: float | None = None
    error: float | None = None
    chance: float | None = None

    @property
    def gap(self) -> float | None:
        """By how much the first value was above the mean: what was luck in it, if it is to be maximized."""
        return None if self.mean is None or self.trial.value is None else self.trial.value - self.mean


@dataclass(frozen=True)
class Confirmation:
    """All trials that were repeated, the best first; `spread` is s, None where it is not known, and `freedom`
    its degrees of freedom; `seconds` are those of the slots that trained the repeats."""

    trials: tuple[Confirmed, ...]
    spread: float | None
    freedom: int
    seconds: float

    @property
    def named(self) -> Confirmed:
        """The best of them."""
        return self.trials[0]


def base_seed(spec: StudySpec) -> int:
    """The seed that all trials of the search share."""
    return int(spec.fixed.get(SEED, 0))


def leaders_of(metric: Metric, results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials to repeat, best first: of those with the same settings the first."""
    found: list[TrialResult] = []
    for result in ranked(metric, results):
        if all(result.settings != leader.settings for leader in found):
            found.append(result)
        if len(found) == LEADERS:
            break
    return found


def confirmation(metric: Metric, results: Sequence[TrialResult]) -> Confirmation | None:
    """What the repeats have shown; None while there is a leader of which they have shown nothing."""
    repeats = [result for result in results if result.confirms is not None]
    if not repeats:
        return None
    found = _standing(metric, results, repeats)
    known = {one.trial.number for one in found.trials}
    leaders = leaders_of(metric, results)
    return found if known and all(leader.number in known for leader in leaders) else None


def next_repeat(spec: StudySpec, results: Sequence[TrialResult], begun: Container[Repeat]) -> Repeat | None:
    """The repeat to begin next once the search is over, None when there is none, or none yet.

    Seeds come one after the other: all leaders are trained with the same ones, in rounds. From the third
    round on, all of those before are waited for, and a leader that can hardly be the best any more is left
    out. It hangs on the results alone, not on the order in which they came. `begun` are those on record.
    """
    leaders, base = leaders_of(spec.metric, results), base_seed(spec)
    repeats = [result for result in results if result.confirms is not None]
    ended = {Repeat(r.confirms, r.settings[SEED]) for r in repeats if r.confirms is not None}
    wanted: list[Repeat] = []
    for seed in range(base + 1, base + 1 + spec.search.confirm):
        racing = leaders
        if seed > base + TOGETHER:
            if any(repeat not in ended for repeat in wanted):
                return None
            before = [repeat for repeat in repeats if repeat.settings[SEED] < seed]
            racing = _still_racing(leaders, _standing(spec.metric, results, before))
        for leader in racing:
            wanted.append(Repeat(leader.number, seed))
            if wanted[-1] not in begun:
                return wanted[-1]
    return None


def _still_racing(leaders: Sequence[TrialResult], standing: Confirmation) -> list[TrialResult]:
    """The leaders that may still be the best: the first one goes on in any case."""
    known = {one.trial.number: one for one in standing.trials}
    first = next((number for number in known if any(number == one.number for one in leaders)), None)

    def may_win(leader: TrialResult) -> bool:
        one = known.get(leader.number)
        return leader.number == first or one is None or one.chance is None or one.chance >= LOSING

    return [leader for leader in leaders if may_win(leader)]


def _standing(metric: Metric, results: Iterable[TrialResult], repeats: Sequence[TrialResult]) -> Confirmation:
    """The trials of which these repeats say something, the best first."""
    groups: defaultdict[int, list[TrialResult]] = defaultdict(list)
    for repeat in repeats:
        if repeat.confirms is not None and (_value(repeat) is not None or repeat.outcome in LOST):
            groups[repeat.confirms].append(repeat)
    trials = {result.number: result for result in results if result.number in groups}
    numbers = sorted(number for number in groups if number in trials)  # not as they came: chances are drawn
    found = [_of_one(trials[number], groups[number]) for number in numbers]
    spread, freedom = _pooled([one.values for one in found])
    found = [replace(one, error=_error(one.values, spread)) for one in found]
    chances = _chances(metric, found, spread, freedom)
    found = [replace(one, chance=chances.get(one.trial.number)) for one in found]
    seconds = math.fsum(repeat.seconds for repeat in repeats)
    return Confirmation(tuple(sorted(found, key=_order(metric))), spread, freedom, seconds)


def _of_one(trial: TrialResult, repeats: Sequence[TrialResult]) -> Confirmed:
    by_seed = sorted(repeats, key=lambda repeat: (repeat.settings[SEED], repeat.number))
    values = tuple(value for repeat in by_seed if (value := _value(repeat)) is not None)
    lost = tuple(repeat.number for repeat in by_seed if repeat.outcome in LOST)
    return Confirmed(trial, values, lost, sum(values) / len(values) if values else None)


def _value(repeat: TrialResult) -> float | None:
    return repeat.value if repeat.outcome is Outcome.COMPLETED else None


def _order(metric: Metric) -> Callable[[Confirmed], tuple[float, float, int]]:
    """By how many repeats were lost, then by the mean; of equals the one that was asked first."""
    sign = 1.0 if metric.goal == "minimize" else -1.0

    def key(one: Confirmed) -> tuple[float, float, int]:
        of = len(one.lost) + len(one.values)
        mean = math.inf if one.mean is None else sign * one.mean
        return len(one.lost) / of, mean, one.trial.number

    return key


def _pooled(groups: Sequence[Sequence[float]]) -> tuple[float | None, int]:
    """s and nu."""
    freedom = sum(len(y) - 1 for y in groups if y)
    if freedom < 1:
        return None, 0
    squares = sum(float(np.var(y)) * len(y) for y in groups if y)
    return math.sqrt(squares / freedom), freedom


def _error(values: Sequence[float], spread: float | None) -> float | None:
    return None if spread is None or not values else spread / math.sqrt(len(values))


def _chances(
    metric: Metric, found: Sequence[Confirmed], spread: float | None, freedom: int
) -> Mapping[int, float]:
    """Trial -> probability that its settings are the best of all that were repeated.

    The means are normal about the values of the settings, of which nothing was known before; s is as likely
    as its degrees of freedom say. Who has lost a repeat is not the best while there is one that has not.

    Source: Gelman et al. (2013), Bayesian Data Analysis, 3.2 (s unknown); Chen et al. (2000), Simulation
    budget allocation for further enhancing the efficiency of ordinal optimization (chance of a right choice).
    """
    sound = [one for one in found if not one.lost and one.mean is not None]
    if len(found) < 2 or not sound or not spread:
        return {}
    means = np.array([one.mean for one in sound])
    n = np.array([len(one.values) for one in sound])
    draws = np.random.default_rng(0)  # the same figures give the same chances
    s = spread * np.sqrt(freedom / draws.chisquare(freedom, DRAWS))
    drawn = means + s[:, None] * draws.standard_normal((DRAWS, len(sound))) / np.sqrt(n)
    best = drawn.argmin(axis=1) if metric.goal == "minimize" else drawn.argmax(axis=1)
    shares = np.bincount(best, minlength=len(sound)) / DRAWS
    lost = {one.trial.number: 0.0 for one in found if one.lost}
    return lost | {one.trial.number: float(share) for one, share in zip(sound, shares, strict=True)}
