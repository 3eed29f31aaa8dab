"""The bounds of chance, against the binomial distribution of another library."""

from __future__ import annotations

import numpy as np
import pytest
from chance import UNLUCKY, fewest, often, seldom
from scipy.stats import binom


def test_fewer_hits_than_the_bound_come_once_in_a_million_runs(rng: np.random.Generator) -> None:
    for _ in range(50):
        draws, rate = int(rng.integers(1, 400)), float(rng.uniform(0.01, 0.999))
        least = fewest(draws, rate)
        assert binom.cdf(least - 1, draws, rate) <= UNLUCKY < binom.cdf(least, draws, rate)


@pytest.mark.parametrize(("hits", "rate", "held"), [(100, 1.0, True), (99, 1.0, False), (60, 0.9, False)])
def test_a_rate_that_does_not_hold_is_seen(hits: int, rate: float, held: bool) -> None:
    drawn = [True] * hits + [False] * (100 - hits)
    assert often(drawn, rate) is held
    assert seldom((not hit for hit in drawn), 1 - rate) is held
