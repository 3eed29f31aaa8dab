"""What a sampler is told that stopped trials would have come to."""

from __future__ import annotations

import numpy as np
import pytest
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.foretold import BARREN, LikelyEnds, foretold

COMPLETE, PRUNED, FAIL = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL


def trial(number: int, curve: list[float], state: TrialState, doomed: bool = False) -> FrozenTrial:
    values = dict(enumerate(curve, start=1))
    value = curve[-1] if state is COMPLETE else None
    constraints = {"diverging": 1.0} if doomed else None
    made = create_trial(state=state, value=value, intermediate_values=values, constraints=constraints)
    made.number = number
    return made


def values(trials: list[FrozenTrial], sign: float = 1.0) -> list[float]:
    return [seen.values[0] for seen in foretold(trials, sign)]


def test_a_trial_ends_where_one_has_ended_that_was_as_good_at_the_same_evaluation() -> None:
    likely = LikelyEnds([{1: 1.0, 2: 0.5, 3: 0.4}, {1: 2.0, 2: 1.5, 3: 1.0}])
    assert likely.end_of({1: 1.0}) == pytest.approx(0.4)
    assert likely.end_of({1: 1.5}) == pytest.approx(0.7)
    assert likely.end_of({1: 9.0, 2: 1.0}) == pytest.approx(0.7), "its newest evaluation counts"
    assert likely.end_of({1: 2.5}) == pytest.approx(1.5), "as far behind the worst as it is"
    assert likely.end_of({1: 0.1}) == pytest.approx(0.4), "no better than the best"
    assert likely.end_of({7: 0.6}) == 0.6, "none was evaluated so late"
    assert LikelyEnds([]).end_of({1: 0.6}) == 0.6


def test_a_better_standing_never_means_a_worse_end(rng: np.random.Generator) -> None:
    for _ in range(50):
        curves = [dict(enumerate(rng.normal(size=4))) for _ in range(int(rng.integers(1, 9)))]
        likely, at = LikelyEnds(curves), int(rng.integers(4))
        ends = [likely.end_of({at: v}) for v in np.sort(rng.normal(size=30))]
        assert np.all(np.diff(ends) >= -1e-12)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_stopped_trials_are_seen_as_completed_whatever_the_goal(sign: float) -> None:
    curves = [([1.0, 0.5], COMPLETE), ([2.0, 1.0], COMPLETE), ([1.5], PRUNED), ([1.2, 1.1], FAIL)]
    trials = [trial(n, [sign * v for v in curve], state) for n, (curve, state) in enumerate(curves)]
    seen = foretold(trials, sign)
    assert [one.state for one in seen] == [COMPLETE, COMPLETE, COMPLETE, FAIL]
    assert [one.values[0] for one in seen[:3]] == pytest.approx([sign * 0.5, sign * 1.0, sign * 0.75])
    assert trials[2].state is PRUNED, "the trials themselves stay as they are"


def test_what_violates_a_constraint_says_so_beside_its_last_value() -> None:
    trials = [trial(0, [0.5], COMPLETE), trial(1, [0.9], COMPLETE), trial(2, [0.1, 7.0], PRUNED, doomed=True)]
    trials.append(trial(3, [0.7], PRUNED, doomed=True))
    seen = foretold(trials, 1.0)
    assert values(trials) == pytest.approx([0.5, 0.9, 0.9, 0.7]), "a stand-in is as bad as the worst"
    assert [one.constraints for one in seen] == [{"violation": v} for v in (-1.0, -1.0, 1.0, 1.0)]
    assert foretold(trials[:2], 1.0)[0].constraints == {}, "there are none"


def test_a_value_far_beyond_all_others_does_not_hide_their_differences() -> None:
    trials = [trial(n, [v], COMPLETE) for n, v in enumerate([1.0, 1.2, 1.3, 1.4, 1e6])]
    assert values(trials) == pytest.approx([1.0, 1.2, 1.3, 1.4, 1.3 + 2 * 0.3])


def test_nothing_is_made_of_nothing() -> None:
    alone = [trial(0, [], PRUNED), trial(1, [0.3], PRUNED, doomed=True)]
    assert [one.state for one in foretold(alone, 1.0)] == [PRUNED, PRUNED]
    assert values([trial(0, [0.5], COMPLETE), trial(1, [], PRUNED)]) == [0.5, 0.5]


def test_who_was_given_up_before_a_value_violates_and_who_violates_otherwise_by_as_much_as_it_did() -> None:
    infeasible = create_trial(state=PRUNED, constraints={"parameters": 0.2, "step_time": -0.5})
    idle = create_trial(state=PRUNED, constraints={"parameters": -0.5})
    trials = [trial(0, [0.5], COMPLETE), trial(1, [0.9], COMPLETE), trial(2, [], PRUNED), infeasible, idle]
    for number, one in enumerate(trials):
        one.number = number
    seen = foretold(trials, 1.0)
    assert [one.constraints["violation"] for one in seen[2:]] == [BARREN, 0.2, BARREN]
    assert all(one.constraints["violation"] < 0 for one in seen[:2])
    assert [one.values[0] for one in seen[2:]] == pytest.approx([0.9] * 3), "the worst that is told apart"
