"""The hidden layer all models are made of: layer, norm, activation, pooling, dropout.

What does nothing is left out, so that a model shows, and the diagnostics name, only what works.
The children are named, not numbered: the names of the weights stay when a norm comes or goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from trainers.parts.activations import ACTIVATIONS, pieces
from trainers.parts.dropouts import drop_features, drop_weights
from trainers.parts.norms import NORMS

if TYPE_CHECKING:
    from trainers.config import TrialConfig

CENTERED = ("batch", "instance")
"""Norms that take away each feature's own mean: a bias before them would never learn."""


def linear(inputs: int, outputs: int, config: TrialConfig) -> dict[str, nn.Module]:
    """A linear layer for `outputs` hidden units, and its norm.

    `[batch, inputs]` gives `[batch, outputs]`, times the pieces of the activation that follows.
    """
    wide = outputs * pieces(config.activation)
    layer = nn.Linear(inputs, wide, bias=_has_bias(config))
    return {"linear": _with_dropped_weights(layer, config), "norm": norm(wide, config)}


def convolution(
    inputs: int, outputs: int, config: TrialConfig, *, kernel: int = 3, stride: int = 1
) -> dict[str, nn.Module]:
    """A padded convolution for `outputs` hidden channels, and its norm.

    `[batch, inputs, height, width]` gives as many rows and columns, divided by `stride` and rounded
    up, and `outputs` channels, times the pieces of the activation that follows.
    """
    wide = outputs * pieces(config.activation)
    layer = nn.Conv2d(inputs, wide, kernel, stride=stride, padding=kernel // 2, bias=_has_bias(config))
    return {"convolution": _with_dropped_weights(layer, config), "norm": norm(wide, config)}


def activation(config: TrialConfig) -> nn.Module:
    """The activation of a hidden layer."""
    return ACTIVATIONS[config.activation]()


def norm(features: int, config: TrialConfig) -> nn.Module:
    """The norm of a hidden layer with so many features or channels."""
    return NORMS[config.norm].make(features, config.norm_groups)


def dropout(config: TrialConfig) -> nn.Module:
    """What drops features behind a hidden layer."""
    return drop_features(config) if config.dropout > 0 else nn.Identity()


def chain(parts: dict[str, nn.Module]) -> nn.Sequential:
    """The parts one after the other by their names, without those that do nothing."""
    chained = nn.Sequential()
    for name, part in parts.items():
        if not isinstance(part, nn.Identity):
            chained.add_module(name, part)
    return chained


def _with_dropped_weights(layer: nn.Linear | nn.Conv2d, config: TrialConfig) -> nn.Module:
    return drop_weights(layer, config) if config.dropout > 0 else layer


def _has_bias(config: TrialConfig) -> bool:
    return config.norm not in CENTERED
