"""Where a search starts: at the settings that training has by default, then around them. Pure.

A sampler that learns draws its first points evenly from the whole space. In a wide space most of them are
poor, and it learns first where not to look. What a trainer has by default is somebody's experience: there a
training goes, if not at its best.

Source: Mallik et al., PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning, NeurIPS
2023, which draws around a default in the same way all through a search.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from searcher.ranges import Numbers, drawn_around, inside

KEPT = 0.5
"""Chance that a choice is the default one in a trial around it; else all are as likely (house rule)."""

SPREAD = 1 / 6
"""Standard deviation of a number around its default, as a share of its range, on the log scale where that has
one (house rule): a decade of a range of six."""

EVERY = 3
"""Every so-manieth of the first trials, from the second one on, is drawn from the whole space, so that the
sampler knows that as well; the others lie around the defaults (house rule)."""


@dataclass(frozen=True)
class Start:
    """The first points of a study: their `count`, and the `defaults` of the settings that have one in the
    `space`.
    """

    space: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    count: int

    def point(self, number: int, seed: int) -> dict[str, Any]:
        """What the trial of this number begins with: the defaults, or a point around them drawn with `seed`.

        Settings without a default are left out: they are the sampler's. Nothing for trials that it draws.
        """
        if number >= self.count or number % EVERY == 1:
            return {}
        if number == 0:
            return dict(self.defaults)
        rng = np.random.default_rng(seed)
        return {
            name: drawn_around(self.space[name], value, SPREAD, KEPT, rng)
            for name, value in self.defaults.items()
        }


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """The value of a setting that is nearest to this one; None where none is near: among choices that are no
    numbers, or for a value of another kind.
    """
    if isinstance(distribution, CategoricalDistribution):
        alike = [choice for choice in distribution.choices if type(choice) is type(value)]
        if value in alike:
            return value
        return min(alike, key=lambda choice: abs(choice - value)) if alike and _is_number(value) else None
    if not _is_number(value):
        return None
    assert isinstance(distribution, Numbers)
    return inside(distribution, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
