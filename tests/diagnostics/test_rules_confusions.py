"""Rules where one fault looks like another: what each must say, and must not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_up import DUE, TRIVIAL, due, evaluated, none_found, the_finding, training

from diagnostics import Series, Severity, Signals
from diagnostics.causes import EXPLAINS
from diagnostics.evidence.noise_scale import noise_scale
from diagnostics.evidence.words import of_weights
from diagnostics.rules import (
    bad_init_scale,
    batch_too_large,
    constant_predictions,
    data_fault,
    dead_units,
    gradients_accumulate,
    learning_rate_too_high,
    learning_rate_too_low,
    loss_spike,
    vanishing_gradients,
    weight_blowup,
)

SIZE = 3000
NUMBERS = {"task": "regression", "trivial_loss": 1.3e5**2, "ended": "finished"}


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng()


def gradients(rng: np.random.Generator, resets: bool, growth: float = 1.05) -> Signals:
    """Gradients of single batches that grow with the steps, as a loss leaves its plateau; or their sums."""
    g = rng.normal(size=(401, SIZE)) / np.sqrt(SIZE) * np.minimum(growth ** np.arange(401), 30.0)[:, None]
    seen = g if resets else np.cumsum(g, axis=0)
    pairs = DUE[1:]
    dot = np.sum(seen[pairs - 1] * seen[pairs], axis=1)
    square = (np.sum(seen[pairs - 1] ** 2, axis=1) + np.sum(seen[pairs] ** 2, axis=1)) / 2
    rows = {
        "total_grad_norm": due(np.linalg.norm(seen[DUE], axis=1)),
        "grad_dot": Series(pairs, dot),
        "grad_square": Series(pairs, square),
        "batch_size": due(32.0),
    }
    return training(rng, True, **rows)


def test_sums_of_growing_gradients_are_sums_all_the_same(rng: np.random.Generator) -> None:
    summed = gradients(rng, resets=False)
    assert "zero_grad" in the_finding(gradients_accumulate.RULE, summed).remedy
    assert none_found(gradients_accumulate.RULE, gradients(rng, resets=True))
    assert "learning-rate-too-high" in EXPLAINS["gradients-accumulate"]


def test_sums_say_nothing_of_the_noise(rng: np.random.Generator) -> None:
    summed = gradients(rng, resets=False)
    assert noise_scale(summed, {}) is None
    assert none_found(batch_too_large.RULE, summed)


def far_targets(rng: np.random.Generator, answers: Any) -> Signals:
    """Targets near 3e5, a loss that falls by little, and weights that grow towards them."""
    steps = np.arange(400)
    growing = due(np.linspace([1.0, 1.0], [20.0, 30.0], len(DUE)), ("hidden1.weight", "head.weight"))
    rows = {
        "loss": Series(
            steps, np.asarray(1.2e11 * (1 - 1e-4 * steps) * np.exp(0.01 * rng.normal(size=400)), float)
        ),
        "y_mean": due(3e5),
        "y_spread": due(1.3e5),
        "answer_scale": due(answers),
        "answer_spread": due(np.asarray(answers) / 2),
        "weight_norm": growing,
        "update_norm": due((0.1, 0.1), growing.layers),
    }
    return training(rng, False, **rows)


def test_far_targets_are_named_and_the_growing_weights_are_not(rng: np.random.Generator) -> None:
    signals = far_targets(rng, np.geomspace(0.2, 80, len(DUE)))
    finding = the_finding(learning_rate_too_low.RULE, signals, **NUMBERS)
    assert "targets of mean 3e5 and spread 1.3e5" in finding.cause
    assert "standardise the targets" in finding.remedy
    assert none_found(weight_blowup.RULE, signals, **NUMBERS)
    assert "[B, 1]" not in the_finding(constant_predictions.RULE, signals, **NUMBERS).remedy


def test_still_improving_does_not_follow_from_a_large_batch() -> None:
    assert "still-improving" not in EXPLAINS["batch-too-large"]


def test_labels_of_which_nothing_is_learnt_are_a_remark(rng: np.random.Generator) -> None:
    names = ("hidden1.weight", "head.weight")
    rows = {
        "train_loss": evaluated(TRIVIAL),
        "val_loss": evaluated(1.01 * TRIVIAL),
        "val_accuracy": evaluated(0.1),
        "weight_norm": due((1.0, 1.0), names),
    }
    usual = training(rng, False, **rows, update_norm=due((5e-3, 5e-3), names))
    finding = the_finding(data_fault.RULE, usual)
    assert finding.severity is Severity.INFO and "look unrelated" in finding.cause
    held = training(rng, False, **rows, update_norm=due((1e-6, 5e-3), names))
    assert none_found(data_fault.RULE, held), "a layer that does not move explains it"
    learns = training(rng, True, **rows, update_norm=due((5e-3, 5e-3), names))
    assert none_found(data_fault.RULE, learns)


def test_sigmoids_in_depth_are_to_be_replaced_first(rng: np.random.Generator) -> None:
    layers = ("a", "b", "c", "d", "e", "head")
    sizes = due([5.0**-i for i in range(1, 7)], layers)
    signals = training(rng, False, output_spread=sizes, x_spread=due(1.0), x_mean=due(0.0))
    assert the_finding(bad_init_scale.RULE, signals, activations="Sigmoid").remedy.startswith(
        "use activation = relu"
    )
    plain = the_finding(bad_init_scale.RULE, signals, activations="ReLU").remedy
    assert plain.startswith("use an init that fits the activation") and "scaled by about" in plain


def test_a_fall_that_was_there_at_the_start_has_not_vanished_since(rng: np.random.Generator) -> None:
    layers = ("a", "b", "c", "d")
    decades = np.full(len(DUE), 3.02)
    for first, silent in ((2.9, True), (1.0, False)):
        fall = np.concatenate([[first], decades[1:]])
        d = 10.0 ** (fall[:, None] * np.linspace(-1, 0, 4))
        signals = training(rng, False, output_grad=due(d, layers))
        assert none_found(vanishing_gradients.RULE, signals) == silent


def test_a_jump_is_no_fall_and_not_part_of_settling_or_of_failing(rng: np.random.Generator) -> None:
    def jumping(at: int, learns: bool, by: float) -> Signals:
        signals = training(rng, learns)
        steps, values = signals["loss"].steps, signals["loss"].values.copy()
        values[at : at + 3] += by
        return Signals({**signals, "loss": Series(steps, values)})

    assert "came back" in the_finding(loss_spike.RULE, jumping(250, True, 5.0)).cause
    for signals in (jumping(250, False, 5.0), jumping(30, True, 5.0), jumping(250, True, -0.04)):
        assert none_found(loss_spike.RULE, signals)


def test_a_quarter_of_dead_units_is_usual_where_the_training_learns(rng: np.random.Generator) -> None:
    sites = ("hidden.activation",)
    rows = {
        "zero_share": due((0.6,), sites),
        "dead_share": due((0.3,), sites),
        "site_units": due((64.0,), sites),
    }
    assert none_found(dead_units.RULE, training(rng, True, **rows))
    assert the_finding(dead_units.RULE, training(rng, False, **rows)).severity is Severity.INFO


def test_ratios_are_said_in_words() -> None:
    assert of_weights(201) == "201 times the size of the weights"
    assert of_weights(0.22) == "22 % of the size of the weights"


def test_the_step_where_a_loss_rose_again_is_where_it_rose(rng: np.random.Generator) -> None:
    steps, at = np.arange(400), int(rng.integers(150, 250))
    loss = np.where(steps < at, 2.3 * np.exp(-steps / 60) + 0.05, 2.3) * np.exp(0.02 * rng.normal(size=400))
    names = ("hidden1.weight", "head.weight")
    large = training(rng, True, weight_norm=due((1.0, 1.0), names), update_norm=due((0.2, 0.2), names))
    finding = the_finding(learning_rate_too_high.RULE, Signals({**large, "loss": Series(steps, loss)}))
    assert finding.step < 16 and f"went up again from step {at}" in finding.cause
