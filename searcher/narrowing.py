"""Where the good trials are: ranges that leave out what only bad ones have tried. Pure.

A Gaussian process is most unsure at the ends of ranges, and so it returns there, however bad the values on
the way. In a wide range of rates these are trials that diverge, or do not move.

Notation
    z    place of a number in its range, 0 to 1; on its log scale where it has one

Source: Perrone et al., Learning search spaces for Bayesian optimization, NeurIPS 2019, which searches the box
around the best points of earlier tasks; here around those of the study itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from searcher.foretold import violation
from searcher.ranges import Numbers, part_of, place_of

FEWEST = 10
"""Trials from which on ranges are narrowed."""

BEST = 2
"""The best so-manieth part of the trials says where it is good (house rule)."""

MARGIN = 1 / 6
"""How far beyond the good trials a range goes, as z (house rule): a decade of a range of six."""

WHOLE = 10
"""Every so-manieth trial has the whole ranges: what lies outside is not given up for good (house rule)."""


def narrowed(
    space: Mapping[str, BaseDistribution], trials: Sequence[FrozenTrial], sign: float, number: int
) -> dict[str, BaseDistribution]:
    """The space in which the trial of this number is looked for; `sign` is 1 when lower values are better.

    Trials that violate a constraint, and those without a value, are none of the good ones.
    """
    completed = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    if number % WHOLE == 0 or len(completed) < FEWEST:
        return dict(space)
    kept = [trial for trial in completed if violation(trial) <= 0]
    good = sorted(kept, key=lambda trial: sign * trial.values[0])[: len(completed) // BEST]
    return {name: _narrowed(name, distribution, good) for name, distribution in space.items()}


def _narrowed(name: str, distribution: BaseDistribution, good: Sequence[FrozenTrial]) -> BaseDistribution:
    if not isinstance(distribution, Numbers):
        return distribution
    places = [place_of(distribution, trial.params[name]) for trial in good if name in trial.params]
    if not places:
        return distribution
    return part_of(distribution, min(places) - MARGIN, max(places) + MARGIN)
