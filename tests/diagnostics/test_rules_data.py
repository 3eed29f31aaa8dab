"""Rules about inputs and labels: sick, healthy and too-little trainings."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from made_up import DUE, TRIVIAL, due, evaluated, none_found, says_too_little, the_finding, training

from diagnostics import Finding, Rule, Severity, Signals
from diagnostics.rules import data_fault, unscaled_inputs

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


def test_the_range_of_odd_inputs_is_told(rng: np.random.Generator) -> None:
    pixels = Signals({**taking(rng, False, 100.0, 80.0, 128.0), "x_min": due(0), "x_max": due(255)})
    assert (
        "of size 128, from 0 to 255, where about 1 is expected"
        in the_finding(unscaled_inputs.RULE, pixels).cause
    )


def test_of_many_features_the_facts_tell_which_drowns_the_others(rng: np.random.Generator) -> None:
    wide = training(rng, False, x_mean=due(0.0), x_spread=due(3.0), output_spread=due((3.0, 1.0), ("a", "b")))
    assert none_found(unscaled_inputs.RULE, wide, feature_ratio=20.0, feature_widest=700.0)
    finding = the_finding(unscaled_inputs.RULE, wide, feature_ratio=2000.0, feature_widest=700.0)
    assert "feature 700 spreads 2e+03 times as far as the middle feature" in finding.cause


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


@pytest.mark.parametrize(("name", "what"), [("y_bad", "3 labels"), ("x_bad", "some input entries")])
def test_values_that_are_not_finite_are_named_with_their_step(
    rng: np.random.Generator, name: str, what: str
) -> None:
    finding = the_finding(data_fault.RULE, labelled(rng, **{name: np.where(DUE >= 64, 3, 0)}))
    assert (finding.severity, finding.step) == (Severity.WARNING, 64)
    assert f"{what} in the batch of step 64" in finding.cause


def test_labels_that_are_constant_in_all_of_the_data_stop_a_training(rng: np.random.Generator) -> None:
    label = int(rng.integers(0, 10))
    constant = labelled(rng, y_min=label, y_max=label, y_entropy=0, y_classes=1).until(0)
    for known in ({"label_constant": 1}, {"trivial_loss": 0.0}):
        finding = the_finding(data_fault.RULE, constant, **known)
        assert finding.severity is Severity.FATAL and f"all labels are the same ({label})" in finding.cause
    unseen = {"label_constant": 1, "label_min": -0.0, "label_max": -0.0}
    assert "the same (0):" in the_finding(data_fault.RULE, training(rng, False), **unseen).cause
    assert none_found(data_fault.RULE, constant, task="other", trivial_loss=0.0), "of no loss of labels"


UNKNOWN = {"task": "classification", "outputs": 10}


def of_batches(signals: Signals, **facts: Any) -> list[Finding]:
    """What is said of a training of whose data as a whole nothing is known."""
    return list(data_fault.RULE.check(signals, {**UNKNOWN, **facts}))


def test_labels_that_are_constant_in_the_batches_are_a_warning_after_thousands(
    rng: np.random.Generator,
) -> None:
    constant = labelled(rng, y_min=-0.0, y_max=-0.0, y_entropy=0, y_classes=1, batch_size=300, trivial_loss=0)
    (finding,) = of_batches(constant)
    assert finding.severity is Severity.WARNING
    assert f"all labels of the {300 * len(DUE)} samples looked at so far are the same (0)" in finding.cause
    assert "unless the samples come in the order of their labels" in finding.cause
    assert "shuffle" in finding.remedy
    assert of_batches(constant.until(96)) == [], "2,700 samples may be the first of many in order"
    assert of_batches(constant, steps_per_epoch=1000) == [], "the first epoch goes on"
    assert of_batches(constant, label_constant=0, label_entropy=0.0) == [], "the data are known to differ"
    no_numbers = Signals({**constant, "y_bad": due(300)})
    assert not any("the same" in finding.cause for finding in of_batches(no_numbers)), "NaN are kept as 0"


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
    assert "validation flatters" in copies.cause
    both = {"duplicates_across_split": 0.2, "feature_count": 10, "duplicates_disagree": 0.3}
    assert (
        "30 % of these with another label there" in the_finding(data_fault.RULE, labelled(rng), **both).cause
    )
    numbers = the_finding(data_fault.RULE, training(rng, False), **both, task="regression")
    assert "another label" not in numbers.cause, "equal inputs may well have other numbers"


@pytest.mark.parametrize("rule", [data_fault.RULE, unscaled_inputs.RULE], ids=lambda rule: rule.name)
def test_too_little_is_said_to_be_too_little(rule: Rule) -> None:
    assert says_too_little(rule)
