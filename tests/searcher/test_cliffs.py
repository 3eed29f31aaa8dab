"""Ranges end where trials only died, and move as trials live or die there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.cliffs import living_space

RATE = FloatDistribution(1e-4, 1.0, log=True)
CHOICE = CategoricalDistribution(["sgd", "adam"])
WIDTH = IntDistribution(1, 100)
SPACE: Mapping[str, BaseDistribution] = {"rate": RATE, "optimizer": CHOICE, "width": WIDTH}
DIED = 9.0


def trial(rate: float, value: float, doomed: bool = False, **more: Any) -> FrozenTrial:
    params = {"rate": rate, "optimizer": "sgd", "width": 7, **more}
    constraints = {"violation": 1.0} if doomed else None
    distributions = {name: SPACE[name] for name in params}
    return create_trial(value=value, params=params, distributions=distributions, constraints=constraints)


def numbered(*trials: FrozenTrial) -> list[FrozenTrial]:
    for number, one in enumerate(trials):
        one.number = number
    return list(trials)


def rates(trials: list[FrozenTrial], sign: float = 1.0) -> tuple[float, float]:
    found = living_space(3, SPACE, trials, sign)
    assert found["optimizer"] is CHOICE and found["width"] is WIDTH
    rate = found["rate"]
    assert isinstance(rate, FloatDistribution) and rate.log
    return rate.low, rate.high


def test_a_range_ends_half_of_the_way_to_the_second_trial_that_died() -> None:
    lived = [trial(1e-2, 0.1), trial(1e-3, 0.3)]
    one = numbered(*lived, trial(1.0, DIED))
    assert rates(one) == (1e-4, 1.0), "one may have died of another setting"
    two = numbered(*lived, trial(1.0, DIED), trial(1.0, DIED))
    assert rates(two) == (1e-4, pytest.approx(1e-1))
    both = numbered(*lived, *(trial(rate, DIED) for rate in (0.5, 1.0, 1e-4, 1e-4)))
    assert rates(both) == (pytest.approx(10**-3.5), pytest.approx(1e-1))
    nearer = numbered(*lived, *(trial(rate, DIED) for rate in (1.0, 1.0, 1e-1, 1e-1)))
    assert rates(nearer) == (1e-4, pytest.approx(10**-1.5)), "trials died at the new end, too"
    farther = numbered(*lived, *(trial(rate, DIED) for rate in (1.0, 1.0)), trial(1e-1, 0.2))
    assert rates(farther) == (1e-4, pytest.approx(10**-0.5)), "one lived at the new end"


def test_nothing_is_cut_between_trials_that_lived() -> None:
    trials = numbered(trial(1e-4, 0.1), trial(1.0, 0.2), *(trial(1e-2, DIED) for _ in range(5)))
    assert rates(trials) == (1e-4, 1.0)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_trial_died_by_a_constraint_too_whatever_the_goal(sign: float) -> None:
    trials = numbered(
        trial(1e-2, sign * 0.1),
        trial(1e-3, sign * DIED),
        *(trial(1.0, sign * 0.5, doomed=True) for _ in range(2)),
    )
    assert rates(trials, sign) == (1e-4, pytest.approx(1e-1))


def test_the_whole_range_is_left_where_nothing_is_known_or_nothing_lived() -> None:
    assert rates([]) == (1e-4, 1.0)
    assert rates(numbered(*(trial(rate, DIED) for rate in (1e-3, 1e-2, 1.0)))) == (1e-4, 1.0)
    running = trial(1e-2, 0.1)
    running.state = TrialState.RUNNING
    assert rates([running]) == (1e-4, 1.0)


def test_the_end_never_passes_a_trial_that_lived(rng: np.random.Generator) -> None:
    for _ in range(50):
        drawn = 10 ** rng.uniform(-4, 0, size=12)
        trials = numbered(
            *(trial(float(rate), DIED if rng.random() < 0.6 else rng.random()) for rate in drawn)
        )
        low, high = rates(trials)
        lived = [one.params["rate"] for one in trials if one.value != DIED]
        assert not lived or (low <= min(lived) * (1 + 1e-9) and max(lived) <= high * (1 + 1e-9))


def test_one_trial_may_go_up_to_where_another_died_whenever_the_study_has_doubled() -> None:
    trials = numbered(trial(1e-2, 0.1), trial(0.1, DIED), trial(0.2, DIED), trial(0.7, DIED))
    ends: dict[int, Any] = {number: living_space(number, SPACE, trials, 1.0)["rate"] for number in range(100)}
    farther = [number for number, rate in ends.items() if rate.high > ends[3].high]
    assert farther == [1, 2, 4, 8, 16, 32, 64]
    assert ends[16].high == pytest.approx(0.2) and ends[16].low == ends[3].low == 1e-4
    beyond = numbered(*trials, trial(0.3, 0.4), trial(0.8, DIED))
    assert rates(beyond)[1] > 0.3, "one lived there with another choice"
