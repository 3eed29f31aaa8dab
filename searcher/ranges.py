"""Numbers in their ranges: where in it a value lies, and which value lies there.

Notation
    z    place of a number in its range, 0 to 1; on its log scale where it has one
"""

from __future__ import annotations

import math

from optuna.distributions import FloatDistribution, IntDistribution

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
