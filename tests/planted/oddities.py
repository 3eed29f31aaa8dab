"""Healthy trainings that look odd, one row each: the diagnostics must be silent on all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from planted import mutations as m
from planted.programs import Recipe

Change = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class Oddity:
    """A change that leaves a training healthy; `short`: it was meant to train less than its twin."""

    name: str
    change: Change
    needs: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()
    short: bool = False


def _with(**changes: Any) -> Change:
    return lambda recipe: replace(recipe, **changes)


def _rate(factor: float, **changes: Any) -> Change:
    return lambda recipe: replace(recipe, learning_rate=recipe.learning_rate * factor, **changes)


def _longer(factor: float, **changes: Any) -> Change:
    return lambda recipe: replace(recipe, steps=int(recipe.steps * factor), **changes)


def _wider(width: float, depth: int) -> Change:
    return lambda recipe: replace(recipe, width=int(recipe.width * width), depth=recipe.depth + depth)


def _cosine(share: float) -> float:
    return 0.5 * (1 + math.cos(math.pi * share))


def _warm_up(share: float) -> float:
    return min(1.0, 0.01 + share / 0.2)


def _one_cycle(share: float) -> float:
    return 0.1 + 2.4 * (share / 0.3 if share < 0.3 else (1 - share) / 0.7)


def _with_smaller_batches(recipe: Recipe) -> Recipe:
    return replace(recipe, batch_size=1, learning_rate=recipe.learning_rate / 20, steps=1500)


def _slower(recipe: Recipe) -> Recipe:
    return replace(recipe, learning_rate=recipe.learning_rate / 3, steps=int(recipe.steps * 1.5))


def _large_targets(recipe: Recipe) -> Recipe:
    data, rate = m.stretch_targets(40.0, 60.0), {"sgd": 1e-4, "adam": 0.05}[recipe.optimizer]
    return replace(recipe, alter_data=data, learning_rate=rate, optimizer=recipe.optimizer, steps=1200)


ODDITIES = {
    oddity.name: oddity
    for oddity in (
        Oddity("plain", lambda recipe: recipe),
        Oddity("dropout", _with(dropout=0.3), not_for=("letters", "sequence", "regression")),
        Oddity(
            "strong-dropout-wide",
            lambda r: replace(r, dropout=0.5, width=r.width * 4),
            (),
            ("sequence", "image", "regression"),
        ),
        Oddity("batch-of-one", _with_smaller_batches, not_for=("norm", "letters"), short=True),
        Oddity("batch-of-four", _rate(0.3, batch_size=4), not_for=("batch", "letters")),
        Oddity("large-batch", _with(batch_size=256), not_for=("letters",)),
        Oddity("rate-x3", _rate(3)),
        Oddity("rate-at-the-edge", _rate(8), needs=("sgd",)),
        Oddity("rate-over-3", _slower),
        Oddity("warm-up", _rate(2, rate_at=_warm_up)),
        Oddity("cosine-to-zero", _rate(1.5, rate_at=_cosine)),
        Oddity("one-cycle", _rate(1, rate_at=_one_cycle)),
        Oddity("steps-of-the-rate", _with(rate_at=lambda share: 0.2 ** int(share * 3))),
        Oddity("long", _longer(3), not_for=("letters", "deep", "dropout", "image")),
        Oddity("short", _longer(0.15), short=True),
        Oddity("label-smoothing", _with(smoothing=0.1), needs=("classes",)),
        Oddity("sparse-relu", _with(alter_model=m.shift_biases(-0.5)), needs=("relu", "no-norm")),
        Oddity(
            "first-layer-frozen", _with(alter_model=m.freeze_first, optimized=m.moving), not_for=("sequence",)
        ),
        Oddity("large-targets", _large_targets, needs=("regression",)),
        Oddity(
            "sigmoid-plateau",
            _longer(2, activation="sigmoid", optimizer="adam", learning_rate=5e-3),
            ("flat",),
            ("deep",),
        ),
        Oddity("zero-head", _with(alter_model=m.scale_head(0.0))),
        Oddity("clip-often", _with(clip=0.3), needs=("sgd",)),
        Oddity("clip-often-adam", _with(clip=0.05), needs=("adam",)),
        Oddity("weight-decay", _with(weight_decay=1e-3)),
        Oddity("adamw", _with(optimizer="adamw", learning_rate=2e-3, weight_decay=0.05)),
        Oddity("rmsprop", _with(optimizer="rmsprop", learning_rate=1e-3)),
        Oddity("nadam", _with(optimizer="nadam", learning_rate=3e-3)),
        Oddity("adagrad", _with(optimizer="adagrad", learning_rate=0.02)),
        Oddity("nesterov", _rate(1, optimizer="nesterov"), needs=("sgd",)),
        Oddity("other-activation", _with(activation="silu"), not_for=("sequence",)),
        Oddity("selu", _with(activation="selu"), needs=("flat",)),
        Oddity("batch-norm", _rate(2, norm="batch"), ("no-norm",), ("sequence",)),
        Oddity("deep-with-layer-norm", lambda r: replace(r, norm="layer", depth=r.depth + 3), ("flat",)),
        Oddity("wide", _wider(3, 0), not_for=("sequence",)),
        Oddity("jitter", _with(alter_batch=m.jitter(0.3)), not_for=("letters",)),
        Oddity("small-init", _with(alter_model=m.scale_weights(0.5))),
        Oddity("some-wrong-labels", _with(alter_data=m.noisy_labels(0.05))),
    )
}
