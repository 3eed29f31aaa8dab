"""The pruner that forecasts: by hand, against a slow twin, and never within the noise."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
from scipy import stats

from searcher.contest import Contest, FinishedTrial
from searcher.forecasts import CAUTION, NEAREST, WEIGHT, Forecast, chance_of

LOWER, HIGHER = Contest("a study", "minimize"), Contest("a study", "maximize")
LONG = 8


def completed(number: int, curve: list[float]) -> FinishedTrial:
    return FinishedTrial(number, True, curve[-1], dict(enumerate(curve, start=1)))


def falling(rng: np.random.Generator, floor: float, noise: float = 0.01) -> list[float]:
    """The best value so far of a loss that falls to a floor, to which it comes nearer by the same share."""
    clean = floor + (2 - floor) * 0.5 ** np.arange(1, LONG + 1)
    return list(np.minimum.accumulate(clean + noise * rng.standard_normal(LONG)))


def judge_of(
    rng: np.random.Generator, count: int = 20, noise: float = 0.01, **options: float
) -> tuple[Forecast, list[list[float]]]:
    judge = Forecast(LOWER, **options)  # type: ignore[arg-type]
    curves = [falling(rng, floor, noise) for floor in rng.uniform(0.2, 0.6, count)]
    for number, curve in enumerate(curves):
        judge.end(completed(number, curve))
    return judge, curves


def until(curve: list[float], due: int) -> dict[int, float]:
    return dict(enumerate(curve[:due], start=1))


def test_a_training_that_falls_to_a_better_place_goes_on(rng: np.random.Generator) -> None:
    judge, _ = judge_of(rng)
    curve = falling(rng, 0.1)
    assert not any(judge.should_prune(99, until(curve, due)) for due in range(1, LONG + 1))


def test_a_training_that_stays_where_it_is_is_given_up_before_its_end(rng: np.random.Generator) -> None:
    judge, _ = judge_of(rng)
    decisions = [judge.should_prune(99, dict.fromkeys(range(1, due + 1), 1.5)) for due in range(1, LONG + 1)]
    assert any(decisions[: LONG // 2]), decisions


def test_who_is_behind_by_no_more_than_the_noise_goes_on(rng: np.random.Generator) -> None:
    """Trainings that differ by noise alone: as many are given up as cannot be helped, by the chance asked."""
    given_up, chance, rank, others = 0, 0.1, 5, 15
    for _ in range(200):
        noise, judge = float(rng.uniform(0.01, 0.3)), Forecast(LOWER, chance, rank)
        for number in range(others):
            judge.end(completed(number, falling(rng, 0.4, noise)))
        given_up += judge.should_prune(99, until(falling(rng, 0.4, noise), 3))
    assert given_up <= 200 * chance * 2, "of equals, five of sixteen come among the best five"


def test_nothing_is_said_before_enough_have_come_to_their_end(rng: np.random.Generator) -> None:
    judge, _ = judge_of(rng, count=4)
    assert not judge.should_prune(99, {1: 1e9, 2: 1e9})
    judge.end(FinishedTrial(50, False, None, {1: 0.1, 2: 0.1}))
    assert not judge.should_prune(99, {1: 1e9, 2: 1e9}), "a stopped one does not tell where it ends"
    judge.end(completed(51, falling(rng, 0.3)))
    assert judge.should_prune(99, {1: 1e9, 2: 1e9})
    assert not judge.should_prune(99, {LONG: 1e9}), "nobody has trained on from there"


@pytest.mark.parametrize("values", [{}, {1: math.nan}, {1: 0.5, 2: math.inf}])
def test_what_is_no_number_is_not_judged(values: dict[int, float], rng: np.random.Generator) -> None:
    assert not judge_of(rng)[0].should_prune(99, values)


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_goal_only_turns_the_sign(
    goal: Literal["minimize", "maximize"], rng: np.random.Generator
) -> None:
    lower, other = Forecast(LOWER), Forecast(Contest("a study", goal))
    sign = -1 if goal == "maximize" else 1
    for number in range(12):
        curve = falling(rng, rng.uniform(0.1, 0.6))
        lower.end(completed(number, curve))
        other.end(completed(number, [sign * value for value in curve]))
    for value in rng.uniform(0.2, 2, 40):
        due = int(rng.integers(1, LONG))
        assert lower.should_prune(99, {due: value}) == other.should_prune(99, {due: sign * value})


def test_the_order_and_repeats_of_news_do_not_matter(rng: np.random.Generator) -> None:
    _, curves = judge_of(rng)
    straight, mixed = Forecast(LOWER), Forecast(LOWER)
    for number, curve in enumerate(curves):
        straight.end(completed(number, curve))
    for number in rng.permutation(len(curves)):
        mixed.end(completed(int(number), falling(rng, 0.9)))
        mixed.end(completed(int(number), curves[number]))
    mixed.end(completed(77, falling(rng, 0.01)))
    mixed.forget(77)
    for value in rng.uniform(0.2, 2, 60):
        due = int(rng.integers(1, LONG))
        assert straight.should_prune(99, {due: value}) == mixed.should_prune(99, {due: value})


def test_the_chance_equals_its_slow_twin(rng: np.random.Generator) -> None:
    for _ in range(50):
        n = int(rng.integers(3, NEAREST + 1))
        away, g = rng.standard_normal(n), rng.standard_normal(n)
        usual, wanted = float(rng.uniform(0, 1)), float(rng.normal())
        h = math.sqrt(sum((x - sum(away) / n) ** 2 for x in away) / n)
        rows = [[1.0, x / h] for x in away] + [[0.0, math.sqrt(WEIGHT)]]  # the guess as one more sibling
        w, *_ = np.linalg.lstsq(np.array(rows), np.array([*g, 0.0]), rcond=None)
        rest = [y - w[0] - w[1] * x / h for x, y in zip(away, g, strict=True)]
        s = math.sqrt((sum(r * r for r in rest) + CAUTION * usual**2) / (n - 1 + CAUTION))
        sums = np.array([[n, sum(away) / h], [sum(away) / h, sum(x * x for x in away) / h**2 + WEIGHT]])
        width = s * math.sqrt(1 + np.linalg.inv(sums)[0, 0])
        expected = stats.t(n - 1 + CAUTION).cdf((wanted - w[0]) / width)
        assert chance_of(wanted, away, g, usual) == pytest.approx(expected, rel=1e-6, abs=1e-12)


def test_where_all_are_alike_only_the_line_counts() -> None:
    same = np.zeros(5)
    assert chance_of(-0.5, same, same - 1.0, 0.0) == 1
    assert chance_of(-1.5, same, same - 1.0, 0.0) == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"chance": 0}, "between 0 and 1"),
        ({"rank": 0}, "at least 1"),
        ({"n_startup_trials": 2}, "at least 3"),
    ],
)
def test_options_out_of_bounds_are_refused(options: dict[str, float], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Forecast(LOWER, **options)  # type: ignore[arg-type]
