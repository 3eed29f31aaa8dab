"""Pruning by several objectives: as with one where there is one, and no trial that nobody dominates."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from optuna.trial import TrialState, create_trial

from searcher.contest import Contest, Judge
from searcher.pruning import PruningBoard, build_judge
from searcher.samplers import PRUNERS
from searcher.spec import Goal
from searcher.vectors import OBJECTIVES, Vector, to_rows

SEVERAL = [name for name, kind in PRUNERS.items() if kind.several and name != "none"]
GOALS: tuple[Goal, ...] = ("minimize", "maximize")
EVALUATIONS = 10


def judge_of(pruner: str, contest: Contest) -> Judge:
    options: dict[str, Any] = {"max_resource": 9} if pruner == "hyperband" else {}
    return build_judge(pruner, options, contest)


def curves(rng: np.random.Generator, trials: int, objectives: int) -> list[list[Vector]]:
    """Trials of which some have the same values: those that are better stay so, most often."""
    levels = rng.integers(0, 8, (trials, objectives)).astype(float)
    return [
        [tuple(map(float, level + (rng.random(objectives) < 0.1))) for _ in range(EVALUATIONS)]
        for level in levels
    ]


@pytest.mark.parametrize("pruner", SEVERAL)
def test_an_objective_that_all_share_changes_no_decision(pruner: str, rng: np.random.Generator) -> None:
    decisions = 0
    for goal in GOALS:
        one = PruningBoard(judge_of(pruner, Contest("s", goal)))
        two = PruningBoard(judge_of(pruner, Contest("s", goal, (goal,))))
        for number, curve in enumerate(curves(rng, 30, 1)):
            if pruner in ("median", "percentile"):  # they take the best so far of one objective
                better = np.minimum if goal == "minimize" else np.maximum
                curve = [(float(v),) for v in better.accumulate([value for (value,) in curve])]
            one.begin(number), two.begin(number)
            stopped = False
            for due in range(1, EVALUATIONS):
                so_far = dict(enumerate(curve[:due], start=1))
                told = one.should_prune(number, {at: value for at, (value,) in so_far.items()})
                asked = two.should_prune(number, {at: (value, 5.0) for at, (value,) in so_far.items()})
                stopped = told
                if pruner in ("median", "percentile"):
                    assert asked <= told, "between two places the bound is the worse one"
                    stopped = told
                else:
                    assert told == asked
                decisions += told
                if stopped:
                    break
            state = TrialState.PRUNED if stopped else TrialState.COMPLETE
            one.end(number, state, 0.0), two.end(number, state, 0.0)
    assert decisions > 5


@pytest.mark.parametrize("pruner", SEVERAL)
def test_a_trial_that_no_other_dominates_is_never_given_up(pruner: str, rng: np.random.Generator) -> None:
    given_up = 0
    contest = Contest("s", "maximize", ("minimize", "minimize")[: int(rng.integers(1, 3))])
    signs = np.array(contest.signs)
    board = PruningBoard(judge_of(pruner, contest))
    known: dict[int, list[Vector]] = {due: [] for due in range(1, EVALUATIONS)}
    for number, curve in enumerate(curves(rng, 60, len(signs))):
        board.begin(number)
        state = TrialState.COMPLETE
        for due in range(1, EVALUATIONS):
            if board.should_prune(number, dict(enumerate(curve[:due], start=1))):
                own = signs * curve[due - 1]
                others = np.array(known[due]) * signs
                assert ((others <= own).all(axis=1) & (others < own).any(axis=1)).any()
                state, given_up = TrialState.PRUNED, given_up + 1
                break
            known[due].append(curve[due - 1])
        board.end(number, state, 0.0)
    assert given_up > 5


@pytest.mark.parametrize("pruner", SEVERAL)
def test_a_board_that_learns_from_the_store_decides_as_before(pruner: str, rng: np.random.Generator) -> None:
    contest = Contest("s", "minimize", ("maximize",))
    board, recorded = PruningBoard(judge_of(pruner, contest)), []
    for number, curve in enumerate(curves(rng, 30, 2)):
        other = PruningBoard(judge_of(pruner, contest), recorded)
        board.begin(number), other.begin(number)
        due, stopped = 0, False
        while due < EVALUATIONS - 1 and not stopped:
            due += 1
            so_far = dict(enumerate(curve[:due], start=1))
            stopped = board.should_prune(number, so_far)
            assert other.should_prune(number, so_far) == stopped
        state = TrialState.PRUNED if stopped else TrialState.COMPLETE
        notes = board.end(number, state, 0.0)
        trial = create_trial(
            state=state,
            values=None if stopped else [*curve[due - 1]],
            intermediate_values={at: vector[0] for at, vector in so_far.items()},
            user_attrs={OBJECTIVES: to_rows(so_far)},
            system_attrs=notes,
        )
        trial.number = number
        recorded.append(trial)


def test_what_is_not_known_yet_prunes_nobody() -> None:
    board = PruningBoard(judge_of("asha", Contest("s", "minimize", ("minimize",))))
    for number, value in enumerate((0.1, 0.2, 0.9)):
        board.begin(number)
        assert not board.should_prune(number, {1: (value, float("nan"))})
    board.begin(3)
    assert not board.should_prune(3, {1: (0.5, 1.0)}), "nobody before it says both"
    board.begin(4)
    assert board.should_prune(4, {1: (0.6, 1.0)})


def test_giving_up_whoever_comes_first_is_refused() -> None:
    with pytest.raises(ValueError, match="bootstrap_count gives up trials that no other dominates"):
        build_judge("asha", {"bootstrap_count": 3}, Contest("s", "minimize", ("minimize",)))
