"""The arithmetic on rows per layer against slow, obvious twins."""

from __future__ import annotations

import numpy as np
import pytest

from diagnostics import Series, Signals
from diagnostics.evidence.rows import common_rows, middle
from diagnostics.evidence.steps import depth_falls
from diagnostics.evidence.words import short


def test_rows_in_common_are_those_of_all_signals() -> None:
    rng = np.random.default_rng()
    a, b = (np.sort(rng.choice(30, 12, replace=False)) for _ in range(2))
    x, y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    signals = Signals({"x": Series(a, x, ("p", "q", "r")), "y": Series(b, y, ("r", "p"))})
    rows = common_rows(signals, "x", "y")
    assert list(rows.steps) == sorted(set(a) & set(b))
    assert rows.layers == ("p", "r")
    for i, step in enumerate(rows.steps):
        assert list(rows.values[0][i]) == list(x[list(a).index(step)][[0, 2]])
        assert list(rows.values[1][i]) == list(y[list(b).index(step)][[1, 0]])
    assert len(common_rows(signals, "x", "z")) == 0


def test_the_middle_of_a_row_is_the_median_of_its_numbers() -> None:
    rng = np.random.default_rng()
    x = rng.normal(size=(20, 7))
    x[rng.uniform(size=x.shape) < 0.3] = np.nan
    x[3] = np.nan
    for row, found in zip(x, middle(x), strict=True):
        some = sorted(row[~np.isnan(row)])
        n = len(some)
        assert (found == pytest.approx((some[n // 2] + some[(n - 1) // 2]) / 2)) if n else np.isnan(found)


def test_a_fall_over_depth_counts_decades() -> None:
    rng = np.random.default_rng()
    q = rng.uniform(0.01, 2.0)
    d = np.stack([q ** np.arange(8)[::-1], np.full(8, 3.0), np.zeros(8)])
    falls = depth_falls(d)
    assert falls[0] == pytest.approx(-7 * np.log10(q))
    assert falls[1] == pytest.approx(0.0)
    assert np.isnan(falls[2])


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (3e-4, "3e-4"),
        (0.03, "0.03"),
        (12.0, "12"),
        (1.5e6, "1.5e6"),
        (0.0, "0"),
        (2.34567, "2.35"),
        (-4e-7, "-4e-7"),
    ],
)
def test_numbers_are_said_shortly(number: float, said: str) -> None:
    assert short(number) == said
