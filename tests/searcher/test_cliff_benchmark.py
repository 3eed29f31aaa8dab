"""The cliff study: its tables, its stand-ins for trainings, its ways of telling, and blame."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
from numpy.random import Generator
from optuna.trial import TrialState

from benchmarks.__main__ import KEPT, RESULTS, kept
from benchmarks.cliff_figures import measures, task_table, together, together_table
from benchmarks.cliff_runs import ARMS, BLAMED, Arm, Blaming, Course, Way, redrawn, search
from benchmarks.cliff_tables import Recorded, make, points, read, recorded, write
from benchmarks.cliff_world import World
from benchmarks.search_runs import TASKS
from diagnostics.causes import EXPLAINS
from searcher.space import holds, suggest
from trainers.config import SETTINGS

TASK = replace(TASKS["digits-mlp"], budget=90)
SPEC = TASK.spec(0, {})


@pytest.fixture(scope="module")
def table() -> list[Recorded]:
    return read("digits-mlp")


@pytest.fixture(scope="module")
def world(table: list[Recorded]) -> World:
    return World(TASK, table)


def test_a_table_is_read_as_it_was_written(tmp_path: Path, rng: Generator) -> None:
    def of(epochs: int, doomed: tuple[float, str] | None) -> tuple[tuple[float, float], ...]:
        values = [round(float(v), 3) for v in rng.uniform(0.1, 9, epochs)]
        values[-1] = math.inf if doomed else values[-1]
        return tuple((float(n), value) for n, value in enumerate(values, 1))

    ends = [None, (0.5, "diverging"), (2.25, "bad-init-scale"), None]
    known = [
        Recorded(
            {**point, "learning_rate": 0.01 * n, "dropout": 0.1} | ({"init_std": 0.5} if off else {}),
            of(3, end),
            end,
        )
        for n, (point, end) in enumerate(zip(points(SPEC, 4), ends, strict=True), 1)
        for off in ["init_std" in point]
    ]
    write(tmp_path / "digits-mlp.csv", SPEC, 1, known)
    assert read("digits-mlp", tmp_path) == known
    write(tmp_path / "digits-mlp.csv", SPEC, 3, known)
    assert [one.values for one in read("digits-mlp", tmp_path)] == [one.values[2:] for one in known]


def test_a_table_is_made_of_real_trainings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny = replace(TASK, train={**TASK.train, "epochs": 2, "max_samples": 100, "width": 4})
    monkeypatch.setitem(TASKS, "digits-mlp", tiny)
    make("digits-mlp", 2, tmp_path)
    first, second = read("digits-mlp", tmp_path)
    assert [epoch for epoch, _ in first.values] == [1.0, 2.0]
    again = recorded(tiny.spec(0, {}), next(points(tiny.spec(0, {}), 1)))
    assert first.values[0][1] == pytest.approx(again.values[0][1], rel=1e-3)
    assert first.params != second.params


@pytest.mark.parametrize("name", TASKS)
def test_the_tables_that_come_along_have_sound_and_doomed_trainings(name: str) -> None:
    trainings = read(name)
    doomed = [one for one in trainings if one.doomed is not None]
    assert len(trainings) >= 100
    assert 0.2 < len(doomed) / len(trainings) < 0.6
    assert all(one.doomed is not None and one.doomed[1] in EXPLAINS for one in doomed)


def test_a_world_gives_a_recorded_point_its_own_training(world: World, table: list[Recorded]) -> None:
    for one in table[::10]:
        told = world.training(one.params)
        assert (told.doomed is None) == (one.doomed is None)
        if one.doomed is not None:
            assert told.doomed == (pytest.approx(one.doomed[0]), one.doomed[1])
        elif all(math.isfinite(value) for _, value in one.values):
            best = min(value for _, value in one.values)
            assert told.values[-1][1] == pytest.approx(min(best, 3 * TASK.trivial))


def test_the_same_point_is_always_the_same_training(world: World, table: list[Recorded]) -> None:
    for point in points(SPEC, 5):
        assert world.training(point) == world.training(point)
        values = [value for _, value in world.training(point).values]
        assert values == sorted(values, reverse=True), "it is the best so far"


def searched(world: World, arm: Arm, seed: int, budget: int = 90) -> Course:
    course = Course("digits-mlp", arm.name, seed)
    search(world, replace(TASK, budget=budget), course, arm)
    return course


@pytest.mark.parametrize("arm", [arm for arm in ARMS.values() if arm.sampler != "gp"], ids=lambda a: a.name)
def test_a_search_ends_with_its_epochs(world: World, arm: Arm, rng: Generator) -> None:
    course = searched(world, arm, int(rng.integers(1000)), 30)
    assert 30 <= sum(course.epochs_of) <= 39
    assert len(course.values) == len(course.spent) == len(course.trials)
    assert course.doomed <= len(course.epochs_of)
    if arm.way is Way.UNNOTICED:
        assert course.doomed == 0


def test_gp_searches_with_and_without_blame(world: World) -> None:
    for name in ("gp both, pruner none", "gp both blame 1, pruner none"):
        course = searched(world, replace(ARMS[name]), 1, 60)
        assert sum(course.epochs_of) >= 60


def test_tpe_does_not_look_at_the_stand_in_of_what_violates_a_constraint(
    world: World, rng: Generator
) -> None:
    seed = int(rng.integers(1000))
    both, constraint = (
        searched(world, Arm("tpe", way, 0, "none"), seed, 150) for way in (Way.BOTH, Way.CONSTRAINT)
    )
    assert both.values == constraint.values


def test_blame_is_laid_on_settings_by_kinds_that_exist() -> None:
    assert BLAMED.keys() <= EXPLAINS.keys()
    assert {name for names in BLAMED.values() for name in names} <= set(SETTINGS)


def told(study: optuna.Study) -> optuna.trial.FrozenTrial:
    trial = study.ask()
    suggest(trial, SPEC)
    return study.tell(trial, 1.0)


def test_a_redrawn_trial_keeps_what_is_blamed_and_its_conditions(rng: Generator) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=int(rng.integers(1000))))
    for kind, blamed in BLAMED.items():
        trial = told(study)
        twins = [redrawn(SPEC, trial, blamed, seed) for seed in range(8)]
        for twin in twins:
            kept = {name for name in trial.params if name in blamed}
            assert {name: twin.params[name] for name in kept} == {name: trial.params[name] for name in kept}
            assert twin.params.keys() == {n for n, s in SPEC.space.items() if holds(s.when, twin.params)}, (
                kind
            )
            assert twin.params.keys() == twin.distributions.keys()
        if "dropout" not in blamed:
            assert len({twin.params["dropout"] for twin in twins}) == 8


def test_only_trials_whose_cause_is_known_are_seen_otherwise(rng: Generator) -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=int(rng.integers(1000))))
    trials = [told(study) for _ in range(4)]
    copies = int(rng.integers(1, 5))
    blaming = Blaming(study, SPEC, {1: "learning-rate-too-high", 2: "not-learning"}, copies)
    seen = blaming._get_trials(states=(TrialState.COMPLETE,))
    assert [trial.number for trial in seen] == [0, *[1] * copies, 2, 3]
    for trial in seen:
        was = trials[trial.number].params
        assert trial.params["learning_rate"] == was["learning_rate"]
        assert (trial.params == was) == (trial.number != 1)
    assert [t.params for t in seen] == [t.params for t in blaming._get_trials(states=(TrialState.COMPLETE,))]
    study.ask()
    later = blaming._get_trials(states=(TrialState.COMPLETE,))
    assert later[1].params != seen[1].params, "each ask draws anew"


def made_up(name: str, seed: int, *values: float) -> Course:
    epochs = [float(n) for n in range(1, len(values) + 1)]
    return Course(
        "digits-mlp", name, seed, epochs, epochs, [*values], [*range(len(values))], [1.0] * len(values), 4.0
    )


def test_figures_of_known_searches() -> None:
    half, epochs = TASKS["digits-mlp"].trivial / 2, TASKS["digits-mlp"].budget
    courses = [made_up("tpe both", seed, half, half) for seed in range(6)]
    courses += [made_up("tpe failed", seed, 2 * half, 0.0) for seed in range(6)]
    found = dict(measures("digits-mlp", courses))
    assert found["tpe both", 0] == pytest.approx((0.5, 0.5, 0.0), abs=1 / epochs)
    assert found["tpe failed", 5] == pytest.approx((0.0, 0.0, 0.5), abs=3 / epochs)
    (against,) = together(courses)
    assert (against.name, against.pairs) == ("tpe failed", 6)
    for (difference, p), expected in zip(
        (against.last, against.area, against.dead), (-0.5, -0.5, 0.5), strict=True
    ):
        assert difference == pytest.approx(expected, abs=3 / epochs) and p < 0.05
    assert "| 6, 0 |" in task_table("digits-mlp", courses)
    assert "-0.5000" in together_table(courses)


def test_results_of_commands_of_their_own_outlive_the_others() -> None:
    assert kept("# Benchmarks\n\n## Doors\n") == ""
    assert kept(f"# Benchmarks\n\n{KEPT}\n\n## Cliff\n") == f"\n{KEPT}\n\n## Cliff\n"
    assert "cliff" in kept(RESULTS.read_text(encoding="utf-8"))
