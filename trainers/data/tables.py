"""Tables: columns of numbers and of categories, one of them the target.

Notation
    values  numbers, or codes into a column's levels; NaN is missing        [rows, columns]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainers.choices import choices
from trainers.data.labels import encode_labels, resolve_task
from trainers.data.samples import Array, Column, Samples
from trainers.errors import DataError

MISSING = frozenset({"", "?", "na", "n/a", "nan", "none", "null"})
"""What stands for a missing value in a text file, in small letters."""

STRAY_SHARE = 0.01
"""A column of numbers with at most this share of other texts has mistakes, not categories (house rule)."""

STRAY_NUMBERS = 20
"""... when it has more distinct numbers than this (house rule)."""


@dataclass(frozen=True, eq=False)
class Table:
    """A whole table in memory; see the notation above."""

    columns: tuple[Column, ...]
    values: Array


def table_samples(table: Table, target: str | None, task: str) -> Samples:
    """Features and target of a table. Raises: DataError when there is no such target, or a bad one."""
    names = [column.name for column in table.columns]
    check_target(names, target)
    at = names.index(str(target))
    what = f"target {target!r}"
    y, levels = table.values[:, at], table.columns[at].levels
    missing = np.flatnonzero(np.isnan(y))
    if len(missing):
        raise DataError(
            f"data: {what} is missing in {len(missing)} of {len(y)} rows, the first is row "
            f"{missing[0] + 1}; leave those rows out"
        )
    named = y if levels is None else np.array(levels)[y.astype(np.int64)]
    resolved = resolve_task(named, task, what)
    labels, class_names = encode_labels([named], resolved, (), what)
    rest = [i for i in range(len(names)) if i != at]
    if not rest:
        raise DataError(f"data: besides the {what} the table has no column to learn from")
    return Samples(
        kind="features",
        task=resolved,
        x=table.values[:, rest],
        y=labels[0],
        class_names=class_names,
        columns=tuple(table.columns[i] for i in rest),
    )


def check_target(names: list[str], target: str | None) -> None:
    """Raises: DataError when `target` is not set or no column of that name is there."""
    if target is None:
        raise DataError(
            f"data: a table needs the name of its label column; set target to one of: {', '.join(names)}"
        )
    if target not in names:
        raise DataError(f"data: target: no such column {target!r}; {choices(target, names)}")


def column_of_texts(name: str, cells: tuple[str, ...]) -> tuple[Column, Array]:
    """A column of a text file, told apart by its content: numbers when every cell is one.

    Raises: DataError when almost all are numbers, or one is infinite.
    """
    numbers = {cell: number(cell) for cell in dict.fromkeys(cells)}
    texts = {cell for cell, value in numbers.items() if value is None}
    if not texts:
        values = np.fromiter(map(numbers.__getitem__, cells), np.float64, len(cells))
        check_finite(name, values)
        return Column(name), values
    _check_strays(name, cells, texts, len(numbers) - len(texts))
    return column_of_levels(name, [cell.strip() for cell in cells])


def column_of_levels(name: str, cells: list[str]) -> tuple[Column, Array]:
    """A column of categories; its levels are sorted."""
    levels = sorted({cell for cell in set(cells) if cell.lower() not in MISSING})
    codes = {level: float(code) for code, level in enumerate(levels)}
    values = np.fromiter((codes.get(cell, np.nan) for cell in cells), np.float64, len(cells))
    return Column(name, tuple(levels)), values


def check_finite(name: str, values: Array) -> None:
    """Raises: DataError when a number is infinite; NaN is a missing value."""
    if np.isinf(values).any():
        row = int(np.flatnonzero(np.isinf(values))[0])
        raise DataError(f"data: column {name!r} is infinite in row {row + 1}; correct it, or leave it empty")


def number(cell: str) -> float | None:
    """The number a cell holds, NaN when it is missing, None when it is a text."""
    bare = cell.strip()
    if bare.lower() in MISSING:
        return np.nan
    try:
        return None if "_" in bare else float(bare)
    except ValueError:
        return None


def _check_strays(name: str, cells: tuple[str, ...], texts: set[str], distinct: int) -> None:
    rows = [row for row, cell in enumerate(cells) if cell in texts]
    if distinct > STRAY_NUMBERS and len(rows) <= STRAY_SHARE * len(cells):
        raise DataError(
            f"data: column {name!r} holds numbers but for {len(rows)} rows, the first is row "
            f"{rows[0] + 1} with {cells[rows[0]].strip()!r}; correct them, or write ? for a missing value"
        )
