"""Columns of a table to features, learned on the training rows alone.

Notation
    x       numbers, or codes into a column's levels; NaN is missing        [rows, columns]
    z       features: numbers in their own units, ones and zeros elsewhere  [rows, features]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainers.data.samples import Array, Column
from trainers.errors import DataError

MOST_LEVELS = 256
"""A column with more levels, or with more levels than half its rows, as names and dates have, keeps
the most frequent ones, and only those seen twice (house rule)."""


@dataclass(frozen=True)
class Plan:
    """What becomes of one column: the number and, where training rows miss it, a flag; or flags.

    `fill` stands in for missing numbers; `flags` are the codes that get a feature of ones and zeros
    (NaN: missing); other codes, unseen in training, are zero everywhere.
    """

    names: tuple[str, ...]
    is_number: bool
    fill: float
    flags: tuple[float, ...]

    def encode(self, x: Array) -> Array:
        """`[rows]` to `[rows, len(names)]`."""
        gap = np.isnan(x)
        number = [np.where(gap, self.fill, x)] if self.is_number else []
        flags = [gap if np.isnan(code) else x == code for code in self.flags]
        return np.stack([*number, *flags], axis=1).astype(np.float64)


@dataclass(frozen=True)
class Encoding:
    """The plans of all columns that are of use."""

    plans: tuple[tuple[int, Plan], ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The features' names."""
        return tuple(name for _, plan in self.plans for name in plan.names)

    @property
    def measured(self) -> Array:
        """Which features are numbers, to be scaled; the rest are ones and zeros. `[features]`"""
        kinds = [plan.is_number and i == 0 for _, plan in self.plans for i in range(len(plan.names))]
        return np.array(kinds, dtype=bool)

    def encode(self, x: Array) -> Array:
        """x to z."""
        return np.concatenate([plan.encode(x[:, at]) for at, plan in self.plans], axis=1)


def learn_encoding(x: Array, columns: Sequence[Column]) -> Encoding:
    """The encoding, from the training rows `x`. Raises: DataError when no column is of use."""
    plans = [(i, _plan(x[:, i], column)) for i, column in enumerate(columns)]
    useful = tuple((i, plan) for i, plan in plans if plan.names)
    if not useful:
        raise DataError("data: no column is of use: all are empty, or texts that differ in every row")
    return Encoding(useful)


def _plan(x: Array, column: Column) -> Plan:
    gap = np.isnan(x)
    missing = (np.nan,) if gap.any() else ()
    if column.levels is None:
        if gap.all():
            return Plan((), False, 0.0, ())
        names = (column.name, *(f"{column.name}=missing" for _ in missing))
        return Plan(names, True, float(np.median(x[~gap])), missing)
    codes, counts = np.unique(x[~gap], return_counts=True)
    if len(codes) > min(MOST_LEVELS, counts.sum() / 2):
        frequent = np.argsort(-counts, kind="stable")[:MOST_LEVELS]
        codes = np.sort(codes[frequent[counts[frequent] > 1]])
    flags = (*(float(code) for code in codes), *missing)
    names = tuple(
        f"{column.name}={'missing' if np.isnan(code) else column.levels[int(code)]}" for code in flags
    )
    return Plan(names, False, 0.0, flags)
