"""Loss curves from a CSV file, as signals: whatever wrote them, and whatever it calls its columns."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from diagnostics.signals import Series, Signals

STEPS = ("step", "steps", "global_step", "iteration", "iter", "batch", "update")
"""Names of a column of optimizer steps."""

EPOCHS = ("epoch", "epochs")
"""Names of a column of epochs."""

TRAIN = ("train", "training", "tr")
VALIDATION = ("val", "valid", "validation", "eval", "dev", "test")
"""Words that name the two sets in the name of a column."""

KINDS = {"loss": ("loss", "value"), "accuracy": ("accuracy", "acc")}
"""What is measured, and the words for it; TensorBoard's export has a column `Value`."""

OTHERS = {"lr": "learning_rate", "learning_rate": "learning_rate", "grad_norm": "raw_grad_norm"}
"""Names of further columns that rules read."""

EMPTY = ("", "none", "null", "na", "n/a", "-")
"""Cells that say that nothing was measured; `nan` is a number that was."""

OFTENER = 4
"""Times as many values of the training loss as of the validation loss from which on they are those of steps
(house rule)."""


class CurveError(ValueError):
    """A file that holds no curves; the message says what was wrong, what arrived and what to do."""


Cells = list[float | None]


def read_csv(path: str | Path) -> Signals:
    """The curves of a CSV file with a header, by the names of `docs/signals.md`.

    A row is a step, or an epoch where a column says so; an empty cell is a value that was not measured.

    Raises: CurveError when there is no column of a loss, a cell is no number or steps fall. OSError.
    """
    path = Path(path)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        header_line = file.readline()
        file.seek(0)
        rows = [row for row in csv.reader(file, delimiter=_delimiter(header_line)) if any(row)]
    if len(rows) < 2:
        raise CurveError(
            f"{path} has {len(rows)} lines; a file of curves has a header and a line for each step"
        )
    columns = {
        name: [_number(path, rows[line], line, place) for line in range(1, len(rows))]
        for place, name in enumerate(_plain(name) for name in rows[0])
        if name in (*STEPS, *EPOCHS) or signal_of(name) is not None
    }
    return Signals(_series_of(path, columns, [_plain(name) for name in rows[0]]))


def signal_of(column: str) -> str | None:
    """The signal that a column holds, None when it is of no use here."""
    name = _plain(column)
    if name in OTHERS:
        return OTHERS[name]
    words = name.split("_")
    kinds = [kind for kind, names in KINDS.items() if any(word in names for word in words)]
    if not kinds:
        return None
    if any(word in VALIDATION for word in words):
        return f"val_{kinds[0]}"
    if kinds[0] == "loss" and ("step" in words or not any(word in TRAIN for word in words)):
        return "loss"
    return f"train_{kinds[0]}"


def _series_of(path: Path, columns: Mapping[str, Cells], header: list[str]) -> dict[str, Series]:
    counted = next((name for name in (*STEPS, *EPOCHS) if name in columns), None)
    rows = len(next(iter(columns.values()), []))
    steps = list(range(rows)) if counted is None else _steps(path, counted, columns[counted])
    series: dict[str, Series] = {}
    for column, cells in columns.items():
        name = signal_of(column)
        kept = [(t, x) for t, x in zip(steps, cells, strict=True) if x is not None]
        if name is not None and name not in series and kept:
            series[name] = Series(np.array([t for t, _ in kept]), np.array([x for _, x in kept]))
    if not {"loss", "train_loss", "val_loss"} & series.keys():
        raise CurveError(
            f"{path} has no column of a loss, its columns are {', '.join(header)}; name one of them loss (of "
            "each step), train_loss or val_loss (of each evaluation)"
        )
    return completed(series, by_epoch=counted in EPOCHS)


def completed(series: dict[str, Series], by_epoch: bool = False) -> dict[str, Series]:
    """One curve of the training under both of its names, so that every rule of curves finds it."""
    if "loss" in series and "train_loss" not in series and by_epoch:
        return {**series, "train_loss": series["loss"]}
    if "loss" in series or "train_loss" not in series:
        return series
    train, val = series["train_loss"], series.get("val_loss")
    if val is not None and len(train) > OFTENER * len(val):
        return {**{name: rows for name, rows in series.items() if name != "train_loss"}, "loss": train}
    return {**series, "loss": train}


def _steps(path: Path, name: str, cells: Cells) -> list[int]:
    """The steps of the rows; a row without one belongs to the step before."""
    steps: list[int] = []
    for line, cell in enumerate(cells, start=2):
        before = steps[-1] if steps else 0
        step = before if cell is None or not math.isfinite(cell) else math.floor(cell)
        if step < before:
            raise CurveError(
                f"{path}, line {line}: {name} falls from {before} to {step}; sort the rows, and leave one "
                "training in the file"
            )
        steps.append(step)
    return steps


def _number(path: Path, row: list[str], line: int, place: int) -> float | None:
    cell = row[place].strip() if place < len(row) else ""
    if cell.lower() in EMPTY:
        return None
    try:
        return float(cell)
    except ValueError:
        raise CurveError(
            f"{path}, line {line + 1}, column {place + 1}: {cell!r} is no number; leave a cell empty where "
            "nothing was measured"
        ) from None


def _plain(name: str) -> str:
    """A column's name in lower case with single underscores between its words."""
    return re.sub(r"[^a-z0-9]+", "_", name.strip().lower()).strip("_")


def _delimiter(header: str) -> str:
    return max(",;\t", key=header.count)
