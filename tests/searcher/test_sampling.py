"""Which sampler a study gets: the rule of `auto`, settings that are held, options and their mistakes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState, create_trial

from searcher.checks import check
from searcher.errors import SpecError
from searcher.history import History
from searcher.opening import open_study
from searcher.samplers import SAMPLERS, build_sampler
from searcher.sampling import chosen, count_points, sampler_notes, sampler_of
from searcher.space import suggest
from searcher.spec import StudySpec

Make = Callable[..., StudySpec]

NUMBERS = {"x": {"low": 0.0, "high": 1.0}, "n": {"low": 1, "high": 1000}}
MIXED = {**NUMBERS, "kind": ["a", "b", "c"]}
CONDITIONS = {**NUMBERS, "kind": ["a", "b"], "more": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}}}
MANY_CONDITIONS = {**CONDITIONS, "other": {"low": 0.0, "high": 1.0, "when": {"kind": "a"}}}
FEW = {
    "kind": ["a", "b", "c"],
    "n": {"low": 1, "high": 4},
    "deep": {"choices": [1, 2], "when": {"kind": "b"}},
}
WIDE = {f"x{i}": {"low": 0.0, "high": 1.0} for i in range(21)}


def told(make_spec: Make, search: dict[str, Any], space: Any = NUMBERS, **sections: Any) -> StudySpec:
    """A study that passed the checks."""
    spec = make_spec(space=space, search={"sampler": "auto", **search}, **sections)
    check(spec, "study.toml")
    return spec


@pytest.mark.parametrize(
    ("space", "search", "name", "why"),
    [
        (FEW, {"trials": 16}, "brute-force", "there are 16 points"),
        (FEW, {"trials": 15}, "gp", "no more than 250 trials and 20 settings"),
        (NUMBERS, {"trials": 10}, "qmc", "10 trials are too few to learn from"),
        (MIXED, {"trials": 10}, "random", "10 trials are too few to learn from"),
        (MIXED, {"trials": 11}, "gp", "no more than 250 trials"),
        (MIXED, {"trials": 1000}, "tpe", "too many trials for gp"),
        (CONDITIONS, {"trials": 40}, "gp", "no more than 250 trials"),
        (MANY_CONDITIONS, {"trials": 40}, "tpe", "more than one setting in 3 has a condition"),
        (MIXED, {"trials": 10_000}, "nsga-ii", "tpe would look at up to 10000 trials"),
        (NUMBERS, {"trials": 250, "pruner": "none"}, "gp", "no more than 250 trials"),
        (NUMBERS, {"trials": 251, "pruner": "none"}, "tpe", "too many trials for gp"),
        (WIDE, {"trials": 60, "pruner": "none"}, "tpe", "too many settings for gp"),
        (NUMBERS, {"trials": 60, "pruner": "asha"}, "gp", "no more than 250 trials"),
        (NUMBERS, {"trials": 1000}, "cma-es", "1000 trials or more"),
        (NUMBERS, {"trials": 1000, "constraints": ["x <= 1"]}, "tpe", "too many trials for gp"),
        ({"x": NUMBERS["x"]}, {"trials": 1000}, "tpe", "too many trials for gp"),
        (NUMBERS, {"trials": None, "hours": 2.0}, "tpe", "does not say how many trials"),
        (NUMBERS, {"trials": 5, "warm_start": ["early"], "pruner": "none"}, "gp", "no more than 250 trials"),
        (MANY_CONDITIONS, {"trials": 50, "warm_start": ["early"]}, "tpe", "has a condition"),
    ],
)
def test_the_rule_of_auto(make_spec: Make, space: Any, search: dict[str, Any], name: str, why: str) -> None:
    plan = chosen(told(make_spec, search, space))
    assert plan.name == name and why in plan.why


def test_trials_that_all_run_at_once_cannot_learn(make_spec: Make) -> None:
    plan = chosen(told(make_spec, {"trials": 32}, dispatch={"launcher": "local", "slots": 32}))
    assert (plan.name, plan.why.partition(",")[0]) == ("qmc", "all trials run at once")


def test_a_person_is_told_what_auto_has_chosen(make_spec: Make, tmp_path: Any) -> None:
    spec = told(make_spec, {"trials": 40, "pruner": "none"})
    store = open_study(spec, f"sqlite:///{tmp_path / 'studies.db'}")
    assert store.notes == sampler_notes(spec) and "sampler: gp, chosen by auto: there are" in store.notes[0]
    assert sampler_notes(told(make_spec, {"sampler": "tpe"})) == ()


def test_a_space_of_thousands_of_millions_of_values_is_not_listed(make_spec: Make) -> None:
    assert chosen(told(make_spec, {"trials": 40}, {"n": {"low": 0, "high": 1 << 40}})).name == "gp"


@pytest.mark.parametrize("base", [*(name for name in SAMPLERS if name != "brute-force"), "auto"])
def test_settings_are_held_whatever_searches_the_rest(
    make_spec: Make, base: str, rng: np.random.Generator
) -> None:
    """And a study that is interrupted goes on as if it had not been."""
    steps = {"low": 0.0, "high": 1.0, "step": 1 / 64}
    space = {"kind": ["a", "b", "c"], "x": steps, "y": steps, "z": {**steps, "when": {"kind": "b"}}}
    space = {name: setting for name, setting in space.items() if base != "nsga-iii" or name != "z"}
    sampler = {"name": "partial-fixed", "fixed": {"kind": "b", "y": 0.5}, "base": base}
    spec = make_spec(
        space=space, search={"sampler": sampler, "trials": 40, "seed": int(rng.integers(1 << 31))}
    )
    check(spec, "study.toml")

    def points(stops: tuple[int, ...]) -> list[dict[str, Any]]:
        storage = optuna.storages.InMemoryStorage()
        study = optuna.create_study(storage=storage, study_name="s", sampler=sampler_of(spec))
        for number in range(14):
            if number in stops:
                study = optuna.load_study(study_name="s", storage=storage, sampler=sampler_of(spec))
            trial = study.ask()
            point = suggest(trial, spec).sampled
            study.tell(trial, (point["x"] - 0.3) ** 2)
        return [trial.params for trial in study.trials]

    found = points(())
    assert {(point["kind"], point["y"]) for point in found} == {("b", 0.5)}
    assert len({point["x"] for point in found}) > 4
    assert all(set(point) == set(space) for point in found)
    assert points((1, 5, 11)) == found


def test_a_grid_counts_what_is_not_held(make_spec: Make) -> None:
    space = {"kind": ["a", "b", "c"], "n": {"low": 1, "high": 4}}
    sampler = {"name": "partial-fixed", "fixed": {"kind": "b"}, "base": "grid"}
    spec = told(make_spec, {"sampler": sampler}, space)
    assert count_points(spec) == 4


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        ({"name": "auto", "n_startup_trials": 3}, "'auto' has no options, but got n_startup_trials"),
        ({"name": "partial-fixed"}, "needs the settings to hold, such as fixed = { x = ... }"),
        ({"name": "partial-fixed", "fixed": {"y": 1}}, "fixed: y: there is no 'y'"),
        ({"name": "partial-fixed", "fixed": {"x": 7.0}}, "fixed: x: has to be from 0.0 to 1.0, but got 7.0"),
        (
            {"name": "partial-fixed", "fixed": {"x": 0.5, "n": 3, "kind": "a"}},
            "holds every setting, so that nothing is left",
        ),
        (
            {"name": "partial-fixed", "fixed": {"x": 0.5}, "base": "tep"},
            "base: there is no 'tep'; did you mean",
        ),
        ({"name": "partial-fixed", "fixed": {"x": 0.5}, "base": "brute-force"}, "use 'grid'"),
        ({"name": "partial-fixed", "fixed": {"x": 0.5}, "base": 3}, "base needs a sampler's name"),
        ({"name": "partial-fixed", "fixed": {"x": 0.5}, "bsae": "tpe"}, "has no option 'bsae'; did you mean"),
        (
            {"name": "partial-fixed", "fixed": {"x": 0.5}, "base": {"name": "tpe", "startup": 3}},
            "has no option 'startup'",
        ),
        ({"name": "tpe", "n_startup_trials": "ten"}, "n_startup_trials needs a whole number, but got 'ten'"),
        ({"name": "tpe", "n_startup_trials": -1}, "n_startup_trials has to be at least 0, but is -1"),
        ({"name": "tpe", "multivariate": 1}, "multivariate needs true or false, but got 1"),
        ({"name": "tpe", "prior_weight": 1.0}, "has no option 'prior_weight'"),
        ({"name": "tpe", "group": True, "multivariate": False}, "group"),
        ({"name": "random", "n": 1}, "has no option 'n'; it has none"),
        ({"name": "qmc", "qmc_type": "halten"}, "halton"),
        (
            {"name": "nsga-ii", "crossover": "sbz"},
            "crossover: there is no 'sbz'; did you mean 'sbx'?",
        ),
        ({"name": "nsga-ii", "population_size": 2, "crossover": "undx"}, "population_size"),
        ({"name": "nsga-ii", "crossover_prob": float("1.5")}, "crossover_prob"),
    ],
)
def test_mistakes_are_told_with_what_there_is(make_spec: Make, sampler: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as raised:
        told(make_spec, {"sampler": sampler}, MIXED)
    assert "search.sampler: " in str(raised.value) and words in str(raised.value)


def test_a_pruner_without_options_says_so(make_spec: Make) -> None:
    with pytest.raises(SpecError, match=r"search\.pruner: has no option 'args'; it has none"):
        told(make_spec, {"pruner": {"name": "none", "args": 3}})


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tpe", {"multivariate": False, "n_startup_trials": 3}),
        ("tpe", {"group": True, "n_startup_trials": 3}),
        ("tpe", {"constant_liar": False, "n_ei_candidates": 5, "n_startup_trials": 3}),
        ("gp", {"deterministic_objective": True, "n_startup_trials": 3}),
        ("cma-es", {"popsize": 4, "with_margin": True, "n_startup_trials": 2}),
        ("cma-es", {"use_separable_cma": True, "popsize": 4}),
        ("qmc", {"qmc_type": "halton"}),
        *(("nsga-ii", {"population_size": 4, "crossover": c}) for c in ("uniform", "sbx", "spx", "undx")),
        ("nsga-ii", {"population_size": 4, "mutation": "polynomial", "mutation_prob": 0.5}),
        ("nsga-iii", {"population_size": 4, "dividing_parameter": 2}),
    ],
)
def test_options_make_a_difference(make_spec: Make, name: str, options: dict[str, Any]) -> None:
    def points(given: dict[str, Any]) -> list[dict[str, Any]]:
        space = NUMBERS if name in ("gp", "cma-es") else CONDITIONS
        spec = told(make_spec, {"sampler": {"name": name, **given}, "seed": 3}, space)
        study = optuna.create_study(sampler=sampler_of(spec))
        for _ in range(16):
            trial = study.ask()
            study.tell(trial, suggest(trial, spec).sampled["x"])
        return [trial.params for trial in study.trials]

    assert points(options) != points({})


def violating(rng: np.random.Generator) -> optuna.Study:
    """Trials whose value is the better the larger x, of which those above 0.4 were stopped as infeasible."""
    study = optuna.create_study(direction="maximize")
    for x in rng.random(14):
        stopped = x > 0.4
        study.add_trial(
            create_trial(
                state=TrialState.PRUNED if stopped else TrialState.COMPLETE,
                value=None if stopped else x,
                params={"x": x},
                distributions={"x": FloatDistribution(0, 1)},
                intermediate_values={1: -1e6},
                constraints={"x <= 0.4": x - 0.4},
            )
        )
    return study


def test_a_sampler_of_complete_trials_sees_those_that_violate(rng: np.random.Generator) -> None:
    study = violating(rng)
    plain, shown = (History(study, (), apart).get_trials(False) for apart in (False, True))
    assert [trial.state for trial in plain] == [trial.state for trial in study.trials]
    lowest = min(trial.values[0] for trial in shown)
    for before, now in zip(plain, shown, strict=True):
        last = -1e6 if before.value is None else before.value
        assert now.state is TrialState.COMPLETE and list(now.constraints) == ["violation"]
        assert (now.constraints["violation"] > 0) == (before.state is TrialState.PRUNED)
        assert now.value == max(last, lowest), "none is far below the others"
    assert len(History(study, (), True).get_trials(False, (TrialState.PRUNED,))) == 0


def test_gp_learns_from_trials_that_violate() -> None:
    """With the optimum beside a forbidden part, fewer points lie there than when it is told as a failure."""
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1), "y": FloatDistribution(0, 1)}
    options = {"n_startup_trials": 6}

    def fallen(seed: int, told_as: TrialState) -> int:
        study = optuna.create_study(
            direction="maximize", sampler=build_sampler("gp", options, seed, space, space)
        )
        over = []
        for _ in range(18):
            trial = study.ask(fixed_distributions=space)
            x = trial.params["x"]
            over.append(x > 0.4)
            if not over[-1]:
                trial.set_constraint("x", x - 0.4)
                study.tell(trial, x)
                continue
            if told_as is TrialState.PRUNED:
                trial.set_constraint("x", x - 0.4)
                trial.report(x, 1)
            study.tell(trial, state=told_as)
        return sum(over[6:])

    seeds = range(3)
    learned = sum(fallen(seed, TrialState.PRUNED) for seed in seeds)
    assert learned < sum(fallen(seed, TrialState.FAIL) for seed in seeds)


def test_choices_and_doomed_trials_reach_gp(rng: np.random.Generator) -> None:
    """Trials with constraints of different names, or with none, are all that it needs."""
    space: dict[str, BaseDistribution] = {
        "x": FloatDistribution(0, 1),
        "kind": CategoricalDistribution(["a", "b"]),
    }
    study = optuna.create_study(sampler=build_sampler("gp", {"n_startup_trials": 3}, 1, space, space))
    for number in range(9):
        trial = study.ask(fixed_distributions=space)
        if number % 3:
            trial.report(float(rng.random()), 1)
            trial.set_constraint(("diverging", "parameters <= 1")[number % 2], 1.0)
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, float(rng.random()))
    assert len(study.trials) == 9
