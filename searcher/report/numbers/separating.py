"""The simplest rule that separates sick from healthy trials: at most two conditions, the path of a tree of
depth two, found by trying all of them, and tested for what chance would find.

Notation
    y       whether a trial is sick                                          [n]
    c       whether a trial meets a candidate condition                      [n, m]
    N, F    trials, and sick trials, that meet both of two candidates        [pairs]
    n, s    all trials, and all sick ones
    g       gain of a rule: twice the log likelihood that is won by giving the trials inside and outside
            their own rates of sickness instead of one common rate           [pairs]
    u, k    places and choices of a column, see `searcher/report/numbers/scales.py`
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from searcher.report.numbers.scales import Column, Mask, rows_of

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]

CUTS = 24
"""Bounds of a range that are tried in pairs; the best one is then found among all (house rule: 4 % of the
range apart, and a pair of settings is searched in a millisecond)."""

SUBSETS = 5
"""Choices up to which all subsets are tried; of more, single ones and all but one."""

FEWEST_INSIDE = 3
"""Trials that a rule must hold for (house rule)."""

FEWEST = 4
"""Sick trials, and healthy ones, that a rule can be found for (house rule: fewer lie together by chance)."""

PERMUTATIONS = 199
"""Shuffles of the sick trials that the rule is held against."""

CHANCE = 0.01
"""Share of the shuffles that may look as clear as the rule (house rule: several rules are sought in a report,
and all of them together should be false in less than one of twenty reports)."""

FOLDS, REPEATS = 5, 2
"""Parts for cross-validation, and how often they are drawn."""

CLEAR = 0.7
"""Balanced accuracy on held-out trials that a clear rule reaches (house rule: chance is 0.5)."""

GAMMA = 0.5
"""How much of the search for a second condition is counted in its price, from 0 to 1."""

ROUNDS = 4
"""Rounds in which the bounds of a rule are sharpened by turns."""


@dataclass(frozen=True)
class Part:
    """A condition on a column: `u` above or at most `cut`, or `k` among `chosen`. `gap` is the room between
    the neighbouring trials on both sides of the cut."""

    column: int
    word: str
    cut: float = math.nan
    gap: tuple[float, float] = (math.nan, math.nan)
    chosen: tuple[int, ...] = ()

    def holds(self, columns: Sequence[Column]) -> Mask:
        """The trials that meet it; none where the setting is inactive."""
        column = columns[self.column]
        if self.word == "is":
            return column.active & np.isin(column.places, self.chosen)
        with np.errstate(invalid="ignore"):
            above = column.places > self.cut
        return column.active & (above if self.word == "above" else ~above)


Rule = tuple[Part, ...]


@dataclass(frozen=True)
class Found:
    """A rule, its balanced accuracy on trials it was not fitted to, and how much of chance looks as clear."""

    rule: Rule
    support: float
    chance: float

    @property
    def is_clear(self) -> bool:
        """Whether it is worth telling."""
        return self.chance <= CHANCE and self.support >= CLEAR


def holds(rule: Rule, columns: Sequence[Column]) -> Mask:
    """The trials that meet all conditions of a rule."""
    return reduce(np.logical_and, (part.holds(columns) for part in rule))


def find_rule(columns: Sequence[Column], sick: Mask) -> Found | None:
    """The best rule; None when there are too few trials of one kind or no rule at all."""
    if min(int(sick.sum()), int((~sick).sum())) < FEWEST:
        return None
    rng = np.random.default_rng(0)  # the same report for the same trials
    search = _Search(columns)
    rule = _simplest(search, columns, sick)
    if not rule:
        return None
    chance = _chance(search, sick, rng)
    return Found(rule, _support(columns, sick, rng) if chance <= CHANCE else math.nan, chance)


def _simplest(search: _Search, columns: Sequence[Column], sick: Mask) -> Rule:
    """The best rule of one condition, or that of two where the second one is worth its price."""
    n, s = len(sick), int(sick.sum())
    best: Rule = ()
    score = 0.0
    for place in search.best(sick):
        rule = _sharpened(search.rule(place), columns, sick)
        inside = holds(rule, columns)
        g = float(_gains(inside.sum(), sick[inside].sum(), n, s)) - search.price * (len(rule) - 1)
        if g > score:
            best, score = rule, g
    return best


def _chance(search: _Search, sick: Mask, rng: np.random.Generator) -> float:
    """The share of shuffles that reach the score, the trials themselves counted as one; not counted further
    than where it is clear that it is too large."""
    score, reached, most = search.score(sick), 1, CHANCE * (PERMUTATIONS + 1)
    for _ in range(PERMUTATIONS):
        reached += search.score(rng.permutation(sick)) >= score
        if reached > most:
            break
    return reached / (PERMUTATIONS + 1)


def _support(columns: Sequence[Column], sick: Mask, rng: np.random.Generator) -> float:
    """The balanced accuracy of rules fitted without the trials that they are asked about."""
    n, told = len(sick), []
    for _ in range(REPEATS):
        fold = np.empty(n, dtype=np.int64)
        for group in (np.flatnonzero(sick), np.flatnonzero(~sick)):
            fold[rng.permutation(group)] = np.arange(len(group)) % FOLDS
        inside = np.zeros(n, dtype=bool)
        for held_out in (fold == number for number in range(FOLDS)):
            known = [rows_of(column, ~held_out) for column in columns]
            rule = _simplest(_Search(known), known, sick[~held_out])
            if rule:
                inside |= held_out & holds(rule, columns)
        told.append((inside[sick].mean() + (~inside[~sick]).mean()) / 2)
    return float(np.mean(told))


class _Search:
    """All rules of one or two of the candidate conditions, counted once and asked about many `y`."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._n = len(columns[0].places)
        self._parts: list[Part] = []
        rows: dict[bytes, Mask] = {}
        for part in _candidates(columns):
            c = part.holds(columns)
            if FEWEST_INSIDE <= c.sum() < self._n and c.tobytes() not in rows:
                rows[c.tobytes()] = c
                self._parts.append(part)
        m = len(rows)
        self._c = np.array(list(rows.values()), dtype=np.float32).reshape(m, self._n).T
        self._pairs = np.triu_indices(m)
        both = self._count(self._c)
        self._enough = both >= FEWEST_INSIDE
        table = np.arange(self._n + 1) * np.log(np.maximum(np.arange(self._n + 1), 1))
        self._table, self._both = table, both
        self._without = table[both] + table[self._n - both]
        self._is_one = self._pairs[0] == self._pairs[1]
        # A second condition must bring more than chance finds among m candidates: the extended Bayesian
        # information criterion, Chen and Chen (2008).
        self.price = math.log(max(self._n, 2)) + 2 * GAMMA * math.log(max(m, 2))

    def score(self, sick: Mask) -> float:
        """The gain of the best rule, less the price of a second condition."""
        g = self._gains(sick)
        return float(np.max(g - np.where(self._is_one, 0.0, self.price), initial=0.0))

    def best(self, sick: Mask) -> list[int]:
        """The places of the best rule of one condition and of the best of two, where there are any."""
        g = self._gains(sick)
        found = [np.where(self._is_one, g, 0.0), np.where(self._is_one, 0.0, g)]
        return [int(np.argmax(gains)) for gains in found if np.any(gains > 0)]

    def rule(self, place: int) -> Rule:
        """The rule at a place."""
        i, j = int(self._pairs[0][place]), int(self._pairs[1][place])
        return (self._parts[i],) if i == j else (self._parts[i], self._parts[j])

    def _gains(self, sick: Mask) -> Numbers:
        s, n, table, both = int(sick.sum()), self._n, self._table, self._both
        f = self._count(self._c * sick[:, None].astype(np.float32))
        inside = table[f] + table[both - f]
        outside = table[s - f] + table[n - both - s + f]
        g = 2 * (inside + outside - self._without - (table[s] + table[n - s] - table[n]))
        return np.asarray(np.where(self._enough & (f * n > s * both), g, 0.0))

    def _count(self, rows: NDArray[np.float32]) -> Counts:
        return np.asarray(np.rint((self._c.T @ rows)[self._pairs]), dtype=np.int64)


