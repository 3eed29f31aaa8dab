"""What a data set is before the split (`Samples`) and after it (`Splits`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from trainers.shapes import Kind, Shapes, Task

Array = NDArray[Any]


@dataclass(frozen=True)
class Column:
    """One column of a table: numbers, or, where it has `levels`, codes into them. NaN is missing."""

    name: str
    levels: tuple[str, ...] | None = None


@dataclass(frozen=True, eq=False)
class Samples:
    """What a source gives, in the source's own units and before anything is fitted.

    `x` is `[n, columns]` (features), `[n, channels, height, width]` (image) or `[n, length]` of
    character ids in the order of the text (tokens). `y` is `[n]` class ids, `[n, targets]` for a
    regression, or `[n, length]` for tokens. `test` is the (x, y) of a set that has an own test part.
    `class_names` are the characters for tokens; `columns` describes features.
    """

    kind: Kind
    task: Task
    x: Array
    y: Array
    class_names: tuple[str, ...] = ()
    columns: tuple[Column, ...] = ()
    test: tuple[Array, Array] | None = None


@dataclass(frozen=True, eq=False)
class Split:
    """One part of a data set: `x` float32 (tokens: int64), `y` int64, or float32 `[n, targets]`."""

    x: Tensor
    y: Tensor

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, eq=False)
class Splits:
    """A data set ready to train on. Parts share no sample; what is fitted is fitted on `train` alone.

    `class_counts` are those of the training part, by class (empty for a regression; characters asked
    for, by character, for tokens). `digest` names the raw content: the first 16 hex digits of a
    SHA-256. Own code may leave all but the parts and the shapes empty.
    """

    train: Split
    validation: Split
    test: Split | None
    shapes: Shapes
    class_counts: tuple[int, ...] = ()
    class_names: tuple[str, ...] = ()
    feature_names: tuple[str, ...] = ()
    digest: str = ""
