"""Trainings that were recorded in a table, replayed: a trainer that trains nothing.

Notation
    configuration   one training of the table: its settings, and a row for each evaluation
    settings        the columns before `epoch`, as they stand there: texts
    measured        the columns after it: numbers, `nan` and `inf` among them
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from diagnostics import Signals
from diagnostics.signals import COUNTED, FIRST
from trainers.data.files import folders
from trainers.errors import DataError
from trainers.progress import Progress

PREFIX = "replay:"
"""How a trainer that replays a table is named: `replay:FILE`."""

EPOCH = "epoch"
"""The column that parts settings from what was measured."""

LOSSES = ("loss", "train_loss")
"""Columns that are the loss of the training, the first that is there."""

REPLAYED = "replayed"
"""The fact that says which configuration it was."""

LINE = "table_line"
"""The setting that says which configuration it is: the line of its first row."""

Rows = tuple[tuple[float, Mapping[str, float]], ...]


@dataclass(frozen=True)
class Configuration:
    """One training: the line of its first row (from 1), its settings, and (epoch, measured) by epoch."""

    line: int
    settings: Mapping[str, str]
    rows: Rows


@dataclass(frozen=True)
class Table:
    """A table of trainings, in the order of the file, with the names of its columns on both sides of `epoch`.

    Where all epochs are whole, they count the steps of a replayed training; else its evaluations do.
    """

    file: Path
    settings: tuple[str, ...]
    metrics: tuple[str, ...]
    configurations: tuple[Configuration, ...]
    by_epoch: bool


def is_replay(trainer: str | None) -> bool:
    """Whether a study's trainer replays a table."""
    return trainer is not None and trainer.startswith(PREFIX)


def table_of(trainer: str, data_dir: str | None = None) -> Table:
    """The table that `replay:FILE` names, looked for where data are. Read once, until the file changes.

    Raises: DataError when it is not there or cannot be read, with the line.
    """
    wanted = Path(trainer.removeprefix(PREFIX)).expanduser()
    places = [folder / wanted for folder in folders(data_dir)]  # an absolute path stays what it is
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        looked = ", ".join(dict.fromkeys(map(str, places)))
        raise DataError(f"there is no table {str(wanted)!r}; looked for {looked}; give 'replay:FILE'")
    stat = found.stat()
    return _table_at(found.resolve(), stat.st_mtime_ns, stat.st_size)


def replay(table: Table, line: int) -> Iterator[Progress]:
    """The configuration that begins at this line: a message for each of its rows.

    Raises: DataError when none begins there.
    """
    one = next((known for known in table.configurations if known.line == line), None)
    if one is None:
        raise DataError(f"{table.file}: no configuration begins at line {line}; the table has changed")
    facts: dict[str, float | int | str] = {REPLAYED: described(one), "epochs": one.rows[-1][0]}
    if table.by_epoch:
        facts |= {COUNTED: EPOCH, FIRST: 1, "evaluations_per_epoch": 1}
    for number, (epoch, measured) in enumerate(one.rows):
        row = int(epoch) if table.by_epoch else number  # counted from 0: before epoch 1 nothing was measured
        losses = [measured[name] for name in LOSSES if name in measured]
        signals = Signals.of({"loss": ([row], losses[:1])}) if losses else Signals()
        yield Progress(row + 1, epoch, one.rows[-1][0], measured, signals, facts if number == 0 else {})


def described(one: Configuration) -> str:
    """The settings of a configuration and where it stands, in a line."""
    settings = ", ".join(f"{name} = {text}" for name, text in one.settings.items() if text)
    return f"{settings} (line {one.line})"


@lru_cache(maxsize=4)
def _table_at(file: Path, _changed: int, _size: int) -> Table:
    return read_table(file)


def read_table(file: Path) -> Table:
    """A CSV file with a header. Raises: DataError with the line of the first mistake."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file} cannot be read: {error}") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except csv.Error as error:
        raise DataError(f"{file}, line {reader.line_num}: {error}; give a CSV file with a header") from None
    if len(lines) < 2:
        raise DataError(f"{file} has no rows; give a header, and a row for each evaluation")
    (_, header), *rest = lines
    settings, metrics = _columns(file, header)
    found: dict[tuple[str, ...], list[tuple[int, float, Mapping[str, float]]]] = {}
    for line, cells in rest:
        if len(cells) != len(header):
            raise _mistake(file, line, f"{len(cells)} cells under {len(header)} columns; give one for each")
        rows = found.setdefault(tuple(cells[: len(settings)]), [])
        epoch = _epoch(file, line, cells[len(settings)])
        if rows and epoch <= rows[-1][1]:
            raise _mistake(
                file,
                line,
                f"epoch {epoch:g} comes after epoch {rows[-1][1]:g} of the same settings in line "
                f"{rows[-1][0]}; sort the rows, and tell trainings apart by a column such as seed",
            )
        rows.append((line, epoch, _measured(file, line, metrics, cells[len(settings) + 1 :])))
    configurations = tuple(
        Configuration(rows[0][0], dict(zip(settings, key, strict=True)), tuple((e, m) for _, e, m in rows))
        for key, rows in found.items()
    )
    by_epoch = all(epoch == int(epoch) for one in configurations for epoch, _ in one.rows)
    return Table(file, settings, metrics, configurations, by_epoch)


def _columns(file: Path, header: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names before and after `epoch`."""
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice or "" in header:
        what = f"the column {twice[0]!r} stands there twice" if twice and twice[0] else "a column has no name"
        raise _mistake(file, 1, f"{what}; the columns are {', '.join(header)}")
    if EPOCH not in header:
        raise _mistake(
            file,
            1,
            f"there is no column {EPOCH!r}, which parts the settings from what was measured; the columns are "
            f"{', '.join(header)}",
        )
    place = header.index(EPOCH)
    settings, metrics = tuple(header[:place]), tuple(header[place + 1 :])
    if not settings or not metrics:
        lacking = "before it for the settings" if not settings else "after it for what was measured"
        raise _mistake(file, 1, f"{EPOCH!r} has no columns {lacking}; the columns are {', '.join(header)}")
    return settings, metrics


def _epoch(file: Path, line: int, cell: str) -> float:
    epoch = _number(file, line, EPOCH, cell)
    if not (math.isfinite(epoch) and epoch > 0):
        raise _mistake(file, line, f"the epoch is {cell!r}; give the epochs done, a number above 0")
    return epoch


def _measured(file: Path, line: int, metrics: tuple[str, ...], cells: list[str]) -> dict[str, float]:
    """What the cells say; an empty one was not measured."""
    pairs = zip(metrics, cells, strict=True)
    return {name: _number(file, line, name, cell) for name, cell in pairs if cell}


def _number(file: Path, line: int, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        raise _mistake(
            file, line, f"{column} is {cell!r}, no number; leave it empty where nothing was measured"
        ) from None


def _mistake(file: Path, line: int, what: str) -> DataError:
    return DataError(f"{file}, line {line}: {what}")
