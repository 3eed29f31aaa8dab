"""A multilayer perceptron."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from torch import nn

from trainers.models.layers import activation, chain, dropout, linear
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig


def build_mlp(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """`depth` hidden layers of `width` units over the flattened sample, then a linear output layer."""
    inputs = math.prod(shapes.inputs)
    parts: dict[str, nn.Module] = {"flatten": nn.Flatten()}
    for number in range(1, config.depth + 1):
        parts[f"hidden{number}"] = chain(
            {
                **linear(inputs, config.width, config),
                "activation": activation(config),
                "dropout": dropout(config),
            }
        )
        inputs = config.width
    return chain({**parts, "head": nn.Linear(inputs, shapes.outputs)})
