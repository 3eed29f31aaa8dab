"""Half of the points lie around the best trials, the others where trials live."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, create_trial

from searcher.guiding import Guide
from searcher.incumbents import BEST, EVERY, KEPT, SPREAD, around_the_best
from searcher.ranges import place_of
from searcher.sampling import sampler_notes, sampler_of
from searcher.spec import StudySpec
from searcher.starts import Start

RATE = FloatDistribution(1e-4, 1.0, log=True)
SPACE: Mapping[str, BaseDistribution] = {
    "rate": RATE,
    "optimizer": CategoricalDistribution(["sgd", "adam"]),
    "width": IntDistribution(1, 1000),
    "momentum": FloatDistribution(0.0, 1.0),
}


def trial(number: int, value: float, violated: float = 0.0, **params: Any) -> FrozenTrial:
    params = {"rate": 1e-2, "optimizer": "adam", "width": 500, **params}
    made = create_trial(
        value=value,
        params=params,
        distributions={name: SPACE[name] for name in params},
        constraints={"violation": violated} if violated else None,
    )
    made.number = number
    return made


def points(trials: list[FrozenTrial], sign: float = 1.0, **defaults: Any) -> list[dict[str, Any]]:
    return [around_the_best(SPACE, trials, sign, defaults, seed) for seed in range(400)]


def middle(drawn: list[dict[str, Any]]) -> float:
    return float(np.median([point["momentum"] for point in drawn]))


def test_points_lie_around_the_best_trials() -> None:
    drawn = points([*(trial(n, 0.1) for n in range(BEST)), trial(9, 9.0, rate=1.0, optimizer="sgd")])
    places = np.array([place_of(RATE, point["rate"]) for point in drawn])
    assert np.mean(places) == pytest.approx(0.5, abs=0.02)
    assert np.std(places) == pytest.approx(SPREAD, rel=0.15)
    assert np.mean([point["optimizer"] == "adam" for point in drawn]) == pytest.approx(
        KEPT + (1 - KEPT) / 2, abs=0.05
    )
    assert all(isinstance(point["width"], int) and 1 <= point["width"] <= 1000 for point in drawn)


def test_points_around_the_end_of_a_range_do_not_pile_up_there() -> None:
    drawn = points([trial(n, 0.1, rate=1.0, width=1) for n in range(BEST)])
    places = np.array([place_of(RATE, point["rate"]) for point in drawn])
    assert np.mean(places == 1.0) == 0.0
    assert np.mean(1.0 - places) == pytest.approx(SPREAD * np.sqrt(2 / np.pi), rel=0.15), "half a normal"
    assert np.mean([point["width"] == 1 for point in drawn]) < 0.05


def test_a_best_trial_of_a_wider_range_has_its_neighbours_at_the_end() -> None:
    was = trial(0, 0.1)
    was.params = {**was.params, "momentum": 7.0}
    assert 0.9 < middle(points([was])) < 1.0


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_best_are_those_by_the_goal_which_keep_all_constraints(sign: float) -> None:
    poor = [trial(n, sign * 9.0, rate=1e-4) for n in range(5)]
    best = [trial(10 + n, sign * 1.0, rate=1.0) for n in range(BEST)]
    lucky = [trial(20 + n, sign * 0.1, violated=1.0, rate=1e-4) for n in range(BEST)]
    assert all(point["rate"] > 1e-2 for point in points([*poor, *best, *lucky], sign))


def test_there_are_none_where_nothing_went_well() -> None:
    assert around_the_best(SPACE, [], 1.0, {}, 0) == {}
    assert around_the_best(SPACE, [trial(0, 1.0, violated=1.0)], 1.0, {}, 0) == {}


def test_a_setting_that_was_switched_off_lies_around_its_default_or_is_the_samplers() -> None:
    assert all("momentum" not in point for point in points([trial(0, 0.1)]))
    assert abs(middle(points([trial(0, 0.1)], momentum=0.9)) - 0.9) < 0.02
    assert abs(middle(points([trial(0, 0.1, momentum=0.1)], momentum=0.9)) - 0.1) < 0.02


def test_points_around_the_best_lie_where_trials_live() -> None:
    told = [trial(0, 0.1, rate=0.1), trial(1, 9.0, rate=0.2), trial(2, 9.0, rate=0.4)]
    rates = [Guide(SPACE, None, 10).point(11, lambda: told, 1.0, seed)["rate"] for seed in range(300)]
    assert 0.15 < max(rates) <= 0.2, "half of the way to the second that died, and no nearer than before"
    assert min(rates) < 0.05, "a distance is a share of the whole range"


def test_a_guide_says_nothing_before_the_sampler_learns() -> None:
    def never() -> list[FrozenTrial]:
        raise AssertionError("nothing is looked at")

    start = Start({"rate": RATE}, {"rate": 1e-3}, 10)
    guide = Guide(SPACE, start, 10)
    assert guide.point(0, never, 1.0, 7) == {"rate": 1e-3}
    assert guide.point(1, never, 1.0, 7) == {} and guide.ranges(1, SPACE, never, 1.0) == SPACE
    without = Guide(SPACE)
    assert without.point(11, never, 1.0, 7) == {} and without.ranges(11, SPACE, never, 1.0) == SPACE


def test_after_that_it_gives_every_second_point() -> None:
    guide = Guide(SPACE, None, 10)
    given = [bool(guide.point(n, lambda: [trial(0, 0.1)], 1.0, n)) for n in range(10, 20)]
    assert given == [n % EVERY != 0 for n in range(10, 20)]


def spec(**search: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "guided",
            "metric": {"name": "val_loss"},
            "space": {"learning_rate": {"low": 1e-5, "high": 10.0, "log": True}, "batch_size": [16, 64]},
            "search": {"sampler": "gp", "start": "anywhere", "trials": 30, **search},
        }
    )


def search(spec: StudySpec, loss: Callable[[float], float], trials: int = 30) -> list[FrozenTrial]:
    study = optuna.create_study(sampler=sampler_of(spec))
    for _ in range(trials):
        asked = study.ask()
        rate = asked.suggest_float("learning_rate", 1e-5, 10.0, log=True)
        asked.suggest_categorical("batch_size", [16, 64])
        study.tell(asked, loss(rate))
    return study.trials


def cliff(rate: float) -> float:
    """A valley around 0.01 between two cliffs."""
    return min(abs(math.log10(rate) + 2), 1.0) if 1e-4 < rate < 1.0 else 100.0


def test_a_guided_search_leaves_cliffs_alone() -> None:
    died = {
        guided: sum(t.values[0] == 100.0 for t in search(spec(guided=guided), cliff)[10:])
        for guided in (True, False)
    }
    assert died[True] <= 4, "some see the whole range, and some find where it ends"
    assert died[True] <= died[False]


def test_the_same_study_gives_the_same_trials() -> None:
    first, again = (search(spec(), cliff, 16) for _ in range(2))
    assert [t.params for t in first] == [t.params for t in again]


def test_what_is_given_is_said_at_the_start() -> None:
    assert any(note.startswith("guided: ") for note in sampler_notes(spec()))
    for other in ({"guided": False}, {"sampler": "tpe"}):
        assert not any(note.startswith("guided: ") for note in sampler_notes(spec(**other)))
