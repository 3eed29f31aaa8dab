"""Rules about steps and gradients: sick, healthy and too short trainings, from random figures."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import (
    DUE,
    TRIVIAL,
    Change,
    N,
    Training,
    add_up,
    fall,
    findings,
    grave,
    masked,
    only,
    shrink,
    too_long_steps,
)

from diagnostics import Rule, Severity, Signals
from diagnostics.evidence.steps import lower_rate
from diagnostics.rules import (
    clipping_dominates,
    frozen_layers,
    gradients_accumulate,
    learning_rate_too_high,
    norm_masks_init,
    over_regularized,
    unoptimized_parameters,
    vanishing_gradients,
    weight_blowup,
)

RULES = (
    clipping_dominates.RULE,
    frozen_layers.RULE,
    gradients_accumulate.RULE,
    learning_rate_too_high.RULE,
    norm_masks_init.RULE,
    over_regularized.RULE,
    unoptimized_parameters.RULE,
    vanishing_gradients.RULE,
    weight_blowup.RULE,
)


# the learning rate


def jumps_at_once(t: Training) -> None:
    t.loss = t._noisy(np.where(np.arange(N) < 2, TRIVIAL, 40.0), 0.2)


def loses_what_it_learnt(t: Training) -> None:
    t.loss[int(t.rng.integers(150, 250)) :] = TRIVIAL


def overshoots(t: Training) -> None:
    t.does_not_learn()
    t.each("overshoot", t._around(6.0, len(DUE)))


def breaks(t: Training) -> None:
    t.loss[3:] = np.nan
    t.loss[:3] = TRIVIAL, 30.0, 1e12
    t.u = t.w * 5.0


@pytest.mark.parametrize("spoil", [too_long_steps, jumps_at_once, loses_what_it_learnt, overshoots, breaks])
def test_a_step_that_is_too_long_is_named_with_a_number(spoil: Change) -> None:
    for _ in range(10):
        training = Training()
        spoil(training)
        finding = only(learning_rate_too_high.RULE, training)
        lower = float(finding.remedy.split("about ")[1].split(",")[0])
        assert 1e-6 * training.rate < lower <= training.rate / 2
        assert "learning_rate" in finding.remedy


def test_the_advice_follows_the_size_of_the_updates() -> None:
    training = Training()
    too_long_steps(training)
    assert "from 0.3 to about" in only(learning_rate_too_high.RULE, training).remedy
    assert lower_rate(0.3, 0.6) == 0.005
    assert lower_rate(1e-3, 10.0) == 1e-6
    assert lower_rate(1.0, 0.011) == pytest.approx(0.3)


def test_a_loss_that_is_lost_again_is_dated() -> None:
    training = Training()
    training.loss[220:] = TRIVIAL
    assert only(learning_rate_too_high.RULE, training).step == 220


@pytest.mark.parametrize("spoil", [jumps_at_once, loses_what_it_learnt])
def test_curves_alone_make_it_likely_and_say_so(spoil: Change) -> None:
    training = Training()
    spoil(training)
    whole = training.signals()
    curves = Signals(
        {name: whole[name] for name in ("loss", "learning_rate")}, {"outputs": 10, **whole.facts}
    )
    (finding,) = findings(learning_rate_too_high.RULE, curves)
    assert "likely" in finding.cause


def test_a_bad_start_is_not_the_fault_of_the_step() -> None:
    training = Training()
    training.loss = training._noisy(np.full(N, 50 * TRIVIAL), 0.1)
    training.u = training.w * 0.5
    assert grave(learning_rate_too_high.RULE, training) == []


def test_weights_that_start_near_zero_are_not_the_fault_of_the_step() -> None:
    training = Training()
    too_long_steps(training)
    training.each("answer_spread", np.full(len(DUE), 1e-6))
    training.u[3:] = 1e-3 * training.w[3:]
    assert grave(learning_rate_too_high.RULE, training) == []


def test_labels_that_teach_nothing_are_not_the_fault_of_the_step() -> None:
    training = Training()
    training.does_not_learn()
    assert grave(learning_rate_too_high.RULE, training) == []


def test_one_catapult_is_left_alone() -> None:
    training = Training()
    training.loss[5:40] += 20 * np.exp(-np.arange(35) / 8)
    assert grave(learning_rate_too_high.RULE, training) == []


def test_an_input_that_is_not_a_number_is_not_the_fault_of_the_step() -> None:
    training = Training()
    training.loss[200:] = np.nan
    assert grave(learning_rate_too_high.RULE, training) == []


# gradients that vanish


def test_a_gradient_that_vanishes_with_depth_is_named() -> None:
    for _ in range(10):
        training = Training()
        training.does_not_learn()
        training.facts["activations"] = "Sigmoid"
        fall(training, float(training.rng.uniform(0.03, 0.15)))
        finding = only(vanishing_gradients.RULE, training)
        assert "hidden0" in finding.layers and "hidden5" not in finding.layers
        assert "relu instead of sigmoid" in finding.remedy
        assert finding.evidence["fall_decades"] > 3


def test_the_step_at_which_it_began_to_vanish_is_found() -> None:
    training = Training()
    training.does_not_learn()
    whole = training.d.copy()
    fall(training, 0.05)
    training.d[:6] = whole[:6]
    assert only(vanishing_gradients.RULE, training).step == DUE[6]


@pytest.mark.parametrize("factor", [1.0, 0.5])
def test_a_mild_fall_and_no_learning_is_no_vanishing(factor: float) -> None:
    training = Training()
    training.does_not_learn()
    fall(training, factor)
    assert findings(vanishing_gradients.RULE, training.signals()) == []


def test_a_network_that_learns_may_have_faint_gradients() -> None:
    training = Training()
    fall(training, 0.05)
    assert findings(vanishing_gradients.RULE, training.signals()) == []


def test_gradients_of_zero_behind_a_dead_layer_are_another_illness() -> None:
    training = Training()
    training.does_not_learn()
    fall(training, 0.05)
    training.d[:, :3] = 0.0
    assert findings(vanishing_gradients.RULE, training.signals()) == []


# gradients that add up


@pytest.mark.parametrize("like", [0.3, 0.6, 0.9])
def test_gradients_that_are_never_reset_are_named_even_if_it_learns(like: float) -> None:
    for _ in range(10):
        training = Training()
        add_up(training, like)
        finding = only(gradients_accumulate.RULE, training)
        assert "zero_grad" in finding.remedy


@pytest.mark.parametrize("like", [0.0, 0.5, 0.9, 0.999])
def test_gradients_of_a_healthy_loop_do_not_add_up(like: float) -> None:
    for _ in range(10):
        training = Training()
        add_up(training, like, resets=True)
        assert findings(gradients_accumulate.RULE, training.signals()) == []


def test_gradients_that_grow_on_their_own_do_not_add_up() -> None:
    for _ in range(10):
        training = Training()
        add_up(training, 0.99, resets=True, growth=1.15)
        assert findings(gradients_accumulate.RULE, training.signals()) == []


# all of them


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_healthy_training_is_left_alone_at_every_row(rule: Rule) -> None:
    for _ in range(5):
        training = Training()
        add_up(training, 0.5, resets=True)
        masked(training, 1.0, 0.01)
        signals = training.signals()
        for step in DUE:
            assert findings(rule, signals.until(int(step))) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_too_little_says_nothing(rule: Rule) -> None:
    training = Training()
    too_long_steps(training)
    fall(training, 0.05)
    shrink(training)
    masked(training, 80.0, 1e-6)
    training.g[:, :4] = training.u[:, :4] = 0.0
    assert [f for f in findings(rule, training.signals().until(2)) if f.severity > Severity.INFO] == []
