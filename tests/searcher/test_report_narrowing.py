"""Where a range ends: at the tightest bound that trials support, on its steps, and not by chance."""

from __future__ import annotations

import numpy as np
import pytest
from made_up_study import made_up_spec

from searcher.report.numbers.bounds import beyond
from searcher.report.numbers.narrowing import CHANCE, Evidence, Narrowed, at_least, narrowed, none_of
from searcher.report.numbers.next_space import Space, left_over
from searcher.report.numbers.scales import Column, Mask, Scale, scale_of
from searcher.report.observations import Condition, Region
from searcher.spec import Range


@pytest.mark.parametrize(("step", "values"), [(0.1, 8), (0.05, 15), (0.03, 20)])
def test_ends_of_ranges_with_steps_are_without_the_dust_of_fractions(step: float, values: int) -> None:
    high = float(f"{step * (values - 1):.12g}")
    setting = Range(low=0.0, high=high, step=step)
    column = Column("x", np.linspace(0, 1, 40), np.ones(40, dtype=bool), scale_of("x", setting))
    assert column.scale is not None and column.scale.values == values
    good = np.arange(40) < 4
    found = narrowed(column, Evidence((good, good), np.zeros(40, dtype=bool)))
    assert found.high is not None and found.high == float(f"{round(found.high / step) * step:.12g}")
    space = {"x": {"low": 0.0, "high": high, "step": step}}
    wider = beyond(made_up_spec(space=space), "x", "high")
    assert wider is not None and wider > high and wider == float(f"{round(wider / step) * step:.12g}")


@pytest.mark.parametrize(
    ("low", "word", "is_left"),
    [(0.3, "at most", False), (0.29, "at most", True), (0, "at most", True), (0.3, "above", True)],
)
def test_a_range_that_begins_where_failures_end_has_left_them(low: float, word: str, is_left: bool) -> None:
    bound = 0 if low == 0 else 0.3
    region = Region("any", "rule", (Condition("x", word, bound),), 1, 1, 0, 1, 1.0)
    space: Space = {"x": Range(low=low, high=5 if low == 0 else 0.9)}
    assert bool(left_over(space, [region])) is is_left


def test_the_chance_of_no_good_trial_equals_drawing_them(rng: np.random.Generator) -> None:
    of, good, trials = 20, 5, int(rng.integers(1, 10))
    drawn = np.mean([rng.permutation(of)[:trials].min() >= good for _ in range(20_000)])
    assert none_of(trials, of, good) == pytest.approx(float(drawn), abs=0.02)
    assert none_of(16, of, good) == 0.0
    assert at_least(1, trials, of, good) == pytest.approx(1 - none_of(trials, of, good))
    assert at_least(0, trials, of, good) == pytest.approx(1)


def test_a_part_without_good_trials_is_kept_while_chance_could_have_done_it() -> None:
    u = np.linspace(0, 1, 40)
    column = Column("x", u, np.ones(40, dtype=bool), Scale(0.0, 1.0))
    for first_good in range(36):
        good = (np.arange(40) >= first_good) & (np.arange(40) < first_good + 4)
        found = narrowed(column, Evidence((good, good), np.zeros(40, dtype=bool)))
        is_told = none_of(first_good, 40, 4) <= CHANCE and u[first_good] > 0.1
        assert (found.low is not None) == is_told
        if found.low is not None:
            assert 0 < found.low < u[first_good]


def test_the_better_half_says_what_the_best_quarter_is_too_small_for() -> None:
    number = np.arange(40)
    column = Column("x", number / 39, np.ones(40, dtype=bool), Scale(0.0, 1.0))
    quarter, half = np.isin(number, (12, 20, 25, 39)), (number >= 12) & (number % 2 == 0)
    found = narrowed(column, Evidence((quarter, half), np.zeros(40, dtype=bool)))
    assert found.low is not None and found.high is None
    assert found.reasons == (
        "none of the 12 trials below 0.308 is among the best 14 of 40 (chance alone: 0.17 %)",
    )
    assert narrowed(column, Evidence((quarter, quarter), np.zeros(40, dtype=bool))).low is None


def ends_of(good: Mask, failed: Mask, *rules: tuple[Condition, ...], norm: Mask | None = None) -> Narrowed:
    """What becomes of a range from 0 to 1 with 40 even trials, by rules that hold for its failures."""
    u = np.linspace(0, 1, 40)
    every = np.ones(40, dtype=bool)
    inside = []
    for rule in rules:
        met = every
        for condition in rule:
            bound = condition.value
            if isinstance(bound, tuple):
                assert norm is not None
                met = met & norm
            else:
                met = met & (u > bound if condition.word == "above" else u <= bound)
        inside.append(met)
    regions = tuple(Region("any", f"rule {k}", rule, 1, 1, 0, 1, 1.0) for k, rule in enumerate(rules))
    column = Column("x", u, every, Scale(0.0, 1.0))
    return narrowed(column, Evidence((good, good), failed, regions, tuple(inside)))


def test_of_a_failing_bound_and_one_of_good_trials_the_tighter_is_kept() -> None:
    u = np.linspace(0, 1, 40)
    good = (u > 0.4) & (u < 0.6)
    loose = ends_of(good, u > 0.9, (Condition("x", "above", 0.9),))
    assert loose.high is not None and 0.6 < loose.high < 0.7
    assert "none of the" in loose.reasons[-1] and "rule 0, and no good trial lies there" in loose.reasons[-1]
    tight = ends_of(good, u > 0.61, (Condition("x", "above", 0.61),))
    assert tight.high == 0.61 and tight.reasons[-1].startswith("rule 0, and no good trial lies there; none")
    rules = [(Condition("x", "at most", bound),) for bound in (0.1, 0.38)]
    for order in (rules, rules[::-1]):
        assert ends_of(good, u <= 0.38, *order).low == 0.38


def test_half_of_a_rule_is_no_bound_where_the_other_half_makes_the_difference() -> None:
    number = np.arange(40)
    u, norm = number / 39, number % 2 == 0
    rule = (Condition("x", "above", 0.8), Condition("norm", "is", ("none",)))
    good = np.isin(number, (1, 5, 28))
    failed = (u > 0.8) & norm
    assert ends_of(good, failed, rule, norm=norm).high is None, "4 untested trials: chance"
    assert ends_of(good, u > 0.8, rule, norm=norm).high == 0.8, "what is beyond fails with the other norm too"
    assert ends_of(good, failed, rule[:1]).high == 0.8
    never_tried = ends_of(good, u > 0.8, rule, norm=u > 0.8)
    assert never_tried.high is None, "nothing is known of other norms there"
