"""What a model must know of the data: the shape of a sample and of an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["features", "image", "tokens"]
Task = Literal["classification", "regression"]


@dataclass(frozen=True)
class Shapes:
    """The outside of a model.

    `inputs` is one sample without the batch: `(features,)`, `(channels, height, width)` or, for
    tokens, `(length,)`. `outputs` counts the numbers of one answer: classes, targets or, for tokens,
    the vocabulary. A model maps `[batch, *inputs]` to `[batch, outputs]`; tokens to
    `[batch, length, outputs]`.
    """

    kind: Kind
    inputs: tuple[int, ...]
    outputs: int
    task: Task
    vocabulary: int | None = None
