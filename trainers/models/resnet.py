"""A residual network for small images.

Source: He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor, nn

from trainers.models.layers import activation, chain, convolution, dropout
from trainers.parts.activations import pieces
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

BLOCKS = 2
"""Residual blocks of a stage, as in the 18-layer network."""


class ResidualBlock(nn.Module):
    """Two convolutions of 3x3 whose result is added to the input.

    `[batch, inputs, height, width]` gives `[batch, outputs, height / stride, width / stride]`,
    rounded up. Where the shapes of the sum differ, the input passes a convolution of 1x1.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, config: TrialConfig) -> None:
        super().__init__()
        self.first = chain(
            {
                **convolution(inputs, outputs, config, stride=stride),
                "activation": activation(config),
                "dropout": dropout(config),  # between the two: Zagoruyko & Komodakis 2016
            }
        )
        self.second = chain(convolution(outputs, outputs, config))
        fits = inputs == outputs * pieces(config.activation) and stride == 1
        self.shortcut = chain({} if fits else convolution(inputs, outputs, config, kernel=1, stride=stride))
        self.activation = activation(config)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.activation(self.second(self.first(x)) + self.shortcut(x))
        return y


class GlobalMean(nn.Module):
    """The mean of each channel: `[batch, channels, height, width]` gives `[batch, channels]`."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3))


def build_resnet(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """A convolution, `depth` stages of residual blocks, the mean over pixels and a linear layer.

    Each stage but the first halves height and width and doubles the channels, as far as a side is
    larger than 1.
    """
    inputs, height, width = shapes.inputs
    channels = config.channels
    stem = {**convolution(inputs, channels, config), "activation": activation(config)}
    parts: dict[str, nn.Module] = {"stem": chain(stem)}
    inputs, side = channels, max(height, width)
    for number in range(1, config.depth + 1):
        stride = 2 if number > 1 and side > 1 else 1
        channels, side = channels * stride, -(-side // stride)
        blocks: dict[str, nn.Module] = {}
        for block in range(1, BLOCKS + 1):
            blocks[f"block{block}"] = ResidualBlock(inputs, channels, stride, config)
            inputs, stride = channels, 1
        parts[f"stage{number}"] = chain(blocks)
    return chain({**parts, "mean": GlobalMean(), "head": nn.Linear(inputs, shapes.outputs)})
