"""What all objectives of a trial were at its evaluations, as Optuna's store keeps it: plain data.

Optuna holds one number for each evaluation, that of the first objective; all of them stand beside the trial.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Vector = tuple[float, ...]
"""One number for each objective of a study, in the order of its file; NaN where one is not known."""

OBJECTIVES = "searcher:objectives"
"""The attribute of a trial that holds them, in studies with several objectives."""


def to_plain(vector: Vector) -> list[float | None]:
    """A vector as JSON has it."""
    return [None if math.isnan(value) else value for value in vector]


def from_plain(values: Sequence[float | None]) -> Vector:
    """What `to_plain` gave."""
    return tuple(math.nan if value is None else float(value) for value in values)


def to_rows(vectors: Mapping[int, Vector]) -> list[list[Any]]:
    """Vectors by evaluation as JSON has them."""
    return [[due, to_plain(vector)] for due, vector in vectors.items()]


def vectors_in(attributes: Mapping[str, Any]) -> dict[int, Vector]:
    """The vectors of a trial with these attributes, by evaluation; none in a study with one objective."""
    return {int(due): from_plain(values) for due, values in attributes.get(OBJECTIVES, ())}
