"""An own model: two paths through the image that meet before the answer.

`build(settings, shapes)` gets every setting of the trial and the shapes of the data, and returns a
module that maps `[batch, *shapes.inputs]` to `[batch, shapes.outputs]` raw outputs (logits).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from trainers.parts.activations import ACTIVATIONS
from trainers.shapes import Shapes


class TwoPaths(nn.Module):
    """A wide path that sees all pixels at once and a narrow one that sees small windows of them."""

    initialized_by_settings = True  # the study's `init` fills the weights; leave it out to keep your own

    def __init__(self, shapes: Shapes, width: int, filters: int, activation: str) -> None:
        super().__init__()
        pixels, channels = math.prod(shapes.inputs), shapes.inputs[0]
        make = ACTIVATIONS[activation]
        self.wide = nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), make())
        self.narrow = nn.Sequential(
            nn.Conv2d(channels, filters, 3, padding=1), make(), nn.AdaptiveMaxPool2d(2), nn.Flatten()
        )
        self.head = nn.Linear(width + 4 * filters, shapes.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """`[batch, channels, height, width]` gives `[batch, outputs]`."""
        both = torch.cat([self.wide(x), self.narrow(x)], dim=1)
        answer: Tensor = self.head(both)
        return answer


def build(settings: Mapping[str, Any], shapes: Shapes) -> nn.Module:
    """The model of one trial; `filters` is a setting that only this file knows."""
    return TwoPaths(shapes, settings["width"], settings["filters"], settings["activation"])
