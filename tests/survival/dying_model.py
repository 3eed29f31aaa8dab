"""An own model whose worker is killed in a step, or with half of its state on the disk, where a plan says.

`plan.json` in the folder of the study: learning rate of a trial -> `["step", n]` or `["state", n]`, the n-th.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import torch
from dying_trainers import die, planned
from torch import Tensor, nn

from trainers.shapes import Shapes

PLAIN_SAVE = torch.save


class Dying(nn.Module):
    """One hidden layer; `passes` is told of each training batch."""

    def __init__(self, inputs: int, width: int, outputs: int, passes: Callable[[], None]) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, outputs))
        self._passes = passes

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self._passes()
        answer: Tensor = self.layers(x.flatten(1))
        return answer


def build(settings: Mapping[str, Any], shapes: Shapes) -> nn.Module:
    """The model of a trial; what is planned for it is laid around the writing of its state."""
    what, moment = planned(settings) or ("", 0)
    counted = {"step": 0, "state": 0}

    def is_due(kind: str) -> bool:
        counted[kind] += 1
        return (kind, counted[kind]) == (what, moment)

    def passes() -> None:
        if is_due("step"):
            die(settings)

    def torn(content: Any, file: BinaryIO) -> None:
        if is_due("state"):
            whole = io.BytesIO()
            PLAIN_SAVE(content, whole)
            file.write(whole.getvalue()[: len(whole.getvalue()) // 2])
            file.flush()
            die(settings)
        PLAIN_SAVE(content, file)

    torch.save = torn
    return Dying(math.prod(shapes.inputs), settings["width"], shapes.outputs, passes)
