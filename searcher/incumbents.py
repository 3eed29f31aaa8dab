"""Points around the best trials, for a sampler that would rather look where nobody was.

Trainings are noisy: the best value so far is a lucky one, and a model of the trials expects little more near
it, and more from afar, where it knows nothing. So it goes on to the ends of ranges when good settings have
long been found. Half of the points lie around the best trials instead. They cost nothing to choose.

Source: Mallik et al., PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning, NeurIPS
2023, which draws a share of its points around the incumbent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from searcher.foretold import violation
from searcher.ranges import drawn_around

EVERY = 2
"""Every so-manieth point is the sampler's; those between lie around the best trials (house rule)."""

BEST = 3
"""So many are the best ones, of which one is drawn: the very best may owe it to luck (house rule)."""

SPREAD = 1 / 16
"""Standard deviation of a number around the best one's, as a share of its range, on the log scale where that
has one (house rule): a bit more than a third of a decade in a range of six."""

KEPT = 0.8
"""Chance that a choice is the best one's; else all are as likely (house rule)."""


def best_of(trials: Sequence[FrozenTrial], sign: float, count: int) -> list[FrozenTrial]:
    """The best of the trials that were completed and violate no constraint, the very best first."""
    told = [t for t in trials if t.state is TrialState.COMPLETE and violation(t) <= 0]
    return sorted(told, key=lambda t: (sign * t.values[0], t.number))[:count]


def around_the_best(
    space: Mapping[str, BaseDistribution],
    trials: Sequence[FrozenTrial],
    sign: float,
    defaults: Mapping[str, Any],
    seed: int,
    living: Mapping[str, BaseDistribution] | None = None,
) -> dict[str, Any]:
    """A point around one of the best trials, drawn with `seed`; empty where there is none.

    Of `trials` as a sampler is told them (see `foretold`) those that violate no constraint; `sign` is 1 for a
    metric to be minimized, -1 for one to be maximized. A setting that it does not have, since a condition
    switches it off, lies around its default, where there is one; it may be switched on here. Numbers stay in
    the `living` part of the `space`, where that is known.
    """
    best = best_of(trials, sign, BEST)
    if not best:
        return {}
    rng = np.random.default_rng(seed)
    one = {**defaults, **best[rng.integers(len(best))].params}
    return {
        name: drawn_around(distribution, one[name], SPREAD, KEPT, rng, (living or space)[name])
        for name, distribution in space.items()
        if name in one
    }
