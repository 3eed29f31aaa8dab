"""The rule about the last module: heads that fit neither the loss nor the targets, and heads that do."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from made_up import DUE, due, none_found, says_too_little, the_finding, training

from diagnostics import Series, Severity, Signals
from diagnostics.rules import head_mismatch


def answers(
    rng: np.random.Generator, low: Any, high: Any, width: int = 10, loss: Any = None, **more: Series
) -> Signals:
    """Answers between two bounds, and a loss around a level."""
    signals = training(rng, False, answer_min=due(low), answer_max=due(high), answer_width=due(width), **more)
    if loss is None:
        return signals
    steps = np.arange(400)
    values = np.broadcast_to(loss, (400,)) * np.exp(0.01 * rng.normal(size=400))
    return Signals({**signals, "loss": Series(steps, values)})


GAP = {"answer_sum_gap": due(1e-7)}


def test_a_softmax_over_a_single_unit_stops_a_training(rng: np.random.Generator) -> None:
    finding = the_finding(head_mismatch.RULE, answers(rng, 1, 1, 1), head="Softmax")
    assert finding.severity is Severity.FATAL and "softmax over a single unit" in finding.cause
    assert the_finding(head_mismatch.RULE, answers(rng, 1, 1, 1).until(4)).severity is Severity.FATAL


def test_a_softmax_before_the_softmax_of_the_loss(rng: np.random.Generator) -> None:
    loss = 1.53 + 0.8 * np.exp(-np.arange(400) / 50)
    finding = the_finding(head_mismatch.RULE, answers(rng, 0, 1, loss=loss, **GAP), head="Softmax")
    assert finding.severity is Severity.WARNING
    assert "cannot fall below 1.46" in finding.cause and "raw answers" in finding.remedy


def test_shares_with_a_loss_that_is_made_for_them_are_left_alone(rng: np.random.Generator) -> None:
    loss = 2.3 * np.exp(-np.arange(400) / 50)
    assert none_found(head_mismatch.RULE, answers(rng, 0, 1, loss=loss, **GAP), head="Softmax")


def test_raw_answers_and_log_probabilities_are_left_alone(rng: np.random.Generator) -> None:
    for loss in (None, 2.3 * np.exp(-np.arange(400) / 50)):
        assert none_found(head_mismatch.RULE, answers(rng, -4, 6, loss=loss))
        assert none_found(head_mismatch.RULE, answers(rng, -9, -0.001, loss=loss), head="LogSoftmax")


def test_a_sigmoid_before_the_softmax_of_the_loss(rng: np.random.Generator) -> None:
    loss = 1.5 + 0.8 * np.exp(-np.arange(400) / 50)
    finding = the_finding(head_mismatch.RULE, answers(rng, 0.01, 0.99, loss=loss), head="Sigmoid")
    assert finding.severity is Severity.WARNING


def test_a_sigmoid_before_the_sigmoid_of_the_loss(rng: np.random.Generator) -> None:
    loss = 0.505 + 0.18 * np.exp(-np.arange(400) / 20)
    twice = answers(rng, 0.001, 0.999, 1, loss, answer_spread=due(0.48))
    facts: dict[str, Any] = {"trivial_loss": math.log(2), "outputs": 2, "head": "Sigmoid"}
    assert "sigmoid before the sigmoid" in the_finding(head_mismatch.RULE, twice, **facts).cause
    once = answers(rng, 0.001, 0.999, 1, loss - 0.45, answer_spread=due(0.48))
    assert none_found(head_mismatch.RULE, once, **facts)


def test_a_cross_entropy_cannot_be_negative(rng: np.random.Generator) -> None:
    finding = the_finding(head_mismatch.RULE, answers(rng, -9, 9, loss=-np.arange(400.0)))
    assert finding.severity is Severity.WARNING and "log_softmax before nll_loss" in finding.remedy


def test_class_numbers_taken_for_amounts(rng: np.random.Generator) -> None:
    finding = the_finding(head_mismatch.RULE, answers(rng, 0.2, 8, 1, loss=8.0, y_max=due(9)))
    assert finding.severity is Severity.WARNING and "use 10 outputs" in finding.remedy
    assert none_found(head_mismatch.RULE, answers(rng, -3, 3, 1, y_max=due(1))), "two classes, one answer"


def test_a_loss_without_a_gradient(rng: np.random.Generator) -> None:
    signals = answers(rng, -0.1, 0.1, loss=18.0, total_grad_norm=due(0.0))
    finding = the_finding(head_mismatch.RULE, signals)
    assert finding.severity is Severity.WARNING and "no cross-entropy" in finding.cause


def numbers(rng: np.random.Generator, low: Any, high: Any, level: float, **y: float) -> Signals:
    targets = {f"y_{name}": due(value) for name, value in y.items()}
    return answers(rng, low, high, 1, level, **targets)


REGRESSION: dict[str, Any] = {"task": "regression", "trivial_loss": 1.0, "outputs": 1}


@pytest.mark.parametrize(("head", "low", "high"), [("ReLU", 0, 3), ("Sigmoid", 0.01, 0.98)])
def test_a_head_that_cannot_reach_the_targets(
    rng: np.random.Generator, head: str, low: float, high: float
) -> None:
    signals = numbers(rng, low, high, 0.7, mean=0, spread=1, min=-2.5, max=2.5)
    finding = the_finding(head_mismatch.RULE, signals, **REGRESSION, head=head)
    assert finding.severity is Severity.WARNING
    assert "the targets lie between -2.5 and 2.5" in finding.cause


def test_a_bound_that_only_the_answers_show(rng: np.random.Generator) -> None:
    high = np.minimum(1.0, 0.1 + DUE / 50)
    signals = numbers(rng, -0.2, high, 2600, mean=50, spread=20, min=5, max=90)
    finding = the_finding(head_mismatch.RULE, signals, **{**REGRESSION, "trivial_loss": 400.0})
    assert finding.severity is Severity.WARNING and "between -1 and 1" in finding.cause


def test_a_loss_of_every_answer_with_every_target(rng: np.random.Generator) -> None:
    b, y = rng.normal(0.3, 0.5, (len(DUE), 32)), rng.normal(1, 2, (len(DUE), 32))
    found = {"answer_spread": b.std(1), "answer_scale": np.sqrt((b**2).mean(1)), "y_mean": y.mean(1)}
    found |= {"y_spread": y.std(1), "batch_size": 32}
    signals = answers(rng, -3, 3, 1, **{name: due(values) for name, values in found.items()})
    every = ((b[:, :, None] - y[:, None, :]) ** 2).mean((1, 2))
    finding = the_finding(head_mismatch.RULE, Signals({**signals, "loss": due(every)}), **REGRESSION)
    assert finding.severity is Severity.WARNING and "squeeze" in finding.remedy
    pairs = ((b - y) ** 2).mean(1)
    assert none_found(head_mismatch.RULE, Signals({**signals, "loss": due(pairs)}), **REGRESSION)


def test_heads_that_fit_are_left_alone(rng: np.random.Generator) -> None:
    positive = numbers(rng, 0, 3, 0.1, mean=2, spread=1, min=0, max=5)
    assert none_found(head_mismatch.RULE, positive, **REGRESSION, head="ReLU")
    shares = numbers(rng, 0.01, 0.99, 0.1, mean=0.5, spread=0.2, min=0, max=1)
    assert none_found(head_mismatch.RULE, shares, **REGRESSION, head="Sigmoid")
    assert none_found(
        head_mismatch.RULE, numbers(rng, -2, 2, 0.1, mean=0, spread=1, min=-3, max=3), **REGRESSION
    )


def test_too_little_is_said_to_be_too_little() -> None:
    assert says_too_little(head_mismatch.RULE)
