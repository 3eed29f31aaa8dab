"""The pruner's image of a study: like Optuna's own store, but every attempt at a trial begins clean."""

from __future__ import annotations

import random
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from searcher.contest import Contest
from searcher.pruning import PruningBoard, build_judge, judge_of
from searcher.samplers import PRUNERS, build_pruner
from searcher.spec import StudySpec

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


def as_recorded(
    number: int, state: TrialState, values: list[float], notes: dict[str, Any]
) -> optuna.trial.FrozenTrial:
    trial = optuna.trial.create_trial(
        state=state,
        value=values[-1],
        intermediate_values=dict(enumerate(values, start=1)),
        system_attrs=notes,
    )
    trial.number = number
    return trial


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
    board = PruningBoard(build_judge(pruner, OPTIONS.get(pruner, {}), Contest(name, "minimize")))
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
        board = PruningBoard(build_judge(pruner, {}, Contest(name, "minimize")), recorded)
        board.begin(number)
        due, state = walk(board, number, curve)
        assert (due, state) == expected[number]
        notes = board.end(number, state, curve[due - 1])
        recorded.append(as_recorded(number, state, curve[:due], notes))


@pytest.mark.parametrize("pruner", PRUNERS)
def test_what_ended_elsewhere_counts_as_if_it_had_ended_here(pruner: str) -> None:
    all_curves, name = curves(30), name_of_a_study()
    expected = by_optuna(pruner, name, all_curves)
    judges = [build_judge(pruner, OPTIONS.get(pruner, {}), Contest(name, "minimize")) for _ in range(2)]
    boards, told = [PruningBoard(judge) for judge in judges], random.randrange(30)
    for number, curve in enumerate(all_curves):
        here, there = random.sample(boards, 2)
        here.begin(number)
        if number == told:  # taken over from there, where it came half as far
            there.begin(number)
            walk(there, number, [9.0, 9.0])
        due, state = walk(here, number, curve)
        assert (due, state) == expected[number]
        trial = as_recorded(number, state, curve[:due], here.end(number, state, curve[due - 1]))
        for _ in range(random.randrange(1, 3)):  # it may be said again
            there.learn([trial])


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_that_ended_elsewhere_is_not_given_up_here(pruner: str) -> None:
    board = PruningBoard(build_judge(pruner, OPTIONS.get(pruner, {}), Contest("a study", "minimize")))
    board.begin(0)
    board.learn([as_recorded(0, TrialState.COMPLETE, [0.1], {})])
    assert not any(board.should_prune(0, {due: 99.0}) for due in range(1, 99))
    assert board.end(0, TrialState.COMPLETE, 99.0) == {}


@pytest.mark.parametrize("pruner", PRUNERS)
def test_nothing_is_left_of_a_trial_that_begins_anew_although_it_had_completed(pruner: str) -> None:
    all_curves, name = curves(20), name_of_a_study()
    options = {"max_resource": EVALUATIONS} if pruner == "hyperband" else OPTIONS.get(pruner, {})
    judges = [build_judge(pruner, options, Contest(name, "minimize")) for _ in range(2)]
    changed, plain = (PruningBoard(judge) for judge in judges)
    changed.learn([as_recorded(7, TrialState.COMPLETE, [0.01] * EVALUATIONS, {"completed_rung_0": 0.01})])
    for number, curve in enumerate(all_curves):
        for board in (changed, plain):
            board.begin(number)
        if number >= 7:
            expected = walk(plain, number, curve)
            assert walk(changed, number, curve) == expected
        else:
            expected = EVALUATIONS, TrialState.FAIL
        for board in (changed, plain):
            board.end(number, expected[1], curve[expected[0] - 1])


@pytest.mark.parametrize("pruner", PRUNERS)
def test_a_trial_out_of_its_reach_counts_for_others_as_in_another_process(pruner: str) -> None:
    all_curves, name = curves(12), name_of_a_study()
    options = {"max_resource": EVALUATIONS} if pruner == "hyperband" else OPTIONS.get(pruner, {})
    judges = [build_judge(pruner, options, Contest(name, "minimize")) for _ in range(2)]
    board, recorded = PruningBoard(judges[0]), []
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
    other = PruningBoard(judges[1], recorded)
    for number, curve in enumerate(curves(5), start=len(all_curves)):
        board.begin(number)
        other.begin(number)
        assert walk(board, number, curve) == walk(other, number, curve)


def test_the_notes_of_the_pruner_are_given_back() -> None:
    board = PruningBoard(build_judge("asha", {}, Contest("notes", "minimize")))
    board.begin(0)
    assert not board.should_prune(0, {1: 0.5})
    assert board.end(0, TrialState.COMPLETE, 0.5) == {"completed_rung_0": 0.5}


@pytest.mark.parametrize(
    ("train", "options", "first"),
    [
        ({"epochs": 27}, {}, 3),
        ({"epochs": 9, "evaluations_per_epoch": 4}, {}, 4),
        ({"epochs": 8}, {}, 1),
        ({"epochs": 90}, {"min_resource": 2}, 2),
        ({"trainer": "some.where:train", "epochs": 90}, {}, 1),
    ],
)
def test_asha_asks_first_after_a_ninth_of_a_training(
    train: dict[str, Any], options: dict[str, Any], first: int
) -> None:
    pruner = {"name": "asha", **options}
    raw = {"name": "rungs", "train": train, "space": {"dropout": [0.0, 0.5]}}
    spec = StudySpec.model_validate({**raw, "search": {"trials": 9, "pruner": pruner}})
    board = PruningBoard(judge_of(spec, spec.search.pruner))
    for number in range(4):
        board.begin(number)
        due, state = walk(board, number, [float(number)] * EVALUATIONS)
        assert (due, state is TrialState.PRUNED) == ((first, True) if number else (EVALUATIONS, False))
        board.end(number, state, float(number))
