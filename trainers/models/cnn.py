"""A plain convolutional network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from trainers.models.layers import activation, chain, convolution, dropout
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

LARGEST_MAP = 8
"""Side of the map the output layer reads, at most: bounds its weights on large images; house rule."""

POOLINGS: dict[str, type[nn.MaxPool2d] | type[nn.AvgPool2d]] = {
    "max": nn.MaxPool2d,
    "mean": nn.AvgPool2d,
}


def build_cnn(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """`depth` convolutions of 3x3, then a linear output layer over the flattened map.

    After each convolution the map is pooled to half its height and width, as far as a side is
    larger than 1, and the channels double with every pooling. The map is flattened, not averaged:
    a few convolutions see only a small window each, and where they saw something matters.

    Source: LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998.
    """
    inputs, height, width = shapes.inputs
    channels = config.channels
    parts: dict[str, nn.Module] = {}
    for number in range(1, config.depth + 1):
        window = (min(2, height), min(2, width))
        parts[f"stage{number}"] = chain(
            {
                **convolution(inputs, channels, config),
                "activation": activation(config),
                "pooling": _pooling(window, config),
                "dropout": dropout(config),
            }
        )
        height, width = height // window[0], width // window[1]
        inputs, channels = channels, channels * max(window)
    window = (-(-height // LARGEST_MAP), -(-width // LARGEST_MAP))
    read = inputs * (height // window[0]) * (width // window[1])
    parts |= {"pooling": _pooling(window, config), "flatten": nn.Flatten()}
    return chain({**parts, "head": nn.Linear(read, shapes.outputs)})


def _pooling(window: tuple[int, int], config: TrialConfig) -> nn.Module:
    return nn.Identity() if window == (1, 1) else POOLINGS[config.pooling](window)
