"""The faults, one row each: how a healthy recipe is spoilt, what names the cause, what must stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from planted import mutations as m
from planted.programs import Recipe

Spoil = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class Fault:
    """A mutation. `causes` are the kinds of finding that name it; `needs` and `not_for` are traits of
    programs it can be planted in; `fatal`: one that learns nothing with it should be stopped."""

    name: str
    spoil: Spoil
    causes: tuple[str, ...]
    fatal: bool = False
    needs: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()


def _with(**changes: Any) -> Spoil:
    return lambda recipe: replace(recipe, **changes)


def _rate(factor: float, **changes: Any) -> Spoil:
    return lambda recipe: replace(recipe, learning_rate=recipe.learning_rate * factor, **changes)


def _deep(depth: int, activation: str, **changes: Any) -> Spoil:
    return lambda recipe: replace(recipe, depth=depth, activation=activation, **changes)


HIGH = ("learning-rate-too-high",)
LOW = ("learning-rate-too-low",)
HEAD = ("head-mismatch",)
DATA = ("data-fault",)
MODE = ("mode-mismatch",)
MISSING = ("unoptimized-parameters", "frozen-layers")

RATES = (
    Fault("rate-x10", _rate(10), HIGH),
    Fault("rate-x100", _rate(100), HIGH, fatal=True),
    Fault("rate-x1000", _rate(1e3), HIGH, fatal=True),
    Fault("rate-x10000", _rate(1e4), HIGH, fatal=True),
    Fault("rate-over-100", _rate(1e-2), LOW),
    Fault("rate-over-1000", _rate(1e-3), LOW),
    Fault("rate-over-10000", _rate(1e-4), LOW),
    Fault("rate-decays-at-once", _with(rate_at=lambda share: 0.5 ** (share * 200)), LOW),
    Fault(
        "batch-of-one-large-step",
        _rate(10, batch_size=1),
        (*HIGH, "noisy-gradients"),
        fatal=True,
        not_for=("norm", "letters"),
    ),
    Fault("clip-hides-explosion", _rate(1e3, clip=1.0), ("clipping-dominates", *HIGH), True, ("sgd",)),
    Fault("clip-to-nothing", _with(clip=1e-4), ("clipping-dominates", *LOW), needs=("sgd",)),
)

INITS = (
    Fault("zero-init", _with(alter_model=m.fill(0.0)), ("symmetric-units",), True, not_for=("letters",)),
    Fault("constant-init", _with(alter_model=m.fill(0.1)), ("symmetric-units",), True, not_for=("letters",)),
    Fault(
        "huge-init",
        _with(alter_model=m.scale_weights(20.0)),
        ("bad-init-scale", "saturated-activations", "norm-masks-init"),
    ),
    Fault(
        "tiny-init",
        _with(alter_model=m.scale_weights(0.01)),
        ("bad-init-scale", "vanishing-gradients"),
        not_for=("norm",),
    ),
    Fault(
        "deep-sigmoid",
        _deep(8, "sigmoid", norm=""),
        ("vanishing-gradients", "bad-init-scale", "saturated-activations"),
        True,
        ("flat",),
    ),
    Fault(
        "deep-relu-small-init",
        _deep(12, "relu", norm=""),
        ("vanishing-gradients", "bad-init-scale"),
        True,
        ("flat",),
    ),
    Fault(
        "saturated-tanh",
        _deep(6, "tanh", norm="", alter_model=m.scale_weights(12.0)),
        ("saturated-activations", "bad-init-scale"),
        needs=("flat",),
    ),
    Fault(
        "norm-over-huge-init",
        _with(alter_model=m.scale_weights(100.0)),
        ("norm-masks-init", "bad-init-scale"),
        needs=("norm",),
    ),
    Fault(
        "dead-biases", _with(alter_model=m.shift_biases(-30.0)), ("dead-units",), True, ("relu", "no-norm")
    ),
    Fault(
        "dead-biases-under-norm",
        _with(alter_model=m.shift_norms(-12.0)),
        ("dead-units",),
        True,
        ("relu", "norm"),
    ),
    Fault(
        "recurrent-weights-x30",
        _with(alter_model=m.scale_recurrent(30.0)),
        ("saturated-activations", "bad-init-scale", "exploding-gradients"),
        needs=("sequence",),
    ),
)

HEADS = (
    Fault("softmax-twice", _with(ending="softmax", comparable=False), HEAD, needs=("classes",)),
    Fault(
        "sigmoid-before-cross-entropy", _with(ending="sigmoid", comparable=False), HEAD, needs=("classes",)
    ),
    Fault("sigmoid-twice", _with(ending="sigmoid", comparable=False), HEAD, needs=("one-logit",)),
    Fault(
        "one-unit-softmax", _with(ending="softmax", loss="bce-on-probabilities"), HEAD, True, ("one-logit",)
    ),
    Fault("relu-before-cross-entropy", _with(ending="relu"), (*HEAD, "dead-units"), needs=("classes",)),
    Fault("relu-head", _with(ending="relu"), HEAD, needs=("regression",)),
    Fault("sigmoid-head", _with(ending="sigmoid"), HEAD, needs=("regression",)),
    Fault(
        "tanh-head-against-range",
        _with(ending="tanh", alter_data=m.stretch_targets(20.0, 50.0)),
        (*HEAD, "saturated-activations"),
        needs=("regression",),
    ),
    Fault("no-log-softmax", _with(loss="nll-of-logits", comparable=False), HEAD, needs=("classes",)),
    Fault("negative-cross-entropy", _with(loss="negative", comparable=False), HEAD, True, ("classes",)),
    Fault(
        "loss-broadcasts",
        _with(loss="mse-broadcast"),
        (*HEAD, *DATA, "constant-predictions", "not-learning"),
        True,
        ("regression",),
    ),
    Fault(
        "loss-without-gradient",
        _with(loss="mse-of-classes", comparable=False),
        (*HEAD, "frozen-layers", "not-learning"),
        True,
        ("classes",),
        ("letters",),
    ),
)

INPUTS = (
    Fault("inputs-x255", _with(alter_data=m.scale_inputs(255.0)), ("unscaled-inputs",), not_for=("letters",)),
    Fault(
        "one-feature-x10000", _with(alter_data=m.scale_feature(1e4)), ("unscaled-inputs",), needs=("flat",)
    ),
    Fault("natural-units", _with(scaled=False), ("unscaled-inputs",), needs=("units",)),
    Fault(
        "inputs-shifted", _with(alter_data=m.shift_inputs(100.0)), ("unscaled-inputs",), not_for=("letters",)
    ),
    Fault(
        "nan-inputs",
        _with(alter_batch=m.spoil_batches),
        (*DATA, "non-finite"),
        True,
        not_for=("letters",),
    ),
)

LABELS = (
    Fault(
        "permuted-labels",
        _with(alter_data=m.permute_labels),
        (*DATA, "label-noise", "overfitting", "not-learning"),
    ),
    Fault("constant-labels", _with(alter_data=m.same_labels), DATA, True),
    Fault("nan-labels", _with(alter_data=m.spoil_targets), (*DATA, "non-finite"), True, ("regression",)),
    Fault("sorted-labels", _with(alter_data=m.sort_by_label, shuffled=False), DATA, not_for=("letters",)),
    Fault("other-labels-in-validation", _with(alter_data=m.shift_validation_labels), (*DATA, "overfitting")),
    Fault("noisy-labels", _with(alter_data=m.noisy_labels(0.6)), ("label-noise", "overfitting")),
)

LOOPS = (
    Fault("no-zero-grad", _with(resets_gradients=False), ("gradients-accumulate",)),
    Fault("optimizer-of-another-model", _with(optimized=m.strangers), MISSING, True),
    Fault("only-biases-optimized", _with(optimized=m.biases), MISSING),
    Fault("head-alone-optimized", _with(optimized=m.head_parameters), MISSING),
    Fault("detached-body", _with(alter_model=m.detach_body), MISSING),
    Fault("frozen-by-mistake", _with(alter_model=m.freeze_most), MISSING),
    Fault("trained-in-evaluation-mode", _with(trains_in="eval"), MODE, needs=("batch",)),
    Fault(
        "evaluated-in-training-mode", _with(evaluates_in="train", dropout=0.5), MODE, not_for=("sequence",)
    ),
    Fault("stale-statistics", _with(alter_model=m.slow_statistics), MODE, needs=("batch",)),
)

PENALTIES = (
    Fault("dropout-0.9", _with(dropout=0.9), ("dropout-too-high",), not_for=("sequence",)),
    Fault("dropout-0.97", _with(dropout=0.97), ("dropout-too-high",), not_for=("sequence",)),
    Fault("weight-decay-1", _with(weight_decay=1.0), ("over-regularized",), True),
    Fault("weight-decay-0.1", _with(weight_decay=0.1), ("over-regularized",)),
    Fault("l1-0.03", _with(l1=0.03), ("over-regularized",), True),
    Fault(
        "tiny-data",
        lambda recipe: replace(
            recipe,
            alter_data=m.keep(30),
            width=recipe.width * 2,
            weight_decay=0.0,
            dropout=0.0,
            batch_size=16,
        ),
        ("overfitting",),
    ),
)

FAULTS = {fault.name: fault for fault in (*RATES, *INITS, *HEADS, *INPUTS, *LABELS, *LOOPS, *PENALTIES)}
