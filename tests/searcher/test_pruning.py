"""The pruner's image of a study: like Optuna's own store, but every attempt at a trial begins clean."""

from __future__ import annotations

import random

import optuna
import pytest
from optuna.trial import TrialState

from searcher.pruning import PruningBoard
from searcher.samplers import PRUNERS, build_pruner

EVALUATIONS = 9
OPTIONS = {"patient": {"patience": 2}, "threshold": {"upper": 1.0}, "percentile": {"n_startup_trials": 2}}


def curves(count: int) -> list[list[float]]:
    """Losses that fall by different speeds, noisily."""
    rng = random.Random()
    speeds = [rng.uniform(0.1, 1.0) for _ in range(count)]
    return [[1.3 / (1 + s * k) + 0.1 * rng.random() for k in range(EVALUATIONS)] for s in speeds]


def name_of_a_study() -> str:
    return f"study-{random.randrange(10**6)}"


def walk(board: PruningBoard, number: int, curve: list[float]) -> tuple[int, TrialState]:
    """Evaluations until the board prunes, and the state the trial ends in."""
    values: dict[int, float] = {}
    for due, value in enumerate(curve, start=1):
        values[due] = value
        if board.should_prune(number, values):
            return due, TrialState.PRUNED
    return EVALUATIONS, TrialState.COMPLETE


def by_optuna(pruner: str, name: str, all_curves: list[list[float]]) -> list[tuple[int, TrialState]]:
    """The same walk through Optuna's own `report` and `should_prune`."""
    study = optuna.create_study(pruner=build_pruner(pruner, OPTIONS.get(pruner, {})), study_name=name)
    walks = []
    for curve in all_curves:
        trial, end = study.ask(), (EVALUATIONS, TrialState.COMPLETE)
        for due, value in enumerate(curve, start=1):
            trial.report(value, due)
            if trial.should_prune():
                end = (due, TrialState.PRUNED)
                break
        complete = end[1] is TrialState.COMPLETE
        study.tell(trial, curve[-1] if complete else None, end[1])
        walks.append(end)
    return walks


@pytest.mark.parametrize("pruner", PRUNERS)
def test_it_decides_as_optuna_does_also_when_trials_are_interrupted(pruner: str) -> None:
    all_curves, name = curves(25), name_of_a_study()
    expected = by_optuna(pruner, name, all_curves)
    board = PruningBoard(build_pruner(pruner, OPTIONS.get(pruner, {})), name, "minimize")
    walks = []
    for number, curve in enumerate(all_curves):
        board.begin(number)
        for _ in range(random.randrange(3)):  # attempts that get somewhere and are lost
            walk(board, number, curve[: random.randrange(EVALUATIONS + 1)])
            board.begin(number)
        due, state = walk(board, number, curve)
        board.end(number, state, curve[due - 1])
        walks.append((due, state))
    assert walks == expected


@pytest.mark.parametrize("pruner", ["asha", "hyperband", "median"])
def test_what_it_noted_is_enough_to_go_on_in_another_process(pruner: str) -> None:
    all_curves, name = curves(20), name_of_a_study()
    expected = by_optuna(pruner, name, all_curves)
    recorded: list[optuna.trial.FrozenTrial] = []
    for number, curve in enumerate(all_curves):
        board = PruningBoard(build_pruner(pruner, {}), name, "minimize", recorded)
        board.begin(number)
        due, state = walk(board, number, curve)
        assert (due, state) == expected[number]
        notes = board.end(number, state, curve[due - 1])
        recorded.append(
            optuna.trial.create_trial(
                state=state,
                value=curve[due - 1],
                intermediate_values=dict(enumerate(curve[:due], start=1)),
                system_attrs=notes,
            )
        )
        recorded[-1].number = number


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_out_of_its_reach_counts_for_others_as_in_another_process(pruner: str) -> None:
    all_curves, name = curves(12), name_of_a_study()
    build = build_pruner(pruner, OPTIONS.get(pruner, {}))
    board, recorded = PruningBoard(build, name, "minimize"), []
    for number, curve in enumerate(all_curves):
        values = dict(enumerate(curve, start=1))
        board.begin(number)
        for due in values:
            board.follow(number, {k: v for k, v in values.items() if k <= due})
        notes = board.end(number, TrialState.COMPLETE, curve[-1])
        assert notes == {}, "it climbs no rungs"
        recorded.append(
            optuna.trial.create_trial(value=curve[-1], intermediate_values=dict(values), system_attrs=notes)
        )
        recorded[-1].number = number
    other = PruningBoard(build_pruner(pruner, OPTIONS.get(pruner, {})), name, "minimize", recorded)
    for number, curve in enumerate(curves(5), start=len(all_curves)):
        board.begin(number)
        other.begin(number)
        assert walk(board, number, curve) == walk(other, number, curve)


def test_the_notes_of_the_pruner_are_given_back() -> None:
    board = PruningBoard(build_pruner("asha", {}), "notes", "minimize")
    board.begin(0)
    assert not board.should_prune(0, {1: 0.5})
    assert board.end(0, TrialState.COMPLETE, 0.5) == {"completed_rung_0": 0.5}
