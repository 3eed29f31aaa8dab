"""Ranges that leave out what only bad trials have tried."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.narrowing import FEWEST, MARGIN, WHOLE, narrowed
from searcher.samplers import build_sampler

SPACE: dict[str, BaseDistribution] = {
    "rate": FloatDistribution(1e-6, 1.0, log=True),
    "width": IntDistribution(0, 600, step=30),
    "kind": CategoricalDistribution(["a", "b"]),
}


def trial(rate: float, width: int, value: float, state: TrialState = TrialState.COMPLETE) -> FrozenTrial:
    params = {"rate": rate, "width": width, "kind": "a"}
    return create_trial(params=params, distributions=SPACE, value=value, state=state)


def around(rng: np.random.Generator, sign: float = 1.0) -> list[FrozenTrial]:
    good = [trial(10 ** rng.uniform(-4, -3), 30 * int(rng.integers(8, 12)), sign * 0.1) for _ in range(10)]
    return (
        good
        + [trial(1e-6, 0, sign * 2.0) for _ in range(5)]
        + [trial(1.0, 600, sign * 3.0) for _ in range(5)]
    )


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_range_ends_a_margin_beyond_the_good_trials(rng: np.random.Generator, sign: float) -> None:
    trials = around(rng, sign)
    found: Any = narrowed(SPACE, trials, sign, 21)
    rates = [math.log10(t.params["rate"]) for t in trials[:10]]
    assert math.log10(found["rate"].low) == pytest.approx(min(rates) - 6 * MARGIN)
    assert math.log10(found["rate"].high) == pytest.approx(max(rates) + 6 * MARGIN)
    widths = [t.params["width"] for t in trials[:10]]
    low, high = min(widths) - 600 * MARGIN, max(widths) + 600 * MARGIN
    assert abs(found["width"].low - low) <= 15 and abs(found["width"].high - high) <= 15
    assert found["width"].low % 30 == 0 and found["width"].step == 30, "on the steps of the whole range"
    assert found["rate"].log and found["kind"] == SPACE["kind"]


def test_the_whole_space_is_looked_at_again_and_again_and_while_little_is_known(
    rng: np.random.Generator,
) -> None:
    trials = around(rng)
    assert narrowed(SPACE, trials, 1.0, 3 * WHOLE) == SPACE
    assert narrowed(SPACE, trials[: FEWEST - 1], 1.0, 21) == SPACE
    failed = [trial(1e-3, 300, 0.1, TrialState.RUNNING) for _ in range(30)]
    assert narrowed(SPACE, failed, 1.0, 21) == SPACE


def test_trials_that_violate_a_constraint_are_no_good_ones(rng: np.random.Generator) -> None:
    trials = around(rng)
    for bad in trials[:10]:
        bad.system_attrs = {"constraints:doomed": 1.0}
    found: Any = narrowed(SPACE, trials, 1.0, 21)
    assert (found["rate"].low, found["rate"].high) == (1e-6, 1.0), "the good ones lie at both ends now"


def test_gp_does_not_return_to_the_ends_where_all_was_bad() -> None:
    space: dict[str, BaseDistribution] = {"rate": FloatDistribution(1e-6, 1.0, log=True)}
    study = optuna.create_study(sampler=build_sampler("gp", {}, 3, space, space))
    for number in range(25):
        asked = study.ask(space)
        study.tell(asked, abs(math.log10(asked.params["rate"]) + 3) if number else 3.0)
    late = [t.params["rate"] for t in study.trials[12:] if t.number % WHOLE]
    assert all(1e-5 < rate < 0.1 for rate in late)
