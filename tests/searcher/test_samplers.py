"""Samplers and pruners by name; draws that depend on the seed and the history alone."""

from __future__ import annotations

import inspect

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.options import options_of
from searcher.ranges import grid_values
from searcher.samplers import PRUNERS, SAMPLERS, build_pruner, build_sampler

NUMBERS: dict[str, BaseDistribution] = {
    "a": FloatDistribution(0, 1),
    "b": FloatDistribution(1e-4, 1, log=True),
    "c": IntDistribution(1, 64, log=True),
}
STEPS: dict[str, BaseDistribution] = {
    "a": FloatDistribution(0, 1, step=0.25),
    "b": CategoricalDistribution(["x", "y", "z"]),
    "c": IntDistribution(1, 7, step=2),
}
SPACES = {name: STEPS if name in ("grid", "brute-force") else NUMBERS for name in SAMPLERS}


def value_of(trial: optuna.Trial | FrozenTrial) -> float:
    numbers = [len(v) if isinstance(v, str) else float(v) for v in trial.params.values()]
    return sum((number - 0.3) ** 2 for number in numbers)


def some_trials(name: str, seed: int, stops: tuple[int, ...] = ()) -> list[dict[str, object]]:
    """Twelve trials one after the other; at `stops` the sampler is made anew, as after a restart."""
    space = SPACES[name]
    storage = optuna.storages.InMemoryStorage()
    study = optuna.create_study(
        storage=storage, study_name="s", sampler=build_sampler(name, {}, seed, space, space)
    )
    for number in range(12):
        if number in stops:
            fresh = build_sampler(name, {}, seed, space, space)
            study = optuna.load_study(study_name="s", storage=storage, sampler=fresh)
        trial = study.ask(fixed_distributions=space)
        study.tell(trial, value_of(trial))
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("name", SAMPLERS)
def test_an_interruption_changes_nothing(name: str, rng: np.random.Generator) -> None:
    seed = int(rng.integers(1 << 31))
    whole = some_trials(name, seed)
    assert some_trials(name, seed, stops=(1, 4, 7, 11)) == whole
    assert len({str(params) for params in whole}) > 6, "the points differ among each other"
    if name != "grid":
        assert some_trials(name, seed + 1) != whole


@pytest.mark.parametrize("name", SAMPLERS)
def test_every_value_lies_in_the_space(name: str) -> None:
    for params in some_trials(name, 3):
        assert set(params) == set(SPACES[name])
        assert all(
            SPACES[name][key]._contains(SPACES[name][key].to_internal_repr(v)) for key, v in params.items()
        )


@pytest.mark.parametrize("name", ["tpe", "gp", "cma-es"])
def test_samplers_that_learn_do_better_than_chance(name: str) -> None:
    """The later points of a study in one dimension lie nearer the optimum than those of chance."""

    def far(sampler: str, seed: int) -> float:
        space: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}
        study = optuna.create_study(sampler=build_sampler(sampler, {}, seed, space, space))
        for _ in range(16 if name == "gp" else 40):
            trial = study.ask(fixed_distributions=space)
            study.tell(trial, value_of(trial))
        return float(np.median([value_of(trial) for trial in study.trials[12:]]))

    assert np.mean([far(name, seed) for seed in range(3)]) < np.mean(
        [far("random", seed) for seed in range(3)]
    )


def test_a_gaussian_process_learns_from_what_was_stopped(rng: np.random.Generator) -> None:
    space: dict[str, BaseDistribution] = {"x": FloatDistribution(0, 1)}
    study = optuna.create_study(sampler=build_sampler("gp", {}, int(rng.integers(1000)), space, space))
    for x in rng.permutation(np.linspace(0.02, 0.98, 25)):
        doomed, value = bool(x > 0.5), float((x - 0.3) ** 2)
        study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if value < 0.002 else TrialState.PRUNED,
                value=value if value < 0.002 else None,
                params={"x": float(x)},
                distributions=space,
                intermediate_values={1: value + 0.1} | ({2: value} if value < 0.002 else {}),
                constraints={"diverging": 1.0} if doomed else None,
            )
        )
    points = []
    for _ in range(4):
        trial = study.ask(fixed_distributions=space)
        points.append(trial.params["x"])
        study.tell(trial, (trial.params["x"] - 0.3) ** 2)
    assert np.median(np.abs(np.array(points) - 0.3)) < 0.1, points


@pytest.mark.parametrize("name", ["grid", "brute-force"])
def test_grids_cover_everything_once(name: str) -> None:
    study = optuna.create_study(sampler=build_sampler(name, {}, 5, STEPS, STEPS))
    for _ in range(60):
        study.tell(study.ask(fixed_distributions=STEPS), 0.0)
    assert len({str(sorted(trial.params.items())) for trial in study.trials}) == 60


def test_grid_values() -> None:
    assert grid_values("a", STEPS["a"]) == [0, 0.25, 0.5, 0.75, 1]
    assert grid_values("b", STEPS["b"]) == ["x", "y", "z"]
    assert grid_values("c", STEPS["c"]) == [1, 3, 5, 7]
    for distribution in NUMBERS.values():
        with pytest.raises(ValueError, match="charm is a range without steps"):
            grid_values("charm", distribution)


def test_options_reach_the_sampler() -> None:
    space = {"a": FloatDistribution(0, 1)}

    def trials(startup: int) -> list[object]:
        study = optuna.create_study(
            sampler=build_sampler("tpe", {"n_startup_trials": startup}, 1, {**space}, {**space})
        )
        for _ in range(8):
            trial = study.ask(fixed_distributions=space)
            study.tell(trial, value_of(trial))
        return [trial.params for trial in study.trials]

    early, late = trials(3), trials(99)
    assert early[:3] == late[:3] and early != late


@pytest.mark.parametrize("name", SAMPLERS)
def test_options_are_those_of_the_class(name: str) -> None:
    known = inspect.signature(SAMPLERS[name].cls.__init__).parameters
    offered = options_of(SAMPLERS[name].cls)
    assert set(offered) < set(known) and not {"self", "seed", "search_space", "constraints_func"} & set(
        offered
    )


@pytest.mark.parametrize("name", PRUNERS)
def test_pruners_decide(name: str) -> None:
    """Every pruner can be built and asked; all but 'none' give up a trial that is far behind the others."""
    needs = {
        "threshold": {"upper": 5.0},
        "median": {"n_startup_trials": 2},
        "percentile": {"n_startup_trials": 2},
    }
    pruner = build_pruner(name, needs.get(name, {}))
    study = optuna.create_study(pruner=pruner)
    for value in (1.0, 1.1, 1.2, 1.3, 1.4, 1.5):
        trial = study.ask()
        for step in range(1, 10):
            trial.report(value - step / 100, step)
            trial.should_prune()  # some pruners note what they were asked
        study.tell(trial, value)
    given_up = []
    for _ in range(4):  # hyperband spreads trials over brackets
        trial = study.ask()
        for step in range(1, 28):
            trial.report(9.0 + step, step)
            if trial.should_prune():
                given_up.append(trial.number)
                break
        study.tell(trial, state=TrialState.PRUNED)
    assert bool(given_up) == (name != "none")


def test_pruners_with_refused_options() -> None:
    with pytest.raises((ValueError, TypeError)):
        build_pruner("threshold", {})
