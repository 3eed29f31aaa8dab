"""The multiplier of the learning rate at marked steps, written out by hand."""

import math
from itertools import pairwise
from typing import Any

import pytest

from trainers.config import TrialConfig
from trainers.parts.schedules import SCHEDULES, learning_rate_factor

TOTAL, PER_EPOCH = 1000, 100  # ten epochs


def factors(**settings: Any) -> list[float]:
    """The factor at each step of the training, and at its end."""
    config = TrialConfig(epochs=10, **settings)
    return [learning_rate_factor(t, TOTAL, PER_EPOCH, config) for t in range(TOTAL + 1)]


def test_constant() -> None:
    assert set(factors(schedule="constant")) == {1.0}


def test_step_drops_at_once_after_every_so_many_epochs() -> None:
    f = factors(schedule="step", schedule_every=2.5, schedule_factor=0.1)
    assert f[0] == f[249] == 1.0
    assert f[250] == f[499] == pytest.approx(0.1)
    assert f[500] == f[749] == pytest.approx(0.01)
    assert f[999] == pytest.approx(0.001)


@pytest.mark.parametrize("every", [0.1, 0.3, 0.7, 1.1])
def test_step_drops_exactly_on_time_for_odd_fractions(every: float) -> None:
    f = factors(schedule="step", schedule_every=every, schedule_factor=0.5)
    drops = [t for t in range(1, TOTAL) if f[t] < f[t - 1]]
    period = round(every * PER_EPOCH)
    assert drops == list(range(period, TOTAL, period))


def test_exponential_falls_by_the_same_ratio_at_every_step() -> None:
    f = factors(schedule="exponential", schedule_every=2, schedule_factor=0.5)
    assert f[0] == 1.0
    assert f[200] == pytest.approx(0.5)
    assert f[400] == pytest.approx(0.25)
    assert f[100] == pytest.approx(math.sqrt(0.5))
    assert all(b / a == pytest.approx(0.5 ** (1 / 200)) for a, b in pairwise(f))


def test_cosine() -> None:
    f = factors(schedule="cosine")
    assert f[0] == 1.0
    assert f[250] == pytest.approx((1 + math.sqrt(0.5)) / 2)
    assert f[500] == pytest.approx(0.5)
    assert f[750] == pytest.approx((1 - math.sqrt(0.5)) / 2)
    assert f[999] > 0.0
    assert f[1000] == pytest.approx(0.0)


def test_one_cycle_rises_to_one_and_ends_far_below_its_start() -> None:
    f = factors(schedule="one_cycle")
    assert f[0] == pytest.approx(1 / 25)
    assert f[150] == pytest.approx((1 / 25 + 1) / 2)
    assert f[300] == pytest.approx(1.0)
    assert f[650] == pytest.approx((1 + 1 / 250_000) / 2)
    assert f[1000] == pytest.approx(1 / 250_000)
    assert max(f) == f[300]
    assert all(a < b for a, b in pairwise(f[:301]))
    assert all(a > b for a, b in pairwise(f[300:]))


@pytest.mark.parametrize("name", SCHEDULES)
def test_warm_up_comes_first_and_is_a_line(name: str) -> None:
    f = factors(schedule=name, warmup_epochs=2)
    first = 1 / 25 if name == "one_cycle" else 1.0
    assert f[0] == pytest.approx(first / 201)
    assert f[100] == pytest.approx(first * 101 / 201)
    assert f[200] == pytest.approx(first)
    assert f[199] < f[200]


def test_after_the_warm_up_the_schedule_has_the_rest_of_the_steps() -> None:
    f = factors(schedule="cosine", warmup_epochs=2)
    assert f[600] == pytest.approx(0.5)
    assert f[1000] == pytest.approx(0.0)
    f = factors(schedule="step", schedule_every=1, schedule_factor=0.5, warmup_epochs=2)
    assert f[299] == 1.0
    assert f[300] == 0.5


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup_epochs", [0, 0.5, 10])
def test_factors_stay_between_zero_and_one_and_at_the_end_beyond_it(name: str, warmup_epochs: float) -> None:
    f = factors(schedule=name, warmup_epochs=warmup_epochs)
    assert all(0.0 <= factor <= 1.0 for factor in f)
    assert all(factor > 0.0 for factor in f[:-1]), "no step is wasted"
    config = TrialConfig(epochs=10, schedule=name, warmup_epochs=warmup_epochs)
    assert learning_rate_factor(5000, TOTAL, PER_EPOCH, config) == f[-1]


def test_a_training_of_one_step_has_a_learning_rate() -> None:
    for name in SCHEDULES:
        assert learning_rate_factor(0, 1, 1, TrialConfig(epochs=1, schedule=name)) > 0.0
