"""Forecasts against curves whose future is known; silence where the past says nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diagnostics.evidence.course import Curve, blocks_of
from diagnostics.evidence.forecast import FEWEST, forecast
from diagnostics.signals import Signals

Array = np.ndarray[Any, np.dtype[np.float64]]


def curve_of(loss: Array) -> Curve:
    return blocks_of(Signals.of({"loss": (range(len(loss)), loss)}), "loss")


def test_the_interval_holds_the_future_of_a_power_law() -> None:
    held = {1.5: 0, 2.0: 0}
    for _ in range(100):
        rng = np.random.default_rng()
        n = int(rng.integers(200, 3000))
        t = np.arange(2 * n) + 1.0
        true = rng.uniform(0, 1) + rng.uniform(1, 5) * t ** -rng.uniform(0.2, 1.2)
        law = forecast(curve_of((true * (1 + rng.uniform(0.01, 0.2) * rng.normal(size=2 * n)))[:n]))
        assert law is not None
        for times in held:
            seen = law.at(times)
            assert seen.low <= seen.loss <= seen.high
            held[times] += seen.low <= true[int(times * n) - 1] <= seen.high
    assert min(held.values()) >= 85


def test_a_smooth_power_law_is_found_again() -> None:
    rng = np.random.default_rng()
    a, b, c = rng.uniform(1, 4), rng.uniform(0.3, 1), rng.uniform(0.2, 1)
    t = np.arange(4000) + 1.0
    law = forecast(curve_of(c + a * t**-b))
    assert law is not None
    assert law.at(2).loss == pytest.approx(c + a * 8000**-b, rel=0.05)


def test_a_warm_up_and_a_catapult_are_left_out() -> None:
    t = np.arange(3000) + 1.0
    rng = np.random.default_rng()
    true = 0.5 + 20 * t**-0.5
    begun = np.where(t < 200, 30 * np.exp(-((t - 100) ** 2) / 2000) + 2, true)
    law = forecast(curve_of(begun * (1 + 0.05 * rng.normal(size=3000))))
    assert law is not None
    seen = law.at(1.5)
    assert seen.low <= 0.5 + 20 * 4500**-0.5 <= seen.high


@pytest.mark.parametrize(
    "loss",
    [
        np.linspace(1, 2, 1000),
        np.where(np.arange(1000) < 800, 2.0, 1.0),
        np.linspace(2, 1, 4 * (FEWEST - 1)),
    ],
    ids=["rises", "falls once, late", "too short"],
)
def test_no_forecast_of_what_is_no_such_thing(loss: Array) -> None:
    assert forecast(curve_of(loss)) is None


def test_a_flat_curve_stays_flat_and_a_positive_one_positive() -> None:
    rng = np.random.default_rng()
    law = forecast(curve_of(2.3 + 0.1 * rng.normal(size=1500)))
    if law is not None:
        assert law.at(2).loss == pytest.approx(2.3, abs=0.1)
    falling = forecast(curve_of(np.exp(-np.arange(1500) / 200.0)))
    assert falling is None or falling.at(2).low >= 0


def test_losses_below_zero_are_no_trouble() -> None:
    t = np.arange(2000) + 1.0
    law = forecast(curve_of(3 * t**-0.4 - 5))
    assert law is not None
    assert law.at(2).loss == pytest.approx(3 * 4000**-0.4 - 5, abs=0.05)
