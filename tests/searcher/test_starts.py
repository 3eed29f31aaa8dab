"""The first trials of a search lie at the defaults of the training, and around them."""

from __future__ import annotations

from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.beginnings import RESULT, attributes_of
from searcher.checks import check
from searcher.sampling import chosen, sampler_notes, sampler_of
from searcher.space import suggest
from searcher.spec import StudySpec
from searcher.starts import EVERY, KEPT, SPREAD, Start, nearest

SPACE = {
    "learning_rate": {"low": 1e-5, "high": 10.0, "log": True},
    "batch_size": [16, 32, 64, 128],
    "dropout": {"low": 0.0, "high": 0.6},
    "depth": {"low": 2, "high": 8, "step": 2},
    "init": ["normal", "kaiming_normal"],
    "init_std": {"low": 0.01, "high": 1.0, "when": {"init": "normal"}},
}
DEFAULTS = {"learning_rate": 1e-3, "batch_size": 64, "dropout": 0.0, "depth": 2, "init": "kaiming_normal"}


def spec_of(search: dict[str, Any] | None = None, **parts: Any) -> StudySpec:
    whole = {"sampler": "tpe", "trials": 300, **(search or {})}
    return StudySpec.model_validate({"name": "first", "space": SPACE, "search": whole, **parts})


def tell(study: optuna.Study, trial: optuna.Trial, point: dict[str, Any]) -> None:
    """The first is the best; those with a low rate do not begin to learn."""
    for name, value in attributes_of(point.get("learning_rate", 1.0) > 3e-4).items():
        trial.set_user_attr(name, value)
    study.tell(trial, float(trial.number > 0) + point.get("dropout", 0.0))


def points(spec: StudySpec, count: int) -> list[dict[str, Any]]:
    study = optuna.create_study(sampler=sampler_of(spec))
    found = []
    for _ in range(count):
        trial = study.ask()
        found.append(dict(suggest(trial, spec).sampled))
        tell(study, trial, found[-1])
    return found


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_the_first_trial_has_the_defaults_and_the_next_ones_lie_around_them(sampler: str) -> None:
    of_start = [number for number in range(10) if number % EVERY != 1]
    drawn = points(spec_of({"sampler": sampler}), 10)  # none is better than the first
    first, *others = [drawn[number] for number in of_start]
    assert first == DEFAULTS and len(others) == 7
    decades = [abs(np.log10(point["learning_rate"]) + 3) for point in others]
    assert 0.2 < np.mean(decades) < 2 and len({point["learning_rate"] for point in others}) == len(others)
    assert all((point["init"] == "normal") == ("init_std" in point) for point in others)


def test_points_are_spread_as_they_are_said_to_be(rng: np.random.Generator) -> None:
    space: dict[str, BaseDistribution] = {
        "rate": FloatDistribution(1e-6, 1.0, log=True),
        "width": IntDistribution(0, 600),
        "kind": CategoricalDistribution(["a", "b", "c", "d"]),
    }
    start = Start(space, {"rate": 1e-3, "width": 300, "kind": "b"}, 10_000)
    drawn = [start.point(number, list, 1.0, int(rng.integers(2**32))) for number in range(2, 9990, EVERY)]
    assert np.std([np.log10(point["rate"]) for point in drawn]) == pytest.approx(6 * SPREAD, rel=0.1)
    assert np.std([point["width"] for point in drawn]) == pytest.approx(600 * SPREAD, rel=0.1)
    assert {type(point["width"]) for point in drawn} == {int}
    share = np.mean([point["kind"] == "b" for point in drawn])
    assert share == pytest.approx(KEPT + (1 - KEPT) / 4, abs=0.04)
    assert start.point(10_000, list, 1.0, 0) == {}, "a trial that is the sampler's"
    whole = [start.point(number, list, 1.0, 0) for number in (1, 1 + EVERY)]
    assert whole == [{}, {}], "drawn from the whole space"


RATE = FloatDistribution(1e-5, 10.0, log=True)


