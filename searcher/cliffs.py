"""The part of a space in which trials live: for a sampler that would find each cliff again for each choice.

A model of the trials is least sure at the ends of ranges, and takes a rate of ten that killed a training with
one optimizer for no news of another one. So a wide range costs it dead trials at both ends, for each choice.
It is shown a range that ends half of the way between the outermost trial that lived and the second one that
died beyond: as trials live there the end moves outwards, as they die inwards, which is a bisection. The first
points of a search keep off in the same way (see `starts`), with an own measure of who died.

Notation
    z    place of a number in its range, 0 to 1 (see `ranges`)
    a, d z of the trials that lived, and of those that died
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import FrozenTrial, TrialState

from searcher.foretold import violation
from searcher.ranges import place_of, value_at

DEAD = 2
"""Trials that must have died beyond all that lived (house rule: one may have died of another setting)."""

HALF = 0.5
"""The way to the last of these that a range still goes (house rule): a bisection of the cliff."""


def living_space(
    number: int, space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial], sign: float
) -> dict[str, BaseDistribution]:
    """The space of the trial of this number, without those ends of its ranges where trials only died.

    Whenever a study has doubled the ranges of one trial go on up to where the second one died: what died with
    one choice may live with another, and if it does, the next ranges end farther outside (house rule).

    Of `trials` as a sampler is told them (see `foretold`) those died that violate a constraint, or come to
    the worst value that is told apart; `sign` is 1 for a metric to be minimized, -1 for one to be maximized.
    """
    told = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    worst = max((sign * trial.values[0] for trial in told), default=0.0)
    died = {t.number for t in told if violation(t) > 0 or sign * t.values[0] >= worst}
    way = 1.0 if _is_power_of_two(number) else HALF
    return without_dead_ends(space, told, died, dict.fromkeys(space, DEAD), way)


def without_dead_ends(
    space: Mapping[str, BaseDistribution],
    trials: Sequence[FrozenTrial],
    died: Container[int],
    dead: Mapping[str, int],
    way: float = HALF,
) -> dict[str, BaseDistribution]:
    """A space whose ranges end on the `way` from the outermost of the trials that lived to the first, second
    or so of those that died beyond it, as `dead` says of each setting. `died` are the numbers of all that
    died.
    """
    values = {name: {t.number: t.params[name] for t in trials if name in t.params} for name in space}
    return {name: _cut(space[name], values[name], died, dead[name], way) for name in space}


def _is_power_of_two(number: int) -> bool:
    return number > 0 and number & (number - 1) == 0


def _cut(
    distribution: BaseDistribution, values: Mapping[int, Any], died: Container[int], dead: int, way: float
) -> BaseDistribution:
    """A range without its dead ends, by the values that trials had (number -> value)."""
    if not isinstance(distribution, FloatDistribution) or distribution.step is not None:
        return distribution
    places = {number: place_of(distribution, value) for number, value in values.items()}
    a = [z for number, z in places.items() if number not in died]
    d = [z for number, z in places.items() if number in died]
    if not a:
        return distribution
    low, high = 1 - _end([1 - z for z in a], [1 - z for z in d], dead, way), _end(a, d, dead, way)
    return FloatDistribution(value_at(distribution, low), value_at(distribution, high), log=distribution.log)


def _end(a: Sequence[float], d: Sequence[float], dead: int, way: float) -> float:
    """The upper end that is left."""
    lived, beyond = max(a), sorted(z for z in d if z > max(a))
    return lived + way * (beyond[dead - 1] - lived) if len(beyond) >= dead else 1.0
