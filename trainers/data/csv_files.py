"""Tables in text files: with or without a header, whatever the separator."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from trainers.data.samples import Array, Column, Samples
from trainers.data.sources import Settings
from trainers.data.tables import Table, check_target, column_of_texts, number, table_samples
from trainers.errors import DataError

SEPARATORS = ",;\t|"
LOOKED_AT = 200
"""Rows that decide about separator and header."""


@dataclass(frozen=True)
class Layout:
    """How a text file holds its table. An empty name is one the header leaves out."""

    separator: str
    names: tuple[str, ...]
    has_header: bool


def read_csv(
    files: Sequence[Path], settings: Settings, names: Sequence[str] = (), target: str | None = None
) -> Samples:
    """Samples of a text table. `names` are its columns when it is known to have no header; `target`
    is the label column when the setting does not say another one."""
    table = csv_table(files[0], names)
    return table_samples(table, settings["target"] or target, settings["task"])


def check_csv(
    files: Sequence[Path], settings: Settings, names: Sequence[str] = (), target: str | None = None
) -> None:
    """Raises: DataError when the beginning of the file is no table or lacks the target."""
    check_target(list(_full_names(layout_of(files[0], names))), settings["target"] or target)


def csv_table(path: Path, names: Sequence[str] = ()) -> Table:
    """The whole table. Raises: DataError with the line of a ragged row; for an empty file."""
    layout = layout_of(path, names)
    rows = [row for row in _rows(path, layout.separator) if row][layout.has_header :]
    if not rows:
        raise DataError(f"data: {path} has a header, but no rows; it needs some")
    width = len(layout.names)
    if any(len(row) != width for row in rows):
        _complain_of_ragged(path, layout)
    columns: list[Column] = []
    values = []
    for name, full, cells in zip(layout.names, _full_names(layout), zip(*rows, strict=True), strict=True):
        column, numbers = column_of_texts(full, cells)
        if name or not _numbers_rows(numbers):
            columns.append(column)
            values.append(numbers)
    return Table(tuple(columns), np.stack(values, axis=1))


def layout_of(path: Path, names: Sequence[str] = ()) -> Layout:
    """The layout, from the file's first rows. Raises: DataError for a file that is empty or no text."""
    best: list[list[str]] = []
    separator = SEPARATORS[0]
    for candidate in SEPARATORS:
        rows = list(islice((row for row in _rows(path, candidate) if row), LOOKED_AT))
        if _regularity(rows) > _regularity(best):
            best, separator = rows, candidate
    if not best:
        raise DataError(f"data: {path} is empty; a table needs rows")
    if names:
        return Layout(separator, tuple(names), has_header=False)
    if not _has_header(best):
        return Layout(separator, tuple(f"column {i + 1}" for i in range(len(best[0]))), False)
    header = tuple(cell.strip() for cell in best[0])
    twice = [name for name in header if header.count(name) > 1]
    if twice:
        raise DataError(f"data: {path} has two columns named {twice[0]!r}; rename one")
    return Layout(separator, header, has_header=True)


def _has_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no numbers in it, and not values of its own columns."""
    first, rest = [cell.strip() for cell in rows[0]], rows[1:]
    if any(number(cell) is not None for cell in first[1:]) or (first[0] and number(first[0]) is not None):
        return False
    columns = [[row[i].strip() for row in rest if i < len(row)] for i in range(len(first))]
    if any(cells and all(number(cell) is not None for cell in cells) for cells in columns):
        return True
    return not any(cell in cells for cell, cells in zip(first, columns, strict=True))


def _regularity(rows: list[list[str]]) -> tuple[int, int]:
    """How many rows are as wide as the first one, if it has several cells; then its width."""
    if not rows:
        return (0, 0)
    width = len(rows[0])
    return (sum(len(row) == width for row in rows) if width > 1 else 1, width)


def _rows(path: Path, separator: str) -> Iterator[list[str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            yield from csv.reader(file, delimiter=separator, skipinitialspace=True)
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"data: {path} is no text table in UTF-8: {error}; save it as one") from error


def _complain_of_ragged(path: Path, layout: Layout) -> None:
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file, delimiter=layout.separator, skipinitialspace=True)
        for row in reader:
            if row and len(row) != len(layout.names):
                raise DataError(
                    f"data: {path}, line {reader.line_num}: {len(row)} cells, but the table has "
                    f"{len(layout.names)} columns; every row needs as many"
                )


def _full_names(layout: Layout) -> tuple[str, ...]:
    return tuple(name or f"column {i + 1}" for i, name in enumerate(layout.names))


def _numbers_rows(values: Array) -> bool:
    """Whether a column without a name only numbers the rows, as pandas writes its index."""
    return bool(np.all(values == np.floor(values))) and len(np.unique(values)) == len(values)