def tried(number: int, rate: float, value: float, learnt: bool | None = True, **more: Any) -> FrozenTrial:
    """A trial with this rate that came to this value, and began to learn, or not, or nobody could tell."""
    state = more.pop("state", TrialState.COMPLETE)
    attributes = attributes_of(learnt)
    if "outcome" in more:
        attributes[RESULT]["outcome"] = more.pop("outcome")
    made = create_trial(
        state=state,
        value=value if state is TrialState.COMPLETE else None,
        params={"rate": rate, "kind": "b"},
        distributions={"rate": RATE, "kind": CategoricalDistribution(["a", "b"])},
        user_attrs=attributes,
        **more,
    )
    made.number = number
    return made


def drawn_after(trials: list[FrozenTrial], sign: float = 1.0, followed: bool = True) -> list[dict[str, Any]]:
    space = {"rate": RATE, "kind": CategoricalDistribution(["a", "b"])}
    start = Start(space, {"rate": 1e-3, "kind": "a"}, 10, followed)
    return [start.point(2, lambda: trials, sign, seed) for seed in range(2000)]


def middle_rate(points: list[dict[str, Any]]) -> float:
    return float(np.median([point["rate"] for point in points]))


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_points_lie_around_the_best_trial_so_far(sign: float) -> None:
    poor, good = tried(0, 1e-3, sign * 2.0), tried(1, 0.05, sign * 1.0)
    bound = tried(2, 1e-4, sign * 0.5, constraints={"too-large": 1.0})
    found = drawn_after([poor, good, bound], sign)
    assert middle_rate(found) == pytest.approx(0.05, rel=0.5)
    assert np.mean([point["kind"] == "b" for point in found]) == pytest.approx(KEPT + (1 - KEPT) / 2, abs=0.1)
    assert middle_rate(drawn_after([poor, good], sign, followed=False)) == pytest.approx(1e-3, rel=0.5)


def rates_after(*trials: FrozenTrial) -> list[float]:
    return [point["rate"] for point in drawn_after(list(trials))]


def test_points_lie_not_beyond_a_trial_that_never_began_to_learn() -> None:
    lived, slow = tried(0, 1e-3, 1.0), tried(1, 1e-4, 2.0, learnt=False, state=TrialState.PRUNED)
    doomed = tried(2, 0.1, 3.0, outcome="doomed", constraints={"diverging": 1.0})
    lost = tried(3, 2e-3, 9.0, learnt=False, state=TrialState.FAIL)
    rates = rates_after(lived, slow, doomed, lost)
    assert 10**-3.5 <= min(rates) < 5e-4, "half of the way to the one that did not begin"
    assert 3e-3 < max(rates) <= 1e-2, "and to the doomed one; who failed says nothing"


def test_trials_of_which_nobody_could_tell_end_no_range() -> None:
    lived, short = tried(0, 1e-3, 1.0), tried(1, 1e-4, 2.0, learnt=None)
    large = tried(2, 2e-3, 2.0, learnt=None, state=TrialState.PRUNED, constraints={"parameters": 9.0})
    wide = tried(3, 3e-3, 2.0, outcome="infeasible", state=TrialState.PRUNED, constraints={"size": 9.0})
    for trials in ([lived, short, large, wide], [short, large]):
        rates = rates_after(*trials)
        assert min(rates) < 1e-4 and max(rates) > 5e-3
    best = tried(4, 0.5, 0.1, learnt=None)
    assert middle_rate(drawn_after([lived, tried(5, 0.4, 3.0, learnt=False), best])) > 0.1, "it lived, surely"


def test_where_the_default_is_the_end_of_a_range_one_death_does_not_hold_all_others_there() -> None:
    def dropouts(*died: float) -> list[float]:
        space = {"dropout": FloatDistribution(0.0, 0.6)}
        trials = [made(0, 0.0, True), *(made(n, value, False) for n, value in enumerate(died, 1))]
        start = Start(space, {"dropout": 0.0}, 10)
        return [start.point(9, lambda: trials, 1.0, seed)["dropout"] for seed in range(200)]

    def made(number: int, dropout: float, learnt: bool) -> FrozenTrial:
        one = create_trial(
            value=1.0 + number,
            params={"dropout": dropout},
            distributions={"dropout": FloatDistribution(0.0, 0.6)},
            user_attrs=attributes_of(learnt),
        )
        one.number = number
        return one

    assert max(dropouts(0.02)) > 0.15
    assert 0.1 < max(dropouts(0.02, 0.3)) <= 0.15, "half of the way to the second"