def _candidates(columns: Sequence[Column]) -> Iterator[Part]:
    """Conditions on one setting: bounds spread over the trials, and groups of choices."""
    for number, column in enumerate(columns):
        if column.scale is None:
            yield from (Part(number, "is", chosen=group) for group in _groups(len(column.choices)))
            continue
        u = np.unique(column.places[column.active])
        cuts = (u[:-1] + u[1:]) / 2
        if len(cuts) > CUTS:
            cuts = cuts[np.linspace(0, len(cuts) - 1, CUTS).round().astype(int)]
        for cut in cuts.tolist():
            yield Part(number, "above", cut)
            yield Part(number, "at most", cut)


def _groups(choices: int) -> Iterator[tuple[int, ...]]:
    sizes = range(1, choices) if choices <= SUBSETS else (1, choices - 1)
    for size in sizes:
        yield from combinations(range(choices), size)


def _sharpened(rule: Rule, columns: Sequence[Column], sick: Mask) -> Rule:
    """Each condition in turn as good as it can be beside the others: bounds midway between the neighbours
    among the trials that meet the others."""
    for _ in range(ROUNDS):
        before = rule
        for place, part in enumerate(rule):
            others = holds((*rule[:place], *rule[place + 1 :]), columns) if len(rule) > 1 else ~sick | sick
            rows = others & columns[part.column].active
            better = (_best_group if part.word == "is" else _best_cut)(part, columns[part.column], rows, sick)
            rule = (*rule[:place], better, *rule[place + 1 :])
        if rule == before:
            break
    return rule


