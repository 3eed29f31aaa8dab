"""Rules about units and their start: sick, healthy and too-little trainings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chance import often
from made_up import (
    DUE,
    LAYERS,
    MATRICES,
    STEPS,
    TRIVIAL,
    due,
    none_found,
    says_too_little,
    the_finding,
    training,
)

from diagnostics import Rule, Series, Severity, Signals
from diagnostics.rules import bad_init_scale, dead_units, saturated_activations, symmetric_units

RELU = ("hidden1.activation", "hidden2.activation")


def with_units(
    rng: np.random.Generator, learns: bool, dead: tuple[float, float], zeros: Any = (0.5, 0.5), **more: Series
) -> Signals:
    windows = np.array([63, 200, 399])
    return training(
        rng,
        learns,
        zero_share=due(zeros, RELU),
        dead_share=Series(windows, np.broadcast_to(dead, (3, 2)), RELU),
        site_units=Series(windows, np.full((3, 2), 64.0), RELU),
        **more,
    )


def test_a_layer_that_is_dead_as_a_whole(rng: np.random.Generator) -> None:
    zeros = np.tile([0.5, 0.6], (len(DUE), 1))
    zeros[7:, 1] = 1.0
    finding = the_finding(dead_units.RULE, with_units(rng, False, (0.0, 1.0), zeros))
    assert finding.severity is Severity.WARNING
    assert finding.layers == ("hidden2.activation",)
    assert finding.step == DUE[7]
    assert "no unit of hidden2.activation has fired since step 64" in finding.cause
    assert "lower learning_rate from 0.01 to about 0.001" in finding.remedy


def test_a_layer_that_is_dead_from_the_start_is_called_soon(rng: np.random.Generator) -> None:
    gradients = due((0.0, 0.0, 0.3), MATRICES)
    warned = []
    for _ in range(100):
        signals = with_units(rng, False, (1.0, 1.0), (1.0, 1.0), grad_norm=gradients)
        assert the_finding(dead_units.RULE, signals.until(2)).severity is Severity.INFO
        early = the_finding(dead_units.RULE, signals.until(64))
        assert (early.step, early.layers) == (0, RELU)
        assert "biases" in early.remedy
        warned.append(early.severity is Severity.WARNING)
    assert often(warned, 0.93)  # else the loss looks by chance as if it began to fall; measured: 95.6 %


def test_fewer_live_units_than_classes_hamper_a_training_that_learns_little(rng: np.random.Generator) -> None:
    signals = with_units(rng, False, (0.2, 0.95), (0.5, 0.97))
    finding = the_finding(dead_units.RULE, signals)
    assert finding.severity is Severity.WARNING
    assert finding.evidence["live_units"] == pytest.approx(3.2)
    assert "95 % of the units of hidden2.activation never fire" in finding.cause


@pytest.mark.parametrize("dead", [(0.0, 0.0), (0.2, 0.1)])
def test_sparse_units_are_not_dead(rng: np.random.Generator, dead: tuple[float, float]) -> None:
    for learns in (True, False):
        assert none_found(dead_units.RULE, with_units(rng, learns, dead, (0.8, 0.75)))


def test_dead_units_of_a_network_that_learns_well_are_worth_a_word_only(rng: np.random.Generator) -> None:
    finding = the_finding(dead_units.RULE, with_units(rng, True, (0.6, 0.95), (0.8, 0.97)))
    assert finding.severity is Severity.INFO


def test_zeros_of_a_tanh_or_of_zero_weights_are_not_dead_units(rng: np.random.Generator) -> None:
    slopes = due((1.0, 1.0), RELU)
    silent = with_units(rng, False, (1.0, 1.0), (1.0, 1.0))
    assert none_found(dead_units.RULE, Signals({**silent, "slope_share": slopes}))
    norms = due((0.0, 0.0, 0.0), MATRICES)
    assert none_found(dead_units.RULE, Signals({**silent, "weight_norm": norms}))


@pytest.mark.parametrize("slopes", [(0.02, 0.01), (0.5, 0.003)])
def test_saturated_activations_of_a_network_that_does_not_learn(
    rng: np.random.Generator, slopes: tuple[float, float]
) -> None:
    signals = training(rng, False, slope_share=due(slopes, RELU))
    finding = the_finding(saturated_activations.RULE, signals)
    assert (finding.severity, finding.step) == (Severity.WARNING, 0)
    assert set(finding.layers) == {name for name, slope in zip(RELU, slopes, strict=True) if slope < 0.05}
    assert "init = xavier_uniform" in finding.remedy


def test_saturation_that_came_later_blames_the_steps(rng: np.random.Generator) -> None:
    slopes = np.full((len(DUE), 2), 0.7)
    slopes[9:] = 0.01
    gradients = due((1.0, 1.0, 1.0), LAYERS).values.copy()
    gradients[9:, 0] = 1e-4
    signals = training(rng, False, slope_share=due(slopes, RELU), output_grad=Series(DUE, gradients, LAYERS))
    finding = the_finding(saturated_activations.RULE, signals)
    assert finding.step == DUE[9]
    assert "since step 128" in finding.cause and "0.0001 of what it was" in finding.cause
    assert "lower learning_rate from 0.01" in finding.remedy


def test_saturation_without_a_consequence(rng: np.random.Generator) -> None:
    signals = training(rng, True, slope_share=due((0.02, 0.4), RELU))
    assert the_finding(saturated_activations.RULE, signals).severity is Severity.INFO
    assert none_found(saturated_activations.RULE, training(rng, False, slope_share=due((0.1, 0.4), RELU)))


def with_rows(rng: np.random.Generator, learns: bool, weight: Any, gradient: Any, size: Any) -> Signals:
    noise = 1e-6 * rng.random((len(DUE), 3))
    return training(
        rng,
        learns,
        row_spread=due(np.asarray(weight) + noise, MATRICES),
        grad_row_spread=due(np.asarray(gradient) + noise, MATRICES),
        weight_norm=due(size, MATRICES),
    )


def test_weights_that_are_copies_of_one_row(rng: np.random.Generator) -> None:
    signals = with_rows(rng, False, (0, 0, 0), (0, 0, 0.9), (3, 3, 1))
    finding = the_finding(symmetric_units.RULE, signals)
    assert (finding.severity, finding.step) == (Severity.WARNING, 0)
    assert finding.layers == ("hidden1.weight", "hidden2.weight")
    assert "began as copies of one row" in finding.cause and "kaiming_normal" in finding.remedy
    assert the_finding(symmetric_units.RULE, signals.until(4)).severity is Severity.WARNING, "at once"


def test_weights_that_are_all_zero(rng: np.random.Generator) -> None:
    finding = the_finding(symmetric_units.RULE, with_rows(rng, False, (0, 0, 0), (0, 0, 0), (0, 0, 0)))
    assert "are all zero" in finding.cause


def test_gates_that_began_as_copies_but_have_gradients_of_their_own(rng: np.random.Generator) -> None:
    weight = np.linspace(0, 0.2, len(DUE))[:, None] * np.array([1, 1, 1])
    signals = with_rows(rng, False, weight, (0.8, 0.8, 0.9), (2, 2, 2))
    assert the_finding(symmetric_units.RULE, signals).severity is Severity.WARNING


@pytest.mark.parametrize(
    ("weight", "gradient", "size"),
    [
        ((1, 1, 0), (1, 1, 0.9), (3, 3, 0)),  # a head of zeros
        ((1, 0, 1), (0, 0.8, 1), (3, 0, 3)),  # the last layer of a branch begins at zero
        ((1, 1, 1), (0, 0, 1), (3, 3, 3)),  # gradients that are not there yet
        ((0.9, 0.8, 0.7), (0.3, 0.2, 0.1), (3, 3, 3)),
    ],
)
def test_healthy_starts_are_not_symmetric(
    rng: np.random.Generator, weight: Any, gradient: Any, size: Any
) -> None:
    assert none_found(symmetric_units.RULE, with_rows(rng, True, weight, gradient, size))


def test_a_head_with_one_output_and_an_embedding_have_no_symmetry(rng: np.random.Generator) -> None:
    names = ("embedding.weight", "hidden1.weight", "head.weight")
    w = due((0.0, 0.9, 0.0), names)
    signals = training(rng, False, row_spread=w, grad_row_spread=w, weight_norm=due((1, 1, 1), names))
    assert none_found(symmetric_units.RULE, signals)


def started(
    rng: np.random.Generator,
    learns: bool,
    scales: tuple[float, float, float],
    first: float,
    answer: float,
    x: float = 1.0,
) -> Signals:
    signals = training(
        rng,
        learns,
        output_spread=due(scales, LAYERS),
        output_mean=due((0.0, 0.0, 0.0), LAYERS),
        x_mean=due(0.0),
        x_spread=due(x),
        answer_scale=due(answer),
    )
    loss = signals["loss"].values.copy()
    loss[:3] = first
    return Signals({**signals, "loss": Series(np.arange(STEPS), loss)})


def test_weights_that_are_drawn_far_too_large(rng: np.random.Generator) -> None:
    scale = float(rng.uniform(15, 50))
    signals = started(rng, False, (scale, scale**2, scale**3), first=scale**3, answer=scale**3)
    finding = the_finding(bad_init_scale.RULE, signals)
    assert (finding.severity, finding.step, finding.layers) == (Severity.WARNING, 0, ("hidden1", "hidden2"))
    assert finding.evidence["gain_per_layer"] == pytest.approx(scale, rel=0.01)
    assert "grows" in finding.cause
    assert f"scaled by about {1 / finding.evidence['gain_per_layer']:.2g}" in finding.remedy


def test_weights_that_are_drawn_far_too_small(rng: np.random.Generator) -> None:
    signals = started(rng, False, (0.02, 0.0004, 8e-6), first=TRIVIAL, answer=8e-6)
    finding = the_finding(bad_init_scale.RULE, signals)
    assert finding.severity is Severity.WARNING
    assert "shrinks 50 times in each layer" in finding.cause


def test_a_signal_that_dies_behind_the_biases(rng: np.random.Generator) -> None:
    signals = started(rng, False, (0.2, 0.1, 0.1), first=TRIVIAL, answer=0.1)
    small = Signals(
        {
            **signals,
            "answer_spread": due(1e-6),
            "answer_width": due(10),
            "weight_norm": due((0.1, 0.1, 1.0), MATRICES),
        }
    )
    assert "shrinks" in the_finding(bad_init_scale.RULE, small).cause
    zero_head = Signals({**small, "weight_norm": due((0.1, 0.1, 0.0), MATRICES)})
    assert none_found(bad_init_scale.RULE, zero_head)


def test_a_wild_start_that_is_overcome_is_worth_a_word_only(rng: np.random.Generator) -> None:
    signals = started(rng, True, (8, 60, 500), first=300, answer=500)
    assert the_finding(bad_init_scale.RULE, signals).severity is Severity.INFO


def test_what_the_first_steps_have_done_is_no_start(rng: np.random.Generator) -> None:
    signals = started(rng, False, (1, 1, 1), first=1.8 * TRIVIAL, answer=2.2)
    loss = signals["loss"].values.copy()
    loss[1:3] = 200 * TRIVIAL, 1e4 * TRIVIAL
    assert none_found(bad_init_scale.RULE, Signals({**signals, "loss": Series(np.arange(STEPS), loss)}))


@pytest.mark.parametrize("gain", [0.41, 0.7, 1.0, 1.4])
def test_usual_starts_are_left_alone(rng: np.random.Generator, gain: float) -> None:
    for learns in (True, False):
        signals = started(rng, learns, (gain, gain**2, gain**3), first=1.2 * TRIVIAL, answer=gain**3)
        assert none_found(bad_init_scale.RULE, signals)


def test_a_loud_start_that_the_inputs_explain_is_not_blamed_on_the_weights(rng: np.random.Generator) -> None:
    assert none_found(bad_init_scale.RULE, started(rng, False, (150, 120, 100), first=90, answer=100, x=150))


def test_recurrent_weights_that_make_a_state_its_own_echo(rng: np.random.Generator) -> None:
    names = ("rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight")
    units = Series(np.array([8]), np.array([[25.0]]), ("rnn",))
    wild, usual = due((2, 150, 1), names), due((2, 5, 1), names)
    finding = the_finding(bad_init_scale.RULE, training(rng, False, weight_norm=wild, site_units=units))
    assert (finding.severity, finding.layers) == (Severity.WARNING, ("rnn.weight_hh_l0",))
    assert "at least 15 in each place" in finding.cause and "divide them by about 15" in finding.remedy
    assert none_found(bad_init_scale.RULE, training(rng, False, weight_norm=usual, site_units=units))


def test_far_targets_are_no_bad_start(rng: np.random.Generator) -> None:
    signals = started(rng, False, (1, 1, 1), first=150.0**2, answer=1.0)
    signals = Signals({**signals, "y_mean": due(150.0), "y_spread": due(70.0)})
    assert none_found(bad_init_scale.RULE, signals, task="regression", trivial_loss=70.0**2)


@pytest.mark.parametrize(
    "rule",
    [bad_init_scale.RULE, dead_units.RULE, saturated_activations.RULE, symmetric_units.RULE],
    ids=lambda rule: rule.name,
)
def test_too_little_is_said_to_be_too_little(rule: Rule) -> None:
    assert says_too_little(rule)