def test_a_study_with_several_metrics_stays_around_the_defaults() -> None:
    both = {"metric": [{"name": "val_accuracy"}, {"name": "parameters"}]}
    for follows, parts in ((True, {}), (False, both)):
        sampler = sampler_of(spec_of(**parts))
        assert sampler._guide.start is not None and sampler._guide.start.followed is follows


def test_what_no_range_holds_begins_where_it_is_nearest(rng: np.random.Generator) -> None:
    assert nearest(FloatDistribution(1e-5, 1.0, log=True), 0.0) == 1e-5
    assert nearest(IntDistribution(1, 9, step=4), 6) == 5
    assert nearest(CategoricalDistribution([128, 256]), 64) == 128
    assert nearest(CategoricalDistribution(["a", "b"]), "c") is None
    assert nearest(CategoricalDistribution([True, False]), 1) is None
    assert nearest(FloatDistribution(0.0, 1.0), None) is None
    low, step = int(rng.integers(-5, 5)), int(rng.integers(1, 4))
    for _ in range(200):
        whole = IntDistribution(low, low + step * int(rng.integers(0, 9)), step=step)
        value = nearest(whole, float(rng.normal(0, 20)))
        assert whole._contains(value) and type(value) is int


@pytest.mark.parametrize(
    ("search", "parts"),
    [
        ({"start": "anywhere"}, {}),
        ({"sampler": "random"}, {}),
        ({"sampler": {"name": "tpe", "n_startup_trials": 0}}, {}),
        ({}, {"train": {"trainer": "some.where:train"}}),
        ({}, {"space": {"own_setting": {"low": 0.0, "high": 1.0}}, "train": {"model": "some.where:build"}}),
    ],
)
def test_where_nothing_is_known_to_start_from_the_sampler_draws(
    search: dict[str, Any], parts: dict[str, Any]
) -> None:
    spec = spec_of(search, **parts)
    assert not any("start:" in note for note in sampler_notes(spec))
    assert points(spec, 1)[0] != DEFAULTS


def test_a_setting_that_is_held_keeps_its_value_in_the_first_trials_too() -> None:
    held = {"name": "partial-fixed", "fixed": {"init": "normal"}, "base": "gp"}
    found = points(spec_of({"sampler": held}), 4)
    assert [point["init"] for point in found] == ["normal"] * 4
    assert found[0]["learning_rate"] == 1e-3 and all("init_std" in point for point in found)


def test_listed_points_come_first_and_what_they_leave_open_starts_from_the_defaults() -> None:
    spec = spec_of()
    study = optuna.create_study(sampler=sampler_of(spec))
    study.enqueue_trial({"learning_rate": 0.5})
    assert suggest(study.ask(), spec).sampled == {**DEFAULTS, "learning_rate": 0.5}


def test_a_study_that_goes_on_starts_as_the_one_that_was_never_stopped() -> None:
    spec = spec_of({"seed": 7})
    whole = points(spec, 6)
    study = optuna.create_study(sampler=sampler_of(spec))
    for place in range(6):
        study.sampler = sampler_of(spec)
        trial = study.ask()
        assert suggest(trial, spec).sampled == whole[place]
        tell(study, trial, whole[place])


@pytest.mark.parametrize(("start", "name"), [("defaults", "gp"), ("anywhere", "random")])
def test_few_trials_are_drawn_evenly_where_nothing_is_known_to_start_from(start: str, name: str) -> None:
    assert chosen(spec_of({"sampler": "auto", "trials": 8, "start": start})).name == name


def test_where_a_search_starts_is_checked() -> None:
    with pytest.raises(ValueError, match="'defaults' or 'anywhere'"):
        spec_of({"start": "middle"})
    check(spec_of({"start": "anywhere"}), "first.toml")
