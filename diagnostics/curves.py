"""Loss curves from a CSV file, as signals: whatever wrote them, and whatever it calls its columns."""

from __future__ import annotations

import csv
import io
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from diagnostics.signals import COUNTED, FIRST, Series, Signals

STDIN = "-"
"""Stands for standard input in place of a file."""

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

LOSSES = ("loss", "train_loss", "val_loss")
"""The signals of which a file must hold one."""

FULL = 1.01
"""Accuracy above which the accuracies of a file are in percent: a share is 1 at most, but for rounding."""


class CurveError(ValueError):
    """A file that holds no curves; the message says what was wrong, what arrived and what to do."""


Cells = list[float | None]


@dataclass(frozen=True)
class _Table:
    """A file's header as it stands there, and its rows with their line numbers."""

    name: str
    header: list[str]
    rows: list[tuple[int, list[str]]]
    decimal_comma: bool

    def cells(self, place: int) -> Cells:
        return [self._number(line, row[place], place) for line, row in self.rows]

    def _number(self, line: int, cell: str, place: int) -> float | None:
        """What a cell says; `60%` is 0.6."""
        text = cell.strip()
        if text.lower() in EMPTY:
            return None
        plain = text.removesuffix("%").rstrip()
        try:
            number = float(plain.replace(",", ".") if self.decimal_comma else plain)
        except ValueError:
            raise CurveError(
                f"{self.name}, line {line}, column {place + 1}: {text!r} is no number; leave a cell empty "
                "where nothing was measured"
            ) from None
        return number / 100 if text.endswith("%") else number


def read_csv(path: str | Path) -> Signals:
    """The curves of a CSV file with a header, by the names of `docs/signals.md`; `-` is standard input.

    A row is a step, or an epoch where a column says so and no epoch has two losses; an empty cell is a
    value that was not measured. Two facts come along: `COUNTED` and `FIRST`.

    Raises: CurveError when there is no column of a loss, rows differ in length, a cell is no number or
    steps fall. OSError.
    """
    if str(path) == STDIN:
        table = _table("standard input", sys.stdin.buffer.read())
    else:
        table = _table(str(path), Path(path).read_bytes())
    columns = {
        name: table.cells(place)
        for place, name in enumerate(_plain(name) for name in table.header)
        if name in (*STEPS, *EPOCHS) or signal_of(name) is not None
    }
    counted, steps = _counter(table, columns)
    series = _as_shares(completed(_series_of(columns, steps), by_epoch=counted in EPOCHS))
    if not set(LOSSES) & series.keys():
        header = ", ".join(name.strip() or "(no name)" for name in table.header)
        raise CurveError(
            f"{table.name} has no column of a loss, its columns are {header}; name one of them loss (of each "
            "step), train_loss or val_loss (of each evaluation)"
        )
    facts: dict[str, float | int | str] = {COUNTED: "epoch"} if counted in EPOCHS else {}
    return Signals(series, {**facts, FIRST: int(steps[0] >= 1)})


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


def _series_of(columns: Mapping[str, Cells], steps: list[int]) -> dict[str, Series]:
    series: dict[str, Series] = {}
    for column, cells in columns.items():
        name = signal_of(column)
        kept = [(t, x) for t, x in zip(steps, cells, strict=True) if x is not None]
        if name is not None and name not in series and kept:
            series[name] = Series(np.array([t for t, _ in kept]), np.array([x for _, x in kept]))
    return series


def _as_shares(series: dict[str, Series]) -> dict[str, Series]:
    """Accuracies in percent as shares; those of one file are all of one kind."""
    accuracies = {name: rows for name, rows in series.items() if name.endswith("_accuracy")}
    if not any(np.any(rows.values > FULL) for rows in accuracies.values()):
        return series
    return {**series, **{name: Series(rows.steps, rows.values / 100) for name, rows in accuracies.items()}}


def _counter(table: _Table, columns: Mapping[str, Cells]) -> tuple[str | None, list[int]]:
    """The column that counts, and the step of each row; none counts where the rows themselves are steps."""
    counted = next((name for name in (*STEPS, *EPOCHS) if name in columns), None)
    by_rows = None, list(range(len(table.rows)))
    if counted is None or _begins_anew(columns, counted):
        return by_rows
    steps = _steps(table, counted, columns[counted])
    losses = [cells for name, cells in columns.items() if signal_of(name) in LOSSES]
    coarse = counted in EPOCHS or steps[0] == steps[-1]
    return by_rows if coarse and any(_repeats(steps, cells) for cells in losses) else (counted, steps)


def _repeats(steps: list[int], cells: Cells) -> bool:
    """Whether a step has more than one value."""
    measured = [step for step, cell in zip(steps, cells, strict=True) if cell is not None]
    return len(set(measured)) < len(measured)


def _begins_anew(columns: Mapping[str, Cells], counted: str) -> bool:
    """Whether the steps fall only where an epoch begins: they are those within the epoch."""
    epochs = next((columns[name] for name in EPOCHS if name in columns and name != counted), None)
    if epochs is None:
        return False
    rows = [(e, t) for e, t in zip(epochs, columns[counted], strict=True) if e is not None and t is not None]
    falls = [(e, later) for (e, t), (later, u) in pairwise(rows) if u < t]
    return bool(falls) and all(later > e for e, later in falls)


def _steps(table: _Table, name: str, cells: Cells) -> list[int]:
    """The steps of the rows; a row without one belongs to the step before."""
    steps: list[int] = []
    for (line, _), cell in zip(table.rows, cells, strict=True):
        before = steps[-1] if steps else 0
        step = before if cell is None or not math.isfinite(cell) else math.floor(cell)
        if step < before:
            raise CurveError(
                f"{table.name}, line {line}: {name} falls from {before} to {step}; sort the rows, and leave "
                "one training in the file"
            )
        steps.append(step)
    return steps


def _table(name: str, data: bytes) -> _Table:
    text = _text(name, data)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise CurveError(f"{name}, line {reader.line_num}: {error}; give a CSV file with a header") from error
    if first[:1] in ("{", "[") or _no_columns(rows):
        raise CurveError(
            f"{name} is no CSV file, it begins with {first[:60]!r}; give a header such as step,loss and a "
            "line of numbers for each step"
        )
    if len(rows) < 2:
        lines = "1 line" if rows else "0 lines"
        raise CurveError(f"{name} has {lines}; a file of curves has a header and a line for each step")
    (_, header), *rest = rows
    for line, row in rest:
        if len(row) < len(header) or any(cell.strip() for cell in row[len(header) :]):
            raise CurveError(
                f"{name}, line {line}: {len(row)} cells under {len(header)} columns; give every line a cell "
                "for each column, an empty one where nothing was measured"
            )
    return _Table(name, header, rest, decimal_comma=delimiter == ";")


def _text(name: str, data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace")
    if b"\0" in data:
        raise CurveError(f"{name} is no text; give a CSV file, or signals with the ending .npz")
    return data.decode("utf-8-sig", errors="replace")


def _no_columns(rows: list[tuple[int, list[str]]]) -> bool:
    """Whether nothing parts the lines into columns, and they are not a single column of a loss either."""
    if not rows or any(len(row) > 1 for _, row in rows):
        return False
    (_, header), *rest = rows
    numbered = any(word.replace(".", "", 1).isdigit() for word in header[0].split())
    return signal_of(header[0]) is None or numbered or any(" " in row[0].strip() for _, row in rest)


def _plain(name: str) -> str:
    """A column's name in lower case with single underscores between its words: trainLoss is train_loss."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())
    return re.sub(r"[^a-z0-9]+", "_", parted.lower()).strip("_")
