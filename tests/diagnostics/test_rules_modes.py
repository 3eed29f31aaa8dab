"""Rules about dropout, modes and answers: sick, healthy and too-little trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chance import seldom
from made_up import (
    DUE,
    EVALUATED,
    STEPS,
    TRIVIAL,
    Array,
    due,
    none_found,
    says_too_little,
    the_finding,
    training,
)

from diagnostics import Rule, Series, Severity, Signals
from diagnostics.rules import constant_predictions, dropout_too_high, mode_mismatch


def with_dropout(rng: np.random.Generator, loss: float, evaluated: Array) -> Signals:
    values = loss * np.exp(0.02 * rng.normal(size=STEPS))
    rows = {"loss": (range(STEPS), values), "train_loss": (EVALUATED, evaluated)}
    return Signals.of(rows)


def test_dropout_that_lets_nothing_be_learnt(rng: np.random.Generator) -> None:
    signals = with_dropout(rng, TRIVIAL, np.full(10, 0.99 * TRIVIAL))
    finding = the_finding(dropout_too_high.RULE, signals, dropout=0.9)
    assert finding.severity is Severity.WARNING
    assert "takes 90 % of the units away" in finding.cause and "from 0.9 to about 0.3" in finding.remedy


def test_dropout_that_makes_a_network_underfit(rng: np.random.Generator) -> None:
    found = []
    for _ in range(100):
        signals = with_dropout(rng, 2.1, 1.3 + 0.01 * rng.normal(size=10))
        found.append(none_found(dropout_too_high.RULE, signals, dropout=0.5))
        if not found[-1]:
            assert the_finding(dropout_too_high.RULE, signals, dropout=0.5).severity is Severity.WARNING
    assert seldom(found, 0.06)  # that the evaluations look as if they still fell; measured: 3.1 %


def test_dropout_as_a_function_shows_by_its_zeros(rng: np.random.Generator) -> None:
    inputs = ("hidden2.input", "head.input")
    z, d = due((0.9, 0.9), inputs), Series(np.array([64]), np.zeros((1, 2)), inputs)
    signals = Signals({**with_dropout(rng, TRIVIAL, np.full(10, TRIVIAL)), "zero_share": z, "dead_share": d})
    assert "80 % of the units" in the_finding(dropout_too_high.RULE, signals).cause
    died = np.full((len(DUE), 2), 0.95)
    died[:4] = 0.5
    later = Signals({**signals, "zero_share": due(died, inputs)})
    assert none_found(dropout_too_high.RULE, later)


@pytest.mark.parametrize("rate", [0.0, 0.3, 0.5])
def test_usual_dropout_is_left_alone(rng: np.random.Generator, rate: float) -> None:
    falling = TRIVIAL * np.exp(-np.arange(10) / 4)
    signals = training(rng, True, train_loss=Series(EVALUATED, falling))
    assert none_found(dropout_too_high.RULE, signals, dropout=rate)
    assert none_found(dropout_too_high.RULE, with_dropout(rng, TRIVIAL, np.full(10, TRIVIAL)), dropout=rate)


def answering(rng: np.random.Generator, learns: bool, spread: Any, scale: float = 1.0) -> Signals:
    return training(
        rng,
        learns,
        answer_spread=due(spread),
        answer_scale=due(scale),
        answer_width=due(10),
        batch_size=due(32),
        x_spread=due(1.0),
    )


def test_a_model_that_answers_always_the_same(rng: np.random.Generator) -> None:
    spread = np.where(DUE < 100, 0.5, 1e-5)
    finding = the_finding(constant_predictions.RULE, answering(rng, False, spread))
    assert (finding.severity, finding.step) == (Severity.WARNING, 128)
    assert "since step 128" in finding.cause


def test_answers_that_differ_or_that_change_soon_are_left_alone(rng: np.random.Generator) -> None:
    assert none_found(constant_predictions.RULE, answering(rng, False, 0.5))
    assert none_found(constant_predictions.RULE, answering(rng, False, 0.02, scale=0.1)), (
        "untrained, not constant"
    )
    assert none_found(constant_predictions.RULE, answering(rng, True, np.where(DUE < 10, 0.0, 2.0)))
    single = Signals({**answering(rng, False, 0.0), "batch_size": due(1)})
    assert none_found(constant_predictions.RULE, single), "a single sample cannot differ"


def test_numbers_that_are_always_the_mean(rng: np.random.Generator) -> None:
    signals = Signals({**answering(rng, False, 0.1, scale=150), "y_spread": due(70), "answer_width": due(1)})
    finding = the_finding(constant_predictions.RULE, signals, task="regression")
    assert "shapes of answers and targets" in finding.remedy


MODES = {"batch_norms": 2, "dropouts": 1, "dropout": 0.3}


def test_training_in_evaluation_mode(rng: np.random.Generator) -> None:
    signals = training(rng, True, train_mode=due(np.where(DUE < 40, 1.0, 0.0)))
    finding = the_finding(mode_mismatch.RULE, signals, **MODES)
    assert (finding.severity, finding.step) == (Severity.WARNING, 64)
    assert "model.train()" in finding.remedy
    assert none_found(mode_mismatch.RULE, signals), "where no module cares"
    assert none_found(mode_mismatch.RULE, signals, **MODES, frozen=5), "fine-tuning"


def test_evaluation_in_training_mode(rng: np.random.Generator) -> None:
    signals = training(rng, True, eval_mode_share=Series(EVALUATED, np.zeros(10)))
    finding = the_finding(mode_mismatch.RULE, signals, **MODES)
    assert finding.severity is Severity.WARNING and "model.eval()" in finding.remedy
    assert none_found(mode_mismatch.RULE, signals), "where no module cares"
    right = training(rng, True, eval_mode_share=Series(EVALUATED, np.ones(10)), train_mode=due(1.0))
    assert none_found(mode_mismatch.RULE, right, **MODES)


def test_running_statistics_that_do_not_follow(rng: np.random.Generator) -> None:
    norms = ("norm1", "norm2")
    worse = Series(EVALUATED, np.full(10, 1.5))
    stale = training(
        rng,
        True,
        running_gap=due((3.0, 0.2), norms),
        running_ratio=due((0.02, 1.0), norms),
        train_loss=worse,
    )
    finding = the_finding(mode_mismatch.RULE, stale, **MODES)
    assert (finding.severity, finding.layers) == (Severity.WARNING, ("norm1",))
    assert "momentum" in finding.remedy
    good = Signals({**stale, "train_loss": Series(EVALUATED, TRIVIAL * np.exp(-EVALUATED / 60) + 0.05)})
    assert the_finding(mode_mismatch.RULE, good, **MODES).severity is Severity.INFO
    assert none_found(mode_mismatch.RULE, stale.until(30), **MODES), "they start at 0 and 1"
    noisy = {"running_gap": due((0.7, 0.5), norms), "running_ratio": due((0.8, 1.2), norms)}
    assert none_found(mode_mismatch.RULE, training(rng, True, **noisy), **MODES)


@pytest.mark.parametrize(
    "rule",
    [constant_predictions.RULE, dropout_too_high.RULE, mode_mismatch.RULE],
    ids=lambda rule: rule.name,
)
def test_too_little_is_said_to_be_too_little(rule: Rule) -> None:
    assert says_too_little(rule)
