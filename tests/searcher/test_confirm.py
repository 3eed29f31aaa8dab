"""Which trials lead a study, which repeat is next, and what the repeats have shown."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from made_up_study import made_up_study, never

from searcher.confirming import LEADERS, Confirmation, confirmation, leaders_of, next_repeat
from searcher.repeats import Repeat
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult


def study(*values: float, confirm: int = 3) -> tuple[StudySpec, list[TrialResult]]:
    """A study of `val_accuracy` whose trials have these values, to be confirmed by so many repeats."""
    spec, results = made_up_study(len(values), 1, never, pruned=0.0)
    search = spec.search.model_copy(update={"confirm": confirm})
    spec = spec.model_copy(update={"search": search})
    return spec, [
        replace(r, value=v, outcome=Outcome.COMPLETED) for r, v in zip(results, values, strict=True)
    ]


def again(
    results: Sequence[TrialResult], repeat: Repeat, value: float, outcome: Outcome = Outcome.COMPLETED
) -> TrialResult:
    """A repeat of a trial, as it ended."""
    of = next(result for result in results if result.number == repeat.of)
    settings = {**of.settings, "seed": repeat.seed}
    return replace(
        of, number=len(results), settings=settings, value=value, outcome=outcome, confirms=repeat.of
    )


def played(
    spec: StudySpec,
    results: Sequence[TrialResult],
    worth: dict[int, float],
    rng: np.random.Generator,
    at_once: int,
) -> list[TrialResult]:
    """The study once its leaders are confirmed, when so many repeats run at once and end in any order.

    What a repeat gives hangs on its trial and seed alone.
    """
    found, running, begun = list(results), [], set()
    while True:
        while len(running) < at_once and (due := next_repeat(spec, found, begun)) is not None:
            running.append(due)
            begun.add(due)
        if not running:
            return found
        ended = running.pop(int(rng.integers(len(running))))
        noise = 0.01 * np.random.default_rng([ended.of, ended.seed]).normal()
        found.append(again(found, ended, worth[ended.of] + noise))


def pairs(results: Sequence[TrialResult]) -> list[tuple[int | None, int]]:
    return sorted((r.confirms, r.settings["seed"]) for r in results if r.confirms is not None)


def with_repeats(first: Sequence[float], *values: Sequence[float]) -> tuple[StudySpec, list[TrialResult]]:
    """A study whose trials came to `first`, and their repeats to `values`."""
    spec, results = study(*first)
    for number, own in enumerate(values):
        for seed, value in enumerate(own, start=1):
            results.append(again(results, Repeat(number, seed), value))
    return spec, results


def found(spec: StudySpec, results: Sequence[TrialResult]) -> Confirmation:
    known = confirmation(spec.metric, results)
    assert known is not None
    return known


def test_leaders_are_the_best_trials_with_settings_of_their_own() -> None:
    spec, results = study(0.7, 0.9, 0.8, 0.9, 0.6, 0.85)
    results[3] = replace(results[3], settings=results[1].settings)
    assert [leader.number for leader in leaders_of(spec.metric, results)] == [1, 5, 2]
    assert len(leaders_of(spec.metric, results)) == LEADERS
    pruned = [replace(result, outcome=Outcome.PRUNED) for result in results]
    assert leaders_of(spec.metric, pruned) == []
    assert next_repeat(spec, pruned, set()) is None


def test_the_same_repeats_are_trained_whatever_ends_first(rng: np.random.Generator) -> None:
    values = rng.uniform(0.8, 0.83, 6)
    spec, results = study(*values, confirm=5)
    worth = {number: value + rng.normal(0, 0.02) for number, value in enumerate(values)}
    alone = played(spec, results, worth, rng, at_once=1)
    for at_once in (2, 3, 7, 20):
        assert pairs(played(spec, results, worth, rng, at_once)) == pairs(alone)
    assert {seed for _, seed in pairs(alone)} == set(range(1, 6))


def test_a_leader_that_can_hardly_win_is_not_repeated_any_more(rng: np.random.Generator) -> None:
    spec, results = study(0.9, 0.89, 0.88, 0.5, confirm=6)
    ended = played(spec, results, {0: 0.9, 1: 0.5, 2: 0.4}, rng, at_once=2)
    counts = [sum(r.confirms == number for r in ended) for number in range(4)]
    assert counts == [6, 2, 2, 0], "the one that is named is repeated as often as was asked for"
    close = played(spec, results, {0: 0.9, 1: 0.9, 2: 0.9}, rng, at_once=2)
    assert sum(r.confirms is not None for r in close) > sum(counts)


def test_repeats_that_are_on_record_are_not_begun_again() -> None:
    spec, results = study(0.7, 0.9, confirm=1)
    assert next_repeat(spec, results, set()) == Repeat(1, 1)
    assert next_repeat(spec, results, {Repeat(1, 1)}) == Repeat(0, 1)
    assert next_repeat(spec, results, {Repeat(1, 1), Repeat(0, 1)}) is None
    seeded = spec.model_copy(update={"train": {"seed": 7}})
    assert next_repeat(seeded, results, set()) == Repeat(1, 8)


def test_the_value_of_settings_is_the_mean_of_the_repeats_alone(rng: np.random.Generator) -> None:
    values = rng.uniform(0.8, 0.9, (3, 4))
    spec, results = with_repeats((0.99, 0.98, 0.97), *values)
    known = found(spec, results)
    order = [int(place) for place in np.argsort(-values.mean(axis=1))]
    assert [one.trial.number for one in known.trials] == order
    pooled = math.sqrt(float(np.mean(np.var(values, axis=1, ddof=1))))
    assert known.spread == pytest.approx(pooled) and known.freedom == 9
    for one in known.trials:
        assert one.mean == pytest.approx(values[one.trial.number].mean())
        assert one.error == pytest.approx(pooled / 2)
        assert one.trial.value is not None
        assert one.gap == pytest.approx(one.trial.value - one.mean)
    assert sum(one.chance or 0.0 for one in known.trials) == pytest.approx(1.0)


def test_nothing_is_said_before_each_leader_was_repeated() -> None:
    spec, results = study(0.7, 0.8, 0.9)
    assert confirmation(spec.metric, results) is None
    for number in (0, 1):
        results.append(again(results, Repeat(number, 1), 0.8))
    assert confirmation(spec.metric, results) is None
    crashed = again(results, Repeat(2, 1), 0.8, Outcome.FAILED)
    assert confirmation(spec.metric, [*results, crashed]) is None, "an accident says nothing"
    assert found(spec, [*results, again(results, Repeat(2, 1), 0.85)]).named.trial.number == 2


def test_one_repeat_of_each_names_the_best_but_not_how_sure_that_is() -> None:
    spec, results = with_repeats((0.9, 0.8, 0.7), [0.8], [0.85], [0.7])
    known = found(spec, results)
    assert known.named.trial.number == 1 and known.named.chance is None
    assert known.spread is None and known.named.error is None


def test_a_seed_that_changes_nothing_gives_no_chance() -> None:
    spec, results = with_repeats((0.9, 0.8), [0.9, 0.9], [0.8, 0.8])
    known = found(spec, results)
    assert known.spread == 0 and known.named.chance is None and known.named.trial.number == 0


def test_the_chance_is_as_often_right_as_it_says(rng: np.random.Generator) -> None:
    said, right = 0.0, 0
    for _ in range(300):
        worth = rng.normal(0.5, 0.02, 3)
        values = worth[:, None] + rng.normal(0, 0.02, (3, 3))
        known = found(*with_repeats((0.9, 0.8, 0.7), *values))
        assert known.named.chance is not None
        said += known.named.chance
        right += known.named.trial.number == int(np.argmax(worth))
    assert abs(said - right) < 5 * math.sqrt(300 * 0.25) * 0.75


def test_what_is_said_does_not_hang_on_the_order_of_the_results(rng: np.random.Generator) -> None:
    spec, results = with_repeats((0.9, 0.8, 0.7), *rng.normal(0.8, 0.01, (3, 3)))
    mixed = [results[int(place)] for place in rng.permutation(len(results))]
    assert found(spec, mixed) == found(spec, results)


def test_who_did_not_hold_with_a_seed_comes_after_those_who_did() -> None:
    spec, results = with_repeats((0.9, 0.8), [0.9, 0.91], [0.7, 0.72])
    results.append(again(results, Repeat(0, 3), 0.1, Outcome.DOOMED))
    known = found(spec, results)
    assert [one.trial.number for one in known.trials] == [1, 0]
    assert [one.chance for one in known.trials] == [1.0, 0.0]
