"""Rules about clipping, weights and layers that stand still: sick and healthy trainings."""

from __future__ import annotations

import numpy as np
import pytest
from stepping import DUE, MATRICES, TRIVIAL, Array, N, Training, findings, grave, masked, only, shrink

from diagnostics import Series, Severity, Signals
from diagnostics.rules import (
    clipping_dominates,
    frozen_layers,
    norm_masks_init,
    over_regularized,
    unoptimized_parameters,
    weight_blowup,
)

# clipping


def clip(t: Training, norm: float, raw: Array) -> None:
    t.facts["clip_norm"] = norm
    t.more["raw_grad_norm"] = (np.arange(N, dtype=float), raw, ())


def test_clipping_that_starves_the_training_is_named_with_the_usual_norm() -> None:
    training = Training()
    training.does_not_learn()
    clip(training, 1e-3, training._noisy(np.full(N, 2.0), 0.1))
    finding = only(clipping_dominates.RULE, training)
    assert "raise clip_norm to about 2" in finding.remedy
    assert finding.evidence["share_clipped"] == 1.0


def test_clipping_that_hides_an_explosion_is_named() -> None:
    training = Training()
    training.does_not_learn()
    clip(training, 1.0, training._noisy(np.geomspace(2.0, 2e5, N), 0.1))
    assert "hides an explosion" in only(clipping_dominates.RULE, training).cause


def test_clipping_is_seen_without_being_told() -> None:
    training = Training()
    training.does_not_learn()
    training.more["total_grad_norm"] = (DUE.astype(float), np.full(len(DUE), 0.25), ())
    assert only(clipping_dominates.RULE, training).evidence["clip_norm"] == 0.25


def test_clipping_in_a_healthy_training_is_a_remark() -> None:
    training = Training()
    clip(training, 0.1, training._noisy(np.full(N, 2.0), 0.3))
    (finding,) = findings(clipping_dominates.RULE, training.signals())
    assert finding.severity is Severity.INFO


def test_rare_and_mild_clipping_is_nothing() -> None:
    training = Training()
    training.does_not_learn()
    clip(training, 3.0, training._noisy(np.full(N, 2.0), 0.2))
    assert findings(clipping_dominates.RULE, training.signals()) == []
    clip(training, 1.5, training._noisy(np.full(N, 2.0), 0.2))
    assert grave(clipping_dominates.RULE, training) == []


def test_a_shorter_gradient_does_not_slow_adam() -> None:
    training = Training()
    training.does_not_learn()
    training.facts["optimizer"] = "Adam"
    clip(training, 1e-3, training._noisy(np.full(N, 2.0), 0.1))
    assert grave(clipping_dominates.RULE, training) == []


# weights


def grow(t: Training) -> None:
    t.loss = t._noisy(np.geomspace(TRIVIAL, 20 * TRIVIAL, N), 0.1)
    t.w[:, 2] *= np.geomspace(1, 500, len(DUE))


def test_weights_that_grow_without_bound_are_named() -> None:
    training = Training()
    grow(training)
    finding = only(weight_blowup.RULE, training)
    assert finding.layers == ("hidden2.weight",)
    assert finding.evidence["growth"] == pytest.approx(500)
    assert 0 < finding.step < N


def test_weights_may_grow_in_front_of_a_norm() -> None:
    training = Training()
    grow(training)
    training.each("rotation", np.full((len(DUE), 1), 0.01), ("hidden2.weight",))
    assert findings(weight_blowup.RULE, training.signals()) == []


def test_weights_may_grow_where_it_learns() -> None:
    training = Training()
    training.w *= np.geomspace(1, 500, len(DUE))[:, None]
    assert findings(weight_blowup.RULE, training.signals()) == []


def test_a_decay_that_outweighs_the_data_is_named_with_its_setting() -> None:
    training = Training()
    shrink(training)
    training.facts["weight_decay"] = 1.0
    finding = only(over_regularized.RULE, training)
    assert finding.remedy == "lower weight_decay from 1 to about 1e-4"
    assert len(finding.layers) == len(MATRICES)


def test_a_penalty_in_the_loss_is_named_when_no_decay_is_set() -> None:
    training = Training()
    shrink(training)
    assert "l1" in only(over_regularized.RULE, training).remedy


def test_a_decoupled_decay_is_judged_by_what_it_alone_would_leave() -> None:
    training = Training()
    shrink(training)
    training.facts |= {"weight_decay": 0.01, "decoupled_decay": 1}
    assert findings(over_regularized.RULE, training.signals()) == []
    training.facts["weight_decay"] = 10.0
    assert only(over_regularized.RULE, training).evidence["pull"] == pytest.approx(10.0 * 1e-3 * N)


def test_a_decay_as_strong_as_the_data_is_named_though_something_is_learnt() -> None:
    training = Training()
    training.loss = np.maximum(training.loss, 0.4 * TRIVIAL)
    training.w *= np.geomspace(1, 0.5, len(DUE))[:, None]
    training.facts["weight_decay"] = 1.0
    assert "weight_decay" in only(over_regularized.RULE, training).remedy
    training.facts["weight_decay"] = 1e-3
    assert findings(over_regularized.RULE, training.signals()) == []


def test_a_small_decay_is_not_to_blame() -> None:
    training = Training()
    shrink(training)
    training.facts["weight_decay"] = 1e-5
    assert findings(over_regularized.RULE, training.signals()) == []


