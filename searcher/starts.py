"""Where a search starts: at the settings that training has by default, then around them. Pure.

A sampler that learns draws its first points evenly from the whole space. In a wide space most of them are
poor, and it learns first where not to look. What a trainer has by default is somebody's experience: there a
training goes, if not at its best.

Notation
    z    place of a number in its range, 0 to 1; on its log scale where it has one

Source: Mallik et al., PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning, NeurIPS
2023, which draws around a default in the same way all through a search.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

KEPT = 0.5
"""Chance that a choice is the default one in a trial around it; else all are as likely (house rule)."""

SPREAD = 1 / 6
"""Standard deviation of z around that of the default (house rule): a decade of a range of six."""


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

        Settings without a default are left out: they are the sampler's. Nothing after the first `count`.
        """
        if number >= self.count:
            return {}
        if number == 0:
            return dict(self.defaults)
        rng = np.random.default_rng(seed)
        return {name: _around(value, self.space[name], rng) for name, value in self.defaults.items()}


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
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return _inside(distribution, value)


def _around(value: Any, distribution: BaseDistribution, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        keeps, other = rng.random() < KEPT, rng.integers(len(distribution.choices))
        return value if keeps else distribution.choices[other]
    assert isinstance(distribution, IntDistribution | FloatDistribution)
    return _at(distribution, _place(distribution, value) + SPREAD * rng.normal())


def _place(distribution: IntDistribution | FloatDistribution, value: float) -> float:
    """z of a value in the range."""
    low, high = distribution.low, distribution.high
    if low == high:
        return 0.0
    if distribution.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def _at(distribution: IntDistribution | FloatDistribution, z: float) -> int | float:
    """The value at z; at an end of the range for what lies outside."""
    low, high = distribution.low, distribution.high
    z = min(max(z, 0.0), 1.0)
    return _inside(distribution, low * (high / low) ** z if distribution.log else low + (high - low) * z)


def _inside(distribution: IntDistribution | FloatDistribution, value: float) -> int | float:
    """The nearest value in the range, on a step where there are any."""
    low, high, step = distribution.low, distribution.high, distribution.step
    if step is not None:
        value = low + round((value - low) / step) * step
    value = min(max(value, low), high)
    return int(value) if isinstance(distribution, IntDistribution) else float(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