def _best_cut(part: Part, column: Column, rows: Mask, sick: Mask) -> Part:
    order = np.argsort(column.places[rows], kind="stable")
    u, y = column.places[rows][order], sick[rows][order]
    ends = np.flatnonzero(np.diff(u) > 0)  # the last trial below each cut
    if not len(ends):
        return part
    below, sick_below = ends + 1, np.cumsum(y)[ends]
    is_above = part.word == "above"
    inside = len(u) - below if is_above else below
    found = int(y.sum()) - sick_below if is_above else sick_below
    place = int(np.argmax(_gains(inside, found, len(sick), int(sick.sum()))))
    low, high = float(u[ends[place]]), float(u[ends[place] + 1])
    return replace(part, cut=(low + high) / 2, gap=(low, high))


def _best_group(part: Part, column: Column, rows: Mask, sick: Mask) -> Part:
    """The choices with the highest rates of sickness, as many of them as separate best."""
    k, y = column.places[rows].astype(int), sick[rows]
    trials = np.bincount(k, minlength=len(column.choices))
    found = np.bincount(k, weights=y, minlength=len(column.choices))
    there = np.flatnonzero(trials)
    order = there[np.argsort(-found[there] / trials[there], kind="stable")]
    gains = _gains(np.cumsum(trials[order]), np.cumsum(found[order]), len(sick), int(sick.sum()))
    gains[len(column.choices) - 1 :] = -math.inf  # all choices are no condition
    if not len(gains) or not np.isfinite(gains.max()):
        return part
    return replace(part, chosen=tuple(sorted(int(place) for place in order[: int(np.argmax(gains)) + 1])))


def _gains(inside: ArrayLike, found: ArrayLike, n: int, s: int) -> Numbers:
    """`g` of rules that hold for so many trials, so many of them sick; 0 where the sick ones are rarer."""
    trials, hits = np.asarray(inside, dtype=np.float64), np.asarray(found, dtype=np.float64)
    parts = [hits, trials - hits, s - hits, n - trials - s + hits]
    common = _log(np.array([s, n - s])).sum() - _log(np.array([n])).sum()
    g = 2 * (sum(_log(part) for part in parts) - _log(trials) - _log(n - trials) - common)
    return np.asarray(np.where(hits * n > s * trials, g, 0.0))


def _log(x: Numbers) -> Numbers:
    return np.asarray(x * np.log(np.maximum(x, 1)))
