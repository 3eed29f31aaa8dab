"""What a training takes of its machine over time: its own memory and its device, never the whole host."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_ROWS = 600
"""Rows that are kept of a trial: with one every 5 seconds, those of 50 minutes (house rule)."""

SECONDS = "seconds"


@dataclass(frozen=True)
class Usage:
    """Figures at a moment, `seconds` after the job began, such as `{"host_memory_mb": 812.0}`."""

    seconds: float
    figures: Mapping[str, float]


class UsageLog:
    """The usage of a trial in at most `MOST_ROWS` rows; a row holds the largest figures since the one before.

    When it is full, neighbours become one: what was reached is never lost, only when exactly.
    """

    def __init__(self) -> None:
        self._rows: list[Usage] = []
        self._open: list[Usage] = []  # what becomes the next row
        self._stride = 1

    @property
    def rows(self) -> tuple[Usage, ...]:
        """All rows so far."""
        return (*self._rows, *([_joined(self._open)] if self._open else []))

    def add(self, usage: Usage) -> None:
        """Take in what was measured next."""
        self._open.append(usage)
        if len(self._open) < self._stride:
            return
        self._rows.append(_joined(self._open))
        self._open = []
        if len(self._rows) >= MOST_ROWS:
            self._rows = [_joined(self._rows[i : i + 2]) for i in range(0, len(self._rows), 2)]
            self._stride *= 2


def _joined(rows: Sequence[Usage]) -> Usage:
    """One row for several: the last moment, the largest figures."""
    names = dict.fromkeys(name for row in rows for name in row.figures)
    largest = {name: max(row.figures[name] for row in rows if name in row.figures) for name in names}
    return Usage(rows[-1].seconds, largest)


def write_usage(file: Path, rows: Iterable[Usage]) -> None:
    """Write a table with a column of seconds and one for each figure; empty where there was none.

    Raises: OSError.
    """
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row.figures))
    with file.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow([SECONDS, *names])
        for row in rows:
            table.writerow([row.seconds, *(row.figures.get(name, "") for name in names)])


def read_usage(file: Path) -> tuple[Usage, ...]:
    """What `write_usage` wrote; nothing when there is no such file. Raises: OSError, ValueError."""
    if not file.exists():
        return ()
    with file.open(newline="", encoding="utf-8") as lines:
        return tuple(_read_row(row) for row in csv.DictReader(lines))


def _read_row(row: Mapping[str, str | None]) -> Usage:
    numbers = {name: float(text) for name, text in row.items() if text}
    if SECONDS not in numbers or not all(map(math.isfinite, numbers.values())):
        raise ValueError(f"a row of usage needs {SECONDS} and finite figures, but is {dict(row)}")
    return Usage(numbers.pop(SECONDS), numbers)
