"""How often chance may have its way: bounds that a rate which holds breaks once in a million runs."""

from __future__ import annotations

from collections.abc import Iterable
from math import comb

UNLUCKY = 1e-6
"""Share of test runs that may fail although the rate holds."""


def fewest(draws: int, rate: float) -> int:
    """The fewest hits in so many draws that do not speak against this rate, or a higher one."""
    below = 0.0
    for hits in range(draws + 1):
        below += comb(draws, hits) * rate**hits * (1 - rate) ** (draws - hits)
        if below > UNLUCKY:
            return hits
    return draws


def often(hits: Iterable[bool], rate: float) -> bool:
    """Whether hits are at least as frequent as `rate`, as far as so many draws can tell."""
    drawn = list(hits)
    return sum(drawn) >= fewest(len(drawn), rate)


def seldom(hits: Iterable[bool], rate: float) -> bool:
    """Whether hits are at most as frequent as `rate`, as far as so many draws can tell."""
    return often((not hit for hit in hits), 1 - rate)
