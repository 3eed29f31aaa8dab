"""Rules about inputs, labels and the last module: sick, healthy and too-little trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from made_up import DUE, TRIVIAL, due, evaluated, none_found, says_too_little, the_finding, training

from diagnostics import Rule, Series, Severity, Signals
from diagnostics.rules import data_fault, head_mismatch, unscaled_inputs


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng()


FEATURES = tuple(f"feature {i}" for i in range(6))


def taking(
    rng: np.random.Generator, learns: bool, means: Any, spreads: Any, first_output: float = 1.0
) -> Signals:
    means, spreads = np.broadcast_to(means, 6), np.broadcast_to(spreads, 6)
    return training(
        rng,
        learns,
        feature_mean=due(means, FEATURES),
        feature_spread=due(spreads, FEATURES),
        x_mean=due(np.mean(means)),
        x_spread=due(math.sqrt(np.mean(spreads**2) + np.var(means))),
        output_spread=due((first_output, 1.0), ("hidden1", "head")),
    )


def test_a_feature_that_drowns_the_others_is_named(rng: np.random.Generator) -> None:
    wide = int(rng.integers(0, 6))
    spreads = np.where(np.arange(6) == wide, 3000.0, 1.0)
    finding = the_finding(unscaled_inputs.RULE, taking(rng, False, 0.0, spreads, 500.0))
    assert (finding.severity, finding.layers) == (Severity.WARNING, (f"feature {wide}",))
    assert f"feature {wide} spreads over 3e+03" in finding.cause
    assert "scaling = standardize" in finding.remedy


@pytest.mark.parametrize(
    ("means", "spreads", "said"),
    [(100.0, 80.0, "of size 1"), (500.0, 1.0, "500 times their spread"), (0.0, 1e-4, "0.0001")],
)
def test_inputs_far_off_unit_scale(rng: np.random.Generator, means: float, spreads: float, said: str) -> None:
    size = math.hypot(means, spreads)
    finding = the_finding(unscaled_inputs.RULE, taking(rng, False, means, spreads, size))
    assert finding.severity is Severity.WARNING
    assert said in finding.cause
    assert (
        the_finding(unscaled_inputs.RULE, taking(rng, True, means, spreads, size)).severity is Severity.INFO
    )


def test_inputs_of_about_unit_scale_are_left_alone(rng: np.random.Generator) -> None:
    for learns in (True, False):
        means, spreads = rng.normal(size=6), rng.uniform(0.05, 5, 6)
        assert none_found(unscaled_inputs.RULE, taking(rng, learns, means, spreads))
        assert none_found(unscaled_inputs.RULE, taking(rng, learns, 100.0, 80.0, 1.0)), "a norm comes first"
        assert none_found(unscaled_inputs.RULE, taking(rng, learns, 0.0, [1, 1, 0, 0, 1, 2])), "constants"


def labelled(rng: np.random.Generator, learns: bool = False, **values: Any) -> Signals:
    usual = {"y_min": 0, "y_max": 9, "y_bad": 0, "x_bad": 0, "batch_size": 64, "y_classes": 10}
    usual |= {"y_entropy": 2.2}
    return training(rng, learns, **{name: due(value) for name, value in {**usual, **values}.items()})


def test_plain_data_are_left_alone(rng: np.random.Generator) -> None:
    for learns in (True, False):
        assert none_found(data_fault.RULE, labelled(rng, learns))
        for size in (1, 2, 8):
            few = labelled(rng, learns, batch_size=size, y_entropy=0.9 * math.log(size), y_classes=size)
            assert none_found(data_fault.RULE, few)


@pytest.mark.parametrize(("name", "what"), [("y_bad", "3 labels"), ("x_bad", "3 input entries")])
def test_values_that_are_not_finite_are_named_with_their_step(
    rng: np.random.Generator, name: str, what: str
) -> None:
    finding = the_finding(data_fault.RULE, labelled(rng, **{name: np.where(DUE >= 64, 3, 0)}))
    assert (finding.severity, finding.step) == (Severity.WARNING, 64)
    assert f"{what} in the batch of step 64" in finding.cause


def test_constant_labels_stop_a_training(rng: np.random.Generator) -> None:
    label = int(rng.integers(0, 10))
    constant = labelled(rng, y_min=label, y_max=label, y_entropy=0, y_classes=1)
    finding = the_finding(data_fault.RULE, constant)
    assert finding.severity is Severity.FATAL and f"all labels are the same ({label})" in finding.cause
    assert none_found(data_fault.RULE, constant.until(4)), "a few batches may do so by chance"
    known = the_finding(data_fault.RULE, labelled(rng).until(0), label_constant=1)
    assert known.severity is Severity.FATAL


def test_labels_the_model_has_no_answer_for(rng: np.random.Generator) -> None:
    finding = the_finding(data_fault.RULE, labelled(rng, y_max=np.where(DUE >= 8, 10, 9)))
    assert (finding.severity, finding.step) == (Severity.WARNING, 8)
    assert "11 outputs" in finding.remedy


def test_samples_in_the_order_of_their_labels(rng: np.random.Generator) -> None:
    classes = np.minimum(DUE // 40, 9)
    in_order = labelled(rng, y_min=classes, y_max=classes, y_entropy=0, y_classes=1)
    finding = the_finding(data_fault.RULE, in_order)
    assert finding.severity is Severity.WARNING
    assert "100 % of them a single class" in finding.cause and "shuffle" in finding.remedy
    good = Signals({**in_order, "val_loss": evaluated(0.2)})
    assert the_finding(data_fault.RULE, good).severity is Severity.INFO


def test_numbers_in_order(rng: np.random.Generator) -> None:
    rising = {"y_mean": np.linspace(-1.7, 1.7, len(DUE)), "y_spread": 0.05, "y_min": -2, "y_max": 2}
    signals = training(rng, False, **{name: due(value) for name, value in rising.items()}, batch_size=due(32))
    facts = {"task": "regression", "trivial_loss": 1.0}
    assert "order of their labels" in the_finding(data_fault.RULE, signals, **facts).cause
    mixed = Signals({**signals, "y_mean": due(0.1 * rng.normal(size=len(DUE))), "y_spread": due(1.0)})
    assert none_found(data_fault.RULE, mixed, **facts)


def test_uneven_classes_are_not_out_of_order(rng: np.random.Generator) -> None:
    for _ in range(30):
        share = rng.binomial(8, 0.05, size=len(DUE)) / 8
        entropy = np.array([-sum(q * math.log(q) for q in (p, 1 - p) if q > 0) for p in share])
        signals = labelled(rng, y_entropy=entropy, y_classes=1 + (share > 0), batch_size=8, y_max=1)
        assert none_found(data_fault.RULE, signals, trivial_loss=0.1985, outputs=2)


def validated(rng: np.random.Generator, train: Any, val: Any, accuracy: float = 0.1) -> Signals:
    series = {"train_loss": evaluated(train), "val_loss": evaluated(val), "val_accuracy": evaluated(accuracy)}
    return Signals({**labelled(rng, True), **series})


def test_labels_that_have_nothing_to_do_with_their_inputs(rng: np.random.Generator) -> None:
    fit, rise = TRIVIAL * np.exp(-np.arange(10) / 3), TRIVIAL * (1 + 0.2 * np.arange(10))
    finding = the_finding(data_fault.RULE, validated(rng, fit, rise))
    assert finding.severity is Severity.WARNING
    assert "look unrelated to the inputs" in finding.cause
    slowly = validated(rng, TRIVIAL * np.linspace(1, 0.8, 10), rise)
    assert the_finding(data_fault.RULE, slowly).severity is Severity.WARNING
    overfits = np.concatenate([[0.8 * TRIVIAL], rise[1:]])
    assert none_found(data_fault.RULE, validated(rng, fit, overfits)), "validation was better for a while"
    assert none_found(data_fault.RULE, validated(rng, fit, rise, accuracy=0.7)), "sure of itself, yet right"
    assert none_found(data_fault.RULE, validated(rng, fit, rise), train_samples=20), "too few samples"


def test_faults_of_the_split(rng: np.random.Generator) -> None:
    shifted = {"label_shift": 0.4, "label_shift_chance": 1e-9, "label_unseen": 0.3}
    finding = the_finding(data_fault.RULE, labelled(rng), **shifted)
    assert finding.severity is Severity.WARNING and "differ in distribution by 40 %" in finding.cause
    by_chance = {"label_shift": 0.4, "label_shift_chance": 0.2}
    assert none_found(data_fault.RULE, labelled(rng), **by_chance)
    copies = the_finding(data_fault.RULE, labelled(rng), duplicates_across_split=0.2, feature_count=10)
    assert copies.severity is Severity.INFO and "20.0 % of the validation samples" in copies.cause


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


@pytest.mark.parametrize(
    "rule", [data_fault.RULE, head_mismatch.RULE, unscaled_inputs.RULE], ids=lambda rule: rule.name
)
def test_too_little_is_said_to_be_too_little(rule: Rule) -> None:
    assert says_too_little(rule)
