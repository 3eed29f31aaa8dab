"""Which trials dominate which: fronts, places, crowding, and how trials stand among others on a rung."""

from __future__ import annotations

import math

import numpy as np
import pytest

from searcher.contest import Contest
from searcher.pareto import Numbers, crowding, dominated, dominators, losses, on_front, places
from searcher.standings import Standings
from searcher.vectors import from_plain, to_plain


def slow_dominates(a: Numbers, b: Numbers) -> bool:
    """Word by word: known in every objective, nowhere worse, somewhere better."""
    if any(math.isnan(x) or math.isnan(y) for x, y in zip(a, b, strict=True)):
        return False
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def slow_places(v: Numbers) -> list[int]:
    return [sum(slow_dominates(other, row) for other in v) for row in v]


def drawn(rng: np.random.Generator, n: int | None = None, m: int | None = None) -> Numbers:
    """Losses with many ties, some of them infinite or not known."""
    n, m = n or int(rng.integers(1, 30)), m or int(rng.integers(1, 5))
    v = rng.integers(0, 5, (n, m)).astype(float) if rng.random() < 0.7 else rng.normal(size=(n, m))
    v[rng.random((n, m)) < 0.05] = math.inf
    v[rng.random((n, m)) < 0.08] = math.nan
    return v


def test_places_and_fronts_are_those_of_a_slow_twin(rng: np.random.Generator) -> None:
    for _ in range(200):
        v = drawn(rng)
        slow = slow_places(v)
        assert places(v).tolist() == slow
        assert on_front(v).tolist() == [place == 0 for place in slow]
        one = v[int(rng.integers(len(v)))]
        assert dominators(v, one).tolist() == [slow_dominates(row, one) for row in v]
        assert dominated(v, one).tolist() == [slow_dominates(one, row) for row in v]


def test_whoever_dominates_stands_in_a_better_place(rng: np.random.Generator) -> None:
    v = drawn(rng, 40, 3)
    v = v[~np.isnan(v).any(axis=1)]
    found = places(v)
    for i, row in enumerate(v):
        assert np.all(found[dominators(v, row)] < found[i])


def test_what_is_not_known_neither_wins_nor_loses() -> None:
    v = np.array([[1.0, math.nan], [0.0, 0.0], [2.0, 2.0]])
    assert places(v).tolist() == [0, 0, 1]


def test_the_ends_of_a_front_are_the_least_crowded() -> None:
    v = np.array([[0.0, 4.0], [1.0, 3.0], [1.5, 2.5], [3.0, 1.0], [4.0, 0.0]])
    found = crowding(v)
    assert math.isinf(found[0]) and math.isinf(found[-1])
    assert int(np.argmin(found)) == 1 and found[3] > found[2]
    assert crowding(np.ones((3, 2))).tolist() == [0, 0, 0] and crowding(np.empty((0, 2))).tolist() == []


def test_a_sign_makes_lower_the_better(rng: np.random.Generator) -> None:
    accuracy, size = rng.random(6), rng.random(6)
    v = losses(list(zip(accuracy, size, strict=True)), [-1.0, 1.0])
    assert np.array_equal(v, np.column_stack([-accuracy, size]))
    assert losses([], [1.0, 1.0]).shape == (0, 2)


def test_trials_that_come_and_go_stand_where_a_slow_twin_puts_them(rng: np.random.Generator) -> None:
    for _ in range(30):
        goals = tuple(str(goal) for goal in rng.choice(["minimize", "maximize"], int(rng.integers(2, 4))))
        contest = Contest("s", goals[0], goals[1:])  # type: ignore[arg-type]
        standings, there = Standings(contest), {}
        for number in range(25):
            if there and rng.random() < 0.3:
                gone = int(rng.choice([*there]))
                standings.remove(gone)
                del there[gone]
            there[number] = tuple(drawn(rng, 1, len(goals))[0])
            standings.add(number, there[number])
            assert len(standings) == len(there)
            v = losses([*there.values()], contest.signs)
            slow = slow_places(v)
            best = int(rng.integers(1, len(there) + 1))
            share = float(rng.uniform(0, 100))
            for place, vector in zip(slow, there.values(), strict=True):
                assert standings.place(vector) == place
                assert standings.is_among(best, vector) == (place == 0 or place <= sorted(slow)[best - 1])
                assert standings.is_within(share, vector) == (
                    place == 0 or place <= np.percentile(slow, share, method="higher")
                )


@pytest.mark.parametrize("vector", [(1.0, 2.0), (math.nan, 0.5), (-math.inf, 3.0, math.nan)])
def test_vectors_travel_as_json(vector: tuple[float, ...]) -> None:
    back = from_plain(to_plain(vector))
    assert np.array_equal(np.array(back), np.array(vector), equal_nan=True)
