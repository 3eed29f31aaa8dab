"""Tables in Parquet files. Needs pyarrow, which is loaded only when such a file is read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainers.data.samples import Array, Column, Samples
from trainers.data.sources import Settings
from trainers.data.tables import (
    Table,
    check_finite,
    check_target,
    column_of_levels,
    table_samples,
)
from trainers.errors import DataError


def read_parquet(files: Sequence[Path], settings: Settings) -> Samples:
    """Samples of a Parquet table; numbers and dates are numbers, texts are categories."""
    arrow, parquet = _pyarrow()
    try:
        read = parquet.read_table(files[0])
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"data: {files[0]} cannot be read as Parquet: {error}") from error
    if read.num_rows == 0:
        raise DataError(f"data: {files[0]} has columns, but no rows; it needs some")
    names = _names(read.schema)
    check_target(names, settings["target"])
    columns = [_column(name, read.column(name), arrow) for name in names]
    table = Table(tuple(column for column, _ in columns), np.stack([values for _, values in columns], axis=1))
    return table_samples(table, settings["target"], settings["task"])


def check_parquet(files: Sequence[Path], settings: Settings) -> None:
    """Raises: DataError when the file's schema cannot be read or lacks the target."""
    arrow, parquet = _pyarrow()
    try:
        schema = parquet.read_schema(files[0])
    except (arrow.ArrowException, OSError) as error:
        raise DataError(f"data: {files[0]} cannot be read as Parquet: {error}") from error
    check_target(_names(schema), settings["target"])


def _column(name: str, cells: Any, arrow: Any) -> tuple[Column, Array]:
    types = arrow.types
    if types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
        cells = cells if types.is_string(cells.type) else cells.cast(arrow.string())
    kind = cells.type
    if types.is_string(kind) or types.is_large_string(kind):
        return column_of_levels(name, ["" if cell is None else cell for cell in cells.to_pylist()])
    if types.is_date(kind) or types.is_timestamp(kind):
        cells = cells.cast(arrow.timestamp("us"), safe=False).cast(arrow.int64())
    elif types.is_boolean(kind):
        cells = cells.cast(arrow.int8())
    elif not (types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)):
        raise DataError(
            f"data: column {name!r} is of type {kind}; a table needs numbers, dates, truth values or texts"
        )
    values = cells.cast(arrow.float64(), safe=False).to_numpy().astype(np.float64)
    check_finite(name, values)
    return Column(name), values


def _names(schema: Any) -> list[str]:
    """The columns, without the index that pandas adds."""
    return [str(name) for name in schema.names if not str(name).startswith("__index_level_")]


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            "data: reading .parquet needs pyarrow, which is not installed: pip install pyarrow"
        ) from error
    return pyarrow, pyarrow.parquet
