"""Trends against slow, obvious twins."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest

from diagnostics.evidence.trends import block_medians, mann_kendall, mean_blocks, noise, theil_sen


def test_theil_sen_is_the_median_of_all_slopes(rng: np.random.Generator) -> None:
    x = rng.normal(size=int(rng.integers(2, 30)))
    slopes = [(x[j] - x[i]) / (j - i) for i, j in itertools.combinations(range(len(x)), 2)]
    assert theil_sen(x) == pytest.approx(statistics.median(slopes))


def test_mann_kendall_counts_rising_pairs(rng: np.random.Generator) -> None:
    x = rng.integers(0, 6, size=int(rng.integers(4, 25))).astype(float)
    s = sum(np.sign(x[j] - x[i]) for i, j in itertools.combinations(range(len(x)), 2))
    n = len(x)
    ties = [list(x).count(value) for value in set(x)]
    variance = (n * (n - 1) * (2 * n + 5) - sum(t * (t - 1) * (2 * t + 5) for t in ties)) / 18
    expected = 0.0 if s == 0 or variance == 0 else (s - np.sign(s)) / variance**0.5
    assert mann_kendall(x) == pytest.approx(expected)


def test_mann_kendall_has_the_size_it_promises(rng: np.random.Generator) -> None:
    scores = np.array([mann_kendall(rng.normal(size=30)) for _ in range(600)])
    assert 0.02 < np.mean(scores < -1.64) < 0.09


def test_noise_does_not_see_the_trend(rng: np.random.Generator) -> None:
    scale = float(rng.uniform(0.1, 10))
    x = scale * rng.normal(size=4000) + 50 * np.arange(4000)
    assert noise(x) == pytest.approx(scale, rel=0.15)


def test_block_medians_keep_short_curves_as_they_are(rng: np.random.Generator) -> None:
    x = rng.normal(size=9)
    assert np.array_equal(block_medians(x, 20), x)
    assert np.allclose(block_medians(x, 3), [np.median(x[:3]), np.median(x[3:6]), np.median(x[6:])])
    assert len(block_medians(np.array([]), 3)) == 0


def test_mean_blocks_take_steps_that_repeat(rng: np.random.Generator) -> None:
    x = rng.normal(size=60)
    assert mean_blocks(np.full(60, 7), x, 20) == pytest.approx([x.mean()])
    halves = mean_blocks(np.repeat([0, 1], 30), x, 20)
    assert halves == pytest.approx([x[:30].mean(), x[30:].mean()])
