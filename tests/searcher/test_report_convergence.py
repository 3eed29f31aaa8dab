"""How the search went: the best so far, whether it rests, values on bounds and what lies beyond them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_study import made_up_spec, made_up_study

from searcher.report.numbers.bounds import Side, at_bounds, beyond
from searcher.report.numbers.convergence import convergence
from searcher.report.study_report import Spread
from searcher.spec import Goal, StudySpec
from searcher.trial import Outcome, TrialResult

NOISE = Spread(0.02, "evaluations", 6)


def with_values(values: Sequence[float], goal: Goal = "maximize") -> tuple[StudySpec, list[TrialResult]]:
    """A study of completed trials with these values."""
    spec, results = made_up_study(len(values), 1, lambda _: "", pruned=0.0)
    spec = spec.model_copy(update={"metric": spec.metric.model_copy(update={"goal": goal})})
    return spec, [replace(result, value=value) for result, value in zip(results, values, strict=True)]


def test_the_best_so_far_follows_the_order_in_which_trials_ended() -> None:
    spec, results = with_values([0.5, 0.7, 0.6])
    first, second, third = results
    later = [replace(first, ended_at=second.ended_at + 1), second, third]
    found = convergence(spec, later, None)
    assert found.best == (0.7, 0.7, 0.7) and found.trials == (1, 2, 3)
    np.testing.assert_allclose(
        found.seconds, np.cumsum([second.seconds, first.seconds, third.seconds]), atol=1e-3
    )


def test_only_trials_that_were_trained_to_their_end_count() -> None:
    spec, results = with_values([0.9, 0.7, 0.6])
    results[0] = replace(results[0], outcome=Outcome.PRUNED)
    found = convergence(spec, results, None)
    assert found.best == (0.7, 0.7) and found.trials == (2, 3)
    assert found.seconds[0] == pytest.approx(results[0].seconds + results[1].seconds, abs=1e-3)


def test_the_best_so_far_is_the_lowest_of_a_metric_to_minimize() -> None:
    found = convergence(*with_values([0.5, 0.7, 0.4, 0.6], "minimize"), None)
    assert found.best == (0.5, 0.5, 0.4, 0.4)
    rests = convergence(*with_values([0.9] * 9 + [0.5] * 6, "minimize"), NOISE)
    assert rests.levelled_off is True
    falls = convergence(*with_values([0.9] * 9 + [0.5] * 5 + [0.3], "minimize"), NOISE)
    assert falls.levelled_off is False and "went from 0.5 to 0.3" in falls.text


@pytest.mark.parametrize(
    ("last", "spread", "levelled", "says"),
    [
        (
            0.80,
            NOISE,
            True,
            "has stayed 0.8 over the last 5 of 15 trials trained to their end, and 5 of them",
        ),
        (0.81, NOISE, True, "5 of them came as far, within its noise of ± 0.02: the search has levelled off"),
        (0.90, NOISE, False, "went from 0.8 to 0.9 over the last 5 of 15 trials trained to their end, more"),
        (0.90, None, False, "how much of that is noise is not known"),
    ],
)
def test_it_rests_when_the_last_third_brought_no_more_than_noise(
    last: float, spread: Spread | None, levelled: bool, says: str
) -> None:
    found = convergence(*with_values([0.5] * 9 + [0.8] * 5 + [last]), spread)
    assert found.levelled_off is levelled
    assert says in found.text


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
@pytest.mark.parametrize("trials", [12, 60])
@pytest.mark.parametrize("spread", [None, Spread(0.2, "evaluations", 6)])
def test_values_of_pure_chance_have_not_levelled_off(
    goal: Goal, trials: int, spread: Spread | None, rng: np.random.Generator
) -> None:
    spec, results = with_values([0.0] * trials, goal)
    said = 0
    for _ in range(400):
        drawn = [replace(result, value=float(rng.normal())) for result in results]
        said += bool(convergence(spec, drawn, spread).levelled_off)
    assert said <= 0.12 * 400, "5 % are meant"


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_that_nothing_better_came_is_no_evidence_unless_the_best_came_very_early(goal: Goal) -> None:
    sign = 1 if goal == "maximize" else -1
    worse = [0.3 + 0.01 * i for i in range(40)]
    early = convergence(*with_values([sign * v for v in (0.5, 0.9, *worse)], goal), None)
    assert early.levelled_off is True
    assert f"no better val_accuracy than {sign * 0.9:g} in the last 40 of 42 trials" in early.text
    late = convergence(*with_values([sign * v for v in (*worse[:9], 0.9, *worse[9:])], goal), None)
    assert late.levelled_off is None
    assert "in the last 31 of 41 trials trained to their end; that may be chance" in late.text


@pytest.mark.parametrize("outcome", [Outcome.DOOMED, Outcome.FAILED, Outcome.PRUNED])
def test_trials_that_were_not_trained_to_their_end_are_no_sign_of_rest(outcome: Outcome) -> None:
    spec, results = with_values([0.5 + 0.01 * i for i in range(14)] + [0.1] * 16)
    cut = [*results[:14], *(replace(result, outcome=outcome) for result in results[14:])]
    found = convergence(spec, cut, NOISE)
    assert found.levelled_off is False and "over the last 4 of 14 trials trained to their end" in found.text


def test_few_trials_and_failures_say_nothing() -> None:
    assert convergence(*with_values([]), None).text == "No trial has ended yet."
    few = convergence(*with_values([0.5] * 3), None)
    assert few.levelled_off is None and few.text.startswith("3 trials are too few")
    failed = convergence(*made_up_study(20, 1, lambda _: "diverging"), None)
    assert failed.best == () and failed.levelled_off is None and "None of the 20 trials" in failed.text


def space_of(**space: Any) -> StudySpec:
    return made_up_spec(space=space)


@pytest.mark.parametrize(
    ("name", "setting", "value", "side"),
    [
        ("learning_rate", {"low": 1e-4, "high": 1.0, "log": True}, 0.9, "high"),
        ("learning_rate", {"low": 1e-4, "high": 1.0, "log": True}, 1.1e-4, "low"),
        ("learning_rate", {"low": 1e-4, "high": 1.0, "log": True}, 0.5, None),
        ("dropout", {"low": 0.0, "high": 0.6}, 0.01, "low"),
        ("batch_size", [16, 32, 64], 64, "high"),
        ("batch_size", [64, 32, 16], 16, "low"),
        ("batch_size", [16, 32, 64], 32, None),
        ("batch_size", [16, 32], 32, None),
        ("norm", ["none", "batch", "layer"], "layer", None),
        ("depth", {"low": 3, "high": 3}, 3, None),
        ("depth", {"low": 1, "high": 2}, 2, None),
        ("depth", {"low": 1, "high": 3}, 3, "high"),
        ("dropout", {"low": 0.0, "high": 0.5, "step": 0.5}, 0.5, None),
    ],
)
def test_values_on_a_bound(name: str, setting: Any, value: Any, side: str | None) -> None:
    found = at_bounds(space_of(**{name: setting}), {name: value})
    assert [bound.bound for bound in found] == ([] if side is None else [side])


@pytest.mark.parametrize(
    ("name", "setting", "side", "value"),
    [
        ("learning_rate", {"low": 1e-4, "high": 1.0, "log": True}, "high", 10.0),
        ("learning_rate", {"low": 1e-4, "high": 1.0, "log": True}, "low", 1e-5),
        ("dropout", {"low": 0.0, "high": 0.6}, "high", 0.75),
        ("dropout", {"low": 0.0, "high": 0.6}, "low", None),
        ("dropout", {"low": 0.0, "high": 0.9}, "high", 0.95),
        ("dropout", {"low": 0.1, "high": 0.6}, "low", 0.0),
        ("dropout", {"low": 0.0, "high": 0.9, "step": 0.1}, "high", None),
        ("dropout", {"low": 0.0, "high": 0.8, "step": 0.1}, "high", 0.9),
        ("dropout", {"low": 0.2, "high": 0.9, "step": 0.1}, "low", 0.0),
        ("dropout", {"low": 0.1, "high": 0.9, "step": 0.1}, "low", 0.0),
        ("learning_rate", {"low": 0.001, "high": 0.1}, "low", 0.0005),
        ("depth", {"low": 2, "high": 20}, "low", 1),
        ("depth", {"low": 5, "high": 40}, "low", 3),
        ("own", {"low": 0.1, "high": 2.0}, "low", 0.05),
        ("own", {"low": -1.0, "high": 2.0}, "low", -1.8),
        ("own", {"low": 2, "high": 20}, "low", 1),
        ("depth", {"low": 1, "high": 6}, "high", 7),
        ("depth", {"low": 1, "high": 6}, "low", None),
        ("width", {"low": 16, "high": 256, "log": True}, "high", 512),
        ("width", {"low": 32, "high": 128, "step": 32}, "high", 160),
        ("batch_size", [16, 32, 64], "high", 128),
        ("batch_size", [16, 32, 64], "low", 8),
        ("batch_size", [128, 64, 32], "high", 256),
        ("depth", [1, 2, 3], "high", 4),
        ("dropout", [0.1, 0.2, 0.3], "low", 0.0),
        ("dropout", [0.0, 0.2, 0.3], "low", None),
        ("dropout", [0.3, 0.6, 0.9], "high", 0.95),
        ("depth", [1, 2, 3], "low", None),
        ("depth", [2, 4, 6], "low", 1),
        ("weight_decay", [1e-5, 1e-4, 1e-3], "high", 1e-2),
    ],
)
def test_what_lies_beyond_a_bound(name: str, setting: Any, side: Side, value: float | None) -> None:
    found = beyond(space_of(**{name: setting}), name, side)
    assert found == (None if value is None else pytest.approx(value))
    assert value is None or type(found) is type(value)


def test_the_text_names_the_settings_on_a_bound() -> None:
    spec, results = with_values([0.5] * 20)
    at_end = {**results[7].settings, "learning_rate": 0.99, "dropout": 0.0, "batch_size": 16}
    results[7] = replace(results[7], value=0.9, settings=at_end)
    text = convergence(spec, results, None).text
    assert (
        "The best learning_rate, 0.99, lies on the upper bound of its range, and a better one may lie" in text
    )
    assert "The best dropout, 0, lies on the lower bound of its range, and cannot be widened." in text
    assert "The best batch_size, 16, is the smallest of its choices" in text
