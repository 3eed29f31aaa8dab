"""Settings in their ranges: where in it a value lies, which value lies there, and which lie around another.

Notation
    z    place of a number in its range, 0 to 1; on its log scale where it has one
"""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

Numbers = IntDistribution | FloatDistribution
"""The distributions of ranges."""


def place_of(numbers: Numbers, value: float) -> float:
    """z of a value in the range; 0 where there is only one."""
    low, high = numbers.low, numbers.high
    if low == high:
        return 0.0
    if numbers.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def value_at(numbers: Numbers, z: float) -> int | float:
    """The value at z; at an end of the range for what lies outside."""
    low, high = numbers.low, numbers.high
    z = min(max(z, 0.0), 1.0)
    return inside(numbers, low * (high / low) ** z if numbers.log else low + (high - low) * z)


def inside(numbers: Numbers, value: float) -> int | float:
    """The nearest value in the range, on a step where there are any."""
    low, high, step = numbers.low, numbers.high, numbers.step
    if step is not None:
        value = low + round((value - low) / step) * step
    value = min(max(value, low), high)
    return int(value) if isinstance(numbers, IntDistribution) else float(value)


def drawn_around(
    distribution: BaseDistribution,
    value: Any,
    spread: float,
    kept: float,
    rng: np.random.Generator,
    within: BaseDistribution | None = None,
) -> Any:
    """A value near another, or near the end of the range beyond which that lies: a number whose z is normal
    around that of the other, with the standard deviation `spread`, as far as it lies in the range, and in the
    part of it that is `within`; of choices the same one with the chance `kept`, else any.
    """
    if isinstance(distribution, CategoricalDistribution):
        keeps, other = rng.random() < kept, rng.integers(len(distribution.choices))
        return value if keeps else distribution.choices[other]
    assert isinstance(distribution, Numbers)
    part = distribution if within is None else within
    assert isinstance(part, Numbers)
    low, high = place_of(distribution, part.low), place_of(distribution, part.high)
    near = NormalDist(min(max(place_of(distribution, value), low), high), spread)
    z = near.inv_cdf(rng.uniform(near.cdf(low), near.cdf(high)))
    return value_at(distribution, min(max(z, low), high))


def count_values(distribution: BaseDistribution) -> float:
    """How many values a setting has; infinity for a range without steps."""
    if isinstance(distribution, CategoricalDistribution):
        return len(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return (distribution.high - distribution.low) // distribution.step + 1
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        return round((distribution.high - distribution.low) / distribution.step) + 1
    return math.inf


def grid_values(name: str, distribution: BaseDistribution) -> list[Any]:
    """Every value of a setting. Raises: ValueError for a range without steps."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + i * distribution.step for i in range(count)]
    raise ValueError(f"{name} is a range without steps; a grid needs choices, whole numbers or a step")
