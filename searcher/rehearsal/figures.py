"""What a rehearsal comes to in numbers: epochs spent, the best value found, what was given up by mistake."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from searcher.rehearsal.course import Ended
from searcher.rehearsal.recordings import Ending, Recording, ranked_best
from searcher.spec import Metric, StudySpec

QUARTER = 4
"""One trial in so many belongs to the best ones, none of which a pruner should give up (house rule)."""

CLEARLY = 1.96
"""Standard deviations from which on a difference is clear: by chance once in forty comparisons."""


@dataclass(frozen=True)
class Aim:
    """What a rehearsal should find: the best value on record, or one within its `noise` (None: not known).

    `trial` has the best value, `top` are the numbers of the best quarter of those trained to their end.
    """

    metric: Metric
    trial: int
    best: float
    noise: float | None
    top: tuple[int, ...]

    @property
    def enough(self) -> float:
        """The worst value that is as good as the best, for all one can tell."""
        slack = self.noise or 0.0
        return self.best - slack if self.metric.goal == "maximize" else self.best + slack

    def is_reached(self, value: float) -> bool:
        """Whether a value is as good as the best, for all one can tell."""
        return not self.metric.is_better(self.enough, value)


@dataclass(frozen=True)
class Figures:
    """One rehearsal in numbers.

    `epochs` and `seconds` are those of all trials, `best` is the best value of a trial that was trained to
    its end. `reached` are the epochs until one was that is as good as the best on record, None when none was.
    Trials whose further course is not known (`unknown`) count with what is recorded of them; `most` and
    `reached_most` are the epochs if all of these had been trained to their end. `so_far` is the best value
    after so many epochs as the marks say. `lost` are the numbers of the best trials that were given up.
    """

    trials: int
    completed: int
    pruned: int
    unknown: int
    epochs: float
    most: float
    seconds: float
    best: float | None
    reached: float | None
    reached_most: float | None
    so_far: tuple[float | None, ...]
    lost: tuple[int, ...]


def aim_of(spec: StudySpec, recordings: Sequence[Recording], noise: float | None) -> Aim | None:
    """What there is to find; None when no trial was trained to its end."""
    order = ranked_best(spec, recordings)
    if not order:
        return None
    top = tuple(recording.number for recording in order[: math.ceil(len(order) / QUARTER)])
    assert order[0].value is not None
    return Aim(spec.metric, order[0].number, order[0].value, noise, top)


def figures_of(ends: Sequence[Ended], aim: Aim, marks: Sequence[float]) -> Figures:
    """The numbers of a rehearsal; `marks` are epochs of all trials together, rising."""
    completed = [ended for ended in ends if ended.value is not None]
    first = next((e for e in completed if e.value is not None and aim.is_reached(e.value)), None)
    given_up = {ended.recording.number for ended in ends if ended.ending is Ending.PRUNED}
    return Figures(
        trials=len(ends),
        completed=len(completed),
        pruned=len(given_up),
        unknown=sum(ended.ending is Ending.UNKNOWN for ended in ends),
        epochs=ends[-1].spent if ends else 0.0,
        most=ends[-1].most if ends else 0.0,
        seconds=sum(ended.seconds for ended in ends),
        best=_best(aim.metric, completed),
        reached=None if first is None else first.spent,
        reached_most=None if first is None else first.most,
        so_far=tuple(_best(aim.metric, [e for e in completed if e.spent <= mark]) for mark in marks),
        lost=tuple(number for number in aim.top if number in given_up),
    )


def _best(metric: Metric, ends: Sequence[Ended]) -> float | None:
    best = None
    for ended in ends:
        if ended.value is not None and metric.is_better(ended.value, best):
            best = ended.value
    return best


def is_clearly_sooner(ours: Sequence[float | None], theirs: Sequence[float | None]) -> bool:
    """Whether numbers of ours are smaller than those of others by more than chance: by the rank sum, in its
    normal approximation. Equal ones count half; None is larger than all.

    Source: Mann and Whitney, On a Test of Whether One of Two Random Variables is Stochastically Larger than
    the Other, Annals of Mathematical Statistics 18, 1947.
    """
    n, m = len(ours), len(theirs)
    pairs = [(or_infinite(one), or_infinite(other)) for one in ours for other in theirs]
    wins = sum((one < other) + (one == other) / 2 for one, other in pairs)
    return wins - n * m / 2 > CLEARLY * math.sqrt(n * m * (n + m + 1) / 12)


Quartiles = tuple[float | None, float | None, float | None]


def quartiles(values: Iterable[float | None]) -> Quartiles:
    """Lower quartile, median and upper quartile, each of them one of the values; None, for what was never
    reached, is larger than all."""
    ordered = sorted(map(or_infinite, values))
    low, middle, high = (ordered[math.ceil(share * len(ordered)) - 1] for share in (0.25, 0.5, 0.75))
    return _finite(low), _finite(middle), _finite(high)


def or_infinite(value: float | None) -> float:
    """A number that was never reached is larger than all."""
    return math.inf if value is None else value


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
