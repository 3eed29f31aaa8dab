"""Where failures live: rules that are found where they were planted, and not where chance fails."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
import pytest
from made_up_study import SPACE, Settings, made_up_spec, made_up_study

from diagnostics import Verdict
from searcher.report.numbers.failures import failure_map
from searcher.report.numbers.regions import ANY, regions
from searcher.report.numbers.scales import Column, Mask, Scale, columns_of, scale_of
from searcher.report.numbers.separating import (
    FEWEST_INSIDE,
    _candidates,
    _Search,
    _sharpened,
    find_rule,
    holds,
)
from searcher.report.observations import Condition, Region
from searcher.spec import Range

TRIALS = 60
RANGES = {name: scale_of(name, s) for name, s in made_up_spec().space.items() if isinstance(s, Range)}
CHOICES = {name: values for name, values in SPACE.items() if isinstance(values, list)}
PLANTED = (
    *[("learning_rate", word) for word in ("above", "at most", "above")],
    *[("dropout", word) for word in ("above", "at most", "above")],
    *[("depth", "above"), ("depth", "at most")],
    *[("norm", "is"), ("init", "is")],
    *[("learning_rate", "above", "norm"), ("learning_rate", "at most", "batch_size")],
    *[("learning_rate", "above", "init"), ("dropout", "above", "norm")],
    *[("dropout", "at most", "init"), ("dropout", "above", "batch_size")],
    *[("learning_rate", "above", "dropout", "above"), ("learning_rate", "at most", "dropout", "above")],
    *[("learning_rate", "above", "dropout", "at most"), ("learning_rate", "above", "depth", "above")],
)
"""What twenty planted rules are about: bounds on log, linear and whole settings on both sides, choices, and
two of these at once."""


def plant(rng: np.random.Generator, words: Sequence[str]) -> list[Condition]:
    """A rule with fresh bounds; all of it holds for at least an eighth of the space."""
    is_single = len(words) == 2
    share = rng.uniform(0.2, 0.5) if is_single else rng.uniform(0.45, 0.65)
    conditions, names = [], list(words)
    while names:
        name = names.pop(0)
        if name in CHOICES:
            names = names[1:]
            there = CHOICES[name]
            chosen = sorted(rng.permutation(len(there))[: 1 if is_single else len(there) // 2])
            conditions.append(Condition(name, "is", tuple(there[k] for k in chosen)))
            continue
        word, scale = names.pop(0), RANGES[name]
        value = scale.value(1 - share if word == "above" else share)
        conditions.append(Condition(name, word, round(value) if scale.whole else value))
    return conditions


def meets(conditions: Sequence[Condition], settings: Settings) -> bool:
    """Whether settings meet a rule."""
    for condition in conditions:
        value, bound = settings.get(condition.setting), condition.value
        if isinstance(bound, tuple):
            is_met = value in bound
        else:
            assert value is not None
            is_met = value > bound if condition.word == "above" else value <= bound
        if not is_met:
            return False
    return True


def error_of(found: Sequence[Condition], planted: Sequence[Condition]) -> float:
    """How far the bounds of a found rule are off, as a share of the range on its own scale (log on a log
    range); infinite when it is another rule."""
    known = {(c.setting, c.word): c.value for c in found}
    if len(found) != len(planted) or known.keys() != {(c.setting, c.word) for c in planted}:
        return np.inf
    error = 0.0
    for condition in planted:
        own, other = condition.value, known[condition.setting, condition.word]
        if isinstance(own, tuple) or isinstance(other, tuple):
            if own != other:
                return np.inf
        else:
            scale = RANGES[condition.setting]
            error = max(error, abs(scale.place(other) - scale.place(own)))
    return error


def first_region(seed: int, conditions: Sequence[Condition], sampler: str = "random") -> Region:
    """What a report says of a do-nothing study that fails exactly where a rule says."""
    spec, results = made_up_study(
        TRIALS, seed, lambda settings: "diverging" if meets(conditions, settings) else "", sampler
    )
    return failure_map(spec, results).regions[0]


@pytest.mark.parametrize("number", range(len(PLANTED)))
def test_a_planted_rule_is_found_with_its_bounds(number: int) -> None:
    conditions = plant(np.random.default_rng(number), PLANTED[number])
    region = first_region(number, conditions)
    assert error_of(region.conditions, conditions) <= 0.1, (conditions, region.text)
    assert region.failed_inside == region.trials_inside > 0 == region.failed_outside
    assert f"{region.failed_inside} of {region.trials_inside} diverged; elsewhere 0 of" in region.text


def test_what_tpe_has_tried_is_enough_for_a_plain_cliff() -> None:
    def cliff(settings: Settings) -> str:
        return "diverging" if settings["learning_rate"] > 3e-3 else ""

    spec, results = made_up_study(TRIALS, 1, cliff, "tpe")
    region = failure_map(spec, results).regions[0]
    assert error_of(region.conditions, [Condition("learning_rate", "above", 3e-3)]) <= 0.1


def test_a_rule_that_separates_all_trials_is_found_whatever_its_bound(rng: np.random.Generator) -> None:
    words = PLANTED[rng.integers(10)]
    region = first_region(int(rng.integers(1000)), plant(rng, words))
    if region.failed_inside + region.failed_outside >= 8:
        assert region.failed_inside == region.trials_inside and region.failed_outside == 0


def test_random_failures_have_no_clear_rule(rng: np.random.Generator) -> None:
    false = studies = 0
    for seed in range(4):
        spec, results = made_up_study(TRIALS, seed, sampler="tpe" if seed % 2 else "random")
        columns = columns_of(spec, results)
        for rate in np.linspace(0.1, 0.5, 25):
            found = regions("diverging", columns, rng.random(TRIALS) < rate, spec)
            studies += 1
            false += bool(found[0].conditions)
            assert found[0].conditions or found[0].text.startswith("no clear rule")
    assert false <= 0.05 * studies


def test_a_rule_survives_some_noise(rng: np.random.Generator) -> None:
    spec, results = made_up_study(200, 3)
    columns = columns_of(spec, results)
    above = columns[0].places > 0.6
    sick = np.where(rng.random(200) < 0.1, ~above, above)
    (region, *_) = regions("diverging", columns, sick, spec)
    assert (
        error_of(region.conditions, [Condition("learning_rate", "above", RANGES["learning_rate"].value(0.6))])
        <= 0.1
    )
    assert 0.8 < region.support <= 1


def test_a_second_rule_is_about_the_other_trials() -> None:
    def fails(settings: Settings) -> str:
        return "not-learning" if not 1e-3 < settings["learning_rate"] < 0.1 else ""

    spec, results = made_up_study(100, 2, fails)
    first, second = failure_map(spec, results).regions
    words = {condition.word for region in (first, second) for condition in region.conditions}
    assert words == {"above", "at most"}
    assert second.trials_inside + second.trials_outside == first.trials_outside
    assert second.text.startswith(f"of the other {first.trials_outside} trials, ")
    assert "did not learn" in second.text


@pytest.mark.parametrize(
    ("sick", "says"),
    [
        ([True] * 12, "all 12 trials diverged"),
        ([True] * 3 + [False] * 9, "3 of 12 trials diverged, too few to find one"),
        ([False] * 3 + [True] * 9, "9 of 12 trials diverged, and too few did not"),
    ],
)
def test_it_says_why_there_is_no_rule(sick: list[bool], says: str) -> None:
    spec, results = made_up_study(12)
    (region,) = regions("diverging", columns_of(spec, results), np.array(sick), spec)
    assert region.text == f"no clear rule: {says}"
    assert region.conditions == () and region.failed_outside == sum(sick)


def test_a_rule_on_a_conditional_setting_says_what_that_waits_for() -> None:
    def fails(settings: Settings) -> str:
        return "non-finite" if settings["init"] == "normal" and settings["init_std"] > 0.03 else ""

    spec, results = made_up_study(150, 5, fails)
    region = failure_map(spec, results).regions[0]
    assert "init_std above" in region.text and "(it waits for init = normal)" in region.text


def test_choices_are_named_by_the_shorter_of_what_they_are_and_are_not() -> None:
    def fails(settings: Settings) -> str:
        return "" if settings["norm"] == "batch" else "diverging"

    spec, results = made_up_study(TRIALS, 5, fails)
    assert failure_map(spec, results).regions[0].text.startswith("norm other than batch: ")


def test_pruned_trials_are_no_failures() -> None:
    spec, results = made_up_study(TRIALS, 1, lambda _: "", pruned=0.5)
    found = failure_map(spec, results)
    assert found.regions == () and found.rates == ()
    assert any(result.verdict is Verdict.INCOMPLETE for result in results)
    assert "Nothing failed" in found.note


def test_a_failure_that_has_one_kind_goes_by_its_name() -> None:
    spec, results = made_up_study(TRIALS, 1)
    found = failure_map(spec, results)
    assert {region.kind for region in found.regions} == {"diverging"}
    assert "Every trial that failed diverged" in found.note


def test_failures_of_several_kinds_have_a_rule_together() -> None:
    def fails(settings: Settings) -> str:
        return "diverging" if settings["dropout"] > 0.5 else "crashed" if settings["depth"] > 4 else ""

    spec, results = made_up_study(TRIALS, 1, fails)
    assert failure_map(spec, results).regions[0].kind == ANY


def slow_best(columns: Sequence[Column], sick: Mask) -> float:
    """The highest gain of all pairs of candidates, one by one."""

    def likelihood(y: Any) -> float:
        return sum(float(np.sum(y == v)) * np.log(np.mean(y == v)) for v in (0, 1) if np.any(y == v))

    best = 0.0
    parts = list(_candidates(columns))
    for one, other in combinations_with_replacement(parts, 2):
        inside = holds((one, other), columns)
        if FEWEST_INSIDE <= inside.sum() < len(sick) and sick[inside].mean() > sick.mean():
            gain = likelihood(sick[inside]) + likelihood(sick[~inside]) - likelihood(sick)
            best = max(best, 2 * gain)
    return best


def test_the_search_equals_trying_all_pairs_one_by_one(rng: np.random.Generator) -> None:
    n = 25
    columns = (
        Column("a", rng.random(n), np.ones(n, dtype=bool), Scale(0, 1)),
        Column("b", rng.integers(3, size=n).astype(float), rng.random(n) < 0.8, choices=("x", "y", "z")),
    )
    sick = rng.random(n) < 0.4
    gains = _Search(columns)._gains(sick)
    assert gains.max(initial=0.0) == pytest.approx(slow_best(columns, sick), abs=1e-6)


@pytest.mark.parametrize("log", [False, True])
def test_a_rounded_bound_keeps_the_trials_beside_it_on_their_sides(log: bool) -> None:
    scale = Scale(0.01, 1.0, log)
    for low, high in ((0.3, 0.31), (0.299, 0.3), (0.2999, 0.3), (0.3, 0.3001), (0.0299999, 0.03)):
        places = scale.place(low), scale.place(high)
        bound = scale.rounded(sum(places) / 2, *places)
        assert low <= bound < high, "`at most` the bound is the one, `above` it the other"


def test_sharpening_puts_the_bound_midway_between_sick_and_healthy(rng: np.random.Generator) -> None:
    u = np.sort(rng.random(50))
    columns = (Column("a", u, np.ones(50, dtype=bool), Scale(0, 1)),)
    sick = np.arange(50) >= 30
    found = find_rule(columns, sick)
    assert found is not None and found.is_clear
    (part,) = _sharpened(found.rule, columns, sick)
    assert part.cut == pytest.approx((u[29] + u[30]) / 2)
    assert part.gap == (u[29], u[30])
