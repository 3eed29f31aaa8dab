"""What a target asks for, classes or numbers, and class ids from whatever names the classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from trainers.data.samples import Array
from trainers.errors import DataError
from trainers.shapes import Task

FEW = 20
"""Whole numbers with at most so many distinct values are classes (house rule)."""

ROWS_PER_VALUE = 5
"""... when each has so many rows on average (house rule)."""


def resolve_task(y: Array, task: str, what: str) -> Task:
    """The task `y` asks for: `task` itself, or by content when it is 'auto'.

    Texts, integers and truth values are classes, and so are floats that are few distinct whole
    numbers. Raises: DataError when `y` cannot be used for `task`.
    """
    if task == "regression" and y.dtype.kind not in "buif":
        raise DataError(
            f"data: {what} holds texts, such as {str(y.flat[0])!r}, which cannot be a regression's "
            "target; set task = 'classification' or choose another target"
        )
    if task != "auto":
        return cast(Task, task)
    if y.ndim > 1 and y.shape[1] > 1:
        return "regression"
    if y.dtype.kind != "f":
        return "classification"
    distinct = np.unique(y)
    whole = bool(np.all(distinct == np.floor(distinct)))
    few = len(distinct) <= min(FEW, len(y) / ROWS_PER_VALUE)
    return "classification" if whole and few else "regression"


def encode_labels(
    parts: Sequence[Array], task: Task, class_names: tuple[str, ...], what: str
) -> tuple[list[Array], tuple[str, ...]]:
    """The targets of all parts as a model needs them, and the names of the classes.

    Gives `[n]` int64 class ids, or `[n, targets]` float64 for a regression. Classes are known from
    the first part. Raises: DataError for gaps, labels out of range, one single class, or as many
    classes as there are rows.
    """
    for y in parts:
        if y.dtype.kind == "f" and not np.isfinite(y).all():
            row = int(np.argwhere(~np.isfinite(y))[0][0])
            raise DataError(
                f"data: {what} is missing, NaN or infinite in {int((~np.isfinite(y)).sum())} rows, the "
                f"first is row {row + 1}; leave those rows out"
            )
    if task == "regression":
        return [_numbers(y, what) for y in parts], ()
    flat = [_flat(y, what) for y in parts]
    if class_names:
        return [_in_range(y, len(class_names), what) for y in flat], class_names
    classes = np.unique(flat[0])
    _check_classes(classes, len(flat[0]), what)
    codes = []
    for y in flat:
        y = y.astype(classes.dtype) if classes.dtype.kind == "U" else y
        at = np.minimum(np.searchsorted(classes, y), len(classes) - 1)
        strange = y[classes[at] != y]
        if len(strange):
            raise DataError(
                f"data: the own test part has the label {strange[0]!s} in {what}, which the training "
                f"part does not have; it has {_some(classes)}"
            )
        codes.append(at.astype(np.int64))
    return codes, tuple(_name(value) for value in classes)


def _check_classes(classes: Array, rows: int, what: str) -> None:
    if len(classes) == 1:
        raise DataError(
            f"data: {what} is {_name(classes[0])!r} in all {rows} rows; a target needs two values at least"
        )
    if len(classes) > FEW and 2 * len(classes) > rows:
        raise DataError(
            f"data: {what} has {len(classes)} distinct values in {rows} rows, too many for classes; "
            "set task = 'regression' or choose another target"
        )


def _numbers(y: Array, what: str) -> Array:
    if y.ndim > 2 or y.dtype.kind not in "buif":
        raise DataError(
            f"data: {what} needs numbers of the shape [n] or [n, targets], but got {y.dtype} of the "
            f"shape {y.shape}"
        )
    return np.asarray(y, np.float64).reshape(len(y), -1)


def _flat(y: Array, what: str) -> Array:
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] != 1):
        raise DataError(
            f"data: classes need one label for each sample, but {what} has the shape {y.shape}; "
            "set task = 'regression' for several targets"
        )
    if y.dtype.kind not in "buifUS":
        raise DataError(f"data: {what} needs numbers or texts, but its type is {y.dtype}")
    return y.reshape(-1)


def _in_range(y: Array, classes: int, what: str) -> Array:
    outside = y[(y < 0) | (y >= classes)] if y.dtype.kind in "buif" else y
    if len(outside):
        raise DataError(
            f"data: {what} needs labels from 0 to {classes - 1}, but got {outside[0]!s} and "
            f"{len(outside) - 1} more out of range"
        )
    return y.astype(np.int64)


def _name(value: object) -> str:
    return f"{value:g}" if isinstance(value, int | float | np.number) else str(value)


def _some(classes: Array) -> str:
    names = [_name(value) for value in classes[:10]]
    return ", ".join(names) + (", ..." if len(classes) > 10 else "")