def test_weights_may_shrink_where_it_learns() -> None:
    training = Training()
    training.w *= np.geomspace(1, 1e-3, len(DUE))[:, None]
    training.facts["weight_decay"] = 1.0
    assert findings(over_regularized.RULE, training.signals()) == []


def test_an_initialisation_hidden_by_a_norm_is_named() -> None:
    training = Training()
    training.does_not_learn()
    masked(training, 80.0, 1e-6)
    finding = only(norm_masks_init.RULE, training)
    assert finding.layers == MATRICES[:2]
    assert "kaiming_normal" in finding.remedy


@pytest.mark.parametrize(("spread", "angle"), [(1.0, 1e-6), (80.0, 1e-2)])
def test_layers_that_turn_or_began_well_are_in_order(spread: float, angle: float) -> None:
    training = Training()
    training.does_not_learn()
    masked(training, spread, angle)
    assert findings(norm_masks_init.RULE, training.signals()) == []


def test_a_hidden_initialisation_in_a_training_that_learns_is_a_remark() -> None:
    training = Training()
    masked(training, 80.0, 1e-6)
    (finding,) = findings(norm_masks_init.RULE, training.signals())
    assert finding.severity is Severity.INFO


# parameters that stand still


def test_layers_that_the_loss_does_not_reach_are_named() -> None:
    training = Training()
    training.does_not_learn()
    training.g[:, :4] = training.u[:, :4] = 0.0
    finding = only(frozen_layers.RULE, training)
    assert finding.layers == MATRICES[:4]
    assert "detach()" in finding.remedy


def test_layers_with_a_gradient_and_no_update_are_named() -> None:
    training = Training()
    training.does_not_learn()
    training.u[:, 2] = 0.0
    finding = only(frozen_layers.RULE, training)
    assert finding.layers == MATRICES[2:3]
    assert "groups" in finding.remedy


def test_a_loss_without_any_gradient_is_named() -> None:
    training = Training()
    training.does_not_learn()
    training.g[:] = training.u[:] = 0.0
    assert len(only(frozen_layers.RULE, training).layers) == len(MATRICES)


def test_a_mostly_frozen_network_that_does_not_learn_is_named() -> None:
    training = Training()
    training.does_not_learn()
    training.facts["trainable"] = 50
    assert "95 %" in only(frozen_layers.RULE, training).cause


def test_a_network_frozen_on_purpose_may_learn_well() -> None:
    training = Training()
    training.facts["trainable"] = 50
    assert findings(frozen_layers.RULE, training.signals()) == []


@pytest.mark.parametrize(
    "why", ["dead units", "a layer of zeros", "steps below rounding", "known to no optimizer"]
)
def test_layers_that_stand_still_for_another_reason_are_left_to_its_rule(why: str) -> None:
    training = Training()
    training.does_not_learn()
    training.u[:, :3] = 0.0
    if why == "steps below rounding":
        training.rate = 1e-9
    else:
        training.g[:, :3] = 0.0
    if why == "dead units":
        training.each("zero_share", np.ones((len(DUE), 1)), ("act",))
    if why == "a layer of zeros":
        training.w[:, 4] = 0.0
    if why == "known to no optimizer":
        training.facts["unoptimized"] = ",".join(MATRICES[:3])
    assert findings(frozen_layers.RULE, training.signals()) == []


def test_parameters_that_no_optimizer_holds_are_named() -> None:
    training = Training()
    training.facts["unoptimized"] = "hidden0.weight,hidden0.bias"
    (finding,) = findings(unoptimized_parameters.RULE, training.signals())
    assert finding.severity is Severity.INFO  # it learns well all the same
    training.does_not_learn()
    assert only(unoptimized_parameters.RULE, training).layers == ("hidden0.weight", "hidden0.bias")
    training.facts["unoptimized"] = ""
    assert findings(unoptimized_parameters.RULE, training.signals()) == []


def test_only_the_first_of_many_parameters_are_known_by_name() -> None:
    training = Training()
    training.facts["unoptimized"] = "hidden0.weight,hidden0.bias,..."
    (finding,) = findings(unoptimized_parameters.RULE, training.signals())
    assert "no optimizer holds more than 2 of the trainable parameters" in finding.cause
    assert finding.layers == ("hidden0.weight", "hidden0.bias")


@pytest.mark.parametrize("why", ["no gradient comes back", "the loop moves it"])
def test_a_copy_that_is_not_trained_is_left_alone(why: str) -> None:
    training = Training()
    training.does_not_learn()
    signals, copy = training.signals(), ("teacher.fc.weight", "teacher.fc.bias", "teacher.norm.weight")
    reached = (*signals["output_grad"].layers, *(("teacher.fc",) if why == "the loop moves it" else ()))
    w = training._noisy(np.full(len(DUE), 8.0), 0.1) if why == "the loop moves it" else np.full(len(DUE), 8.0)
    series = {
        "weight_norm": Series(DUE, np.c_[training.w, w], (*MATRICES, copy[0])),
        "output_grad": Series(DUE, np.ones((len(DUE), len(reached))), reached),
    }
    facts = {**signals.facts, "unoptimized": ",".join(copy)}
    assert findings(unoptimized_parameters.RULE, Signals({**signals, **series}, facts)) == []
    facts["unoptimized"] += ",hidden0.bias"
    (finding,) = findings(unoptimized_parameters.RULE, Signals({**signals, **series}, facts))
    assert (finding.severity, finding.layers) == (Severity.WARNING, ("hidden0.bias",))
