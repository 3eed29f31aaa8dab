"""From single figures to signals: what was measured is kept as rows, thinned as the training grows long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from diagnostics.measuring.thinning import Thinned, keeps
from diagnostics.signals import Series, Signals

Layout = tuple[tuple[str, tuple[str, ...]], ...]
"""The signals of a row, each with its columns; none for a single number."""


class Vector(Protocol):
    """The numbers of a row, wherever they are; they are fetched when somebody asks for the rows."""

    def tolist(self) -> list[float]:
        """The numbers on the host."""
        ...


class Recorder:
    """Takes figures in step order; gives signals."""

    def __init__(self) -> None:
        self.facts: dict[str, float | int | str] = {}
        self._every: dict[str, Thinned] = {}
        self._pending: list[tuple[int, Layout, Vector]] = []
        self._columns: dict[str, tuple[str, ...]] = {}
        self._rows: dict[str, tuple[list[int], list[Sequence[float]]]] = {}
        self._kept: dict[str, int] = {}
        self._newest: dict[str, Sequence[float]] = {}

    def every_steps(self, steps: Sequence[int], figures: Mapping[str, Sequence[float]]) -> None:
        """Figures of several steps on end."""
        for name, values in figures.items():
            self._every.setdefault(name, Thinned()).add(steps, values)

    def due(self, step: int, layout: Layout, vector: Vector) -> None:
        """A row of a due step: its numbers in the order of the layout."""
        self._pending.append((step, layout, vector))

    def evaluation(self, step: int, metrics: Mapping[str, float]) -> None:
        """Figures of an evaluation; each is kept."""
        for name, value in metrics.items():
            self._add(name, step, (value,), ())

    def take(self) -> Signals:
        """The rows since the last take, with the facts; they are not kept here any longer."""
        for step, layout, vector in self._pending:
            self._unpack(step, layout, vector.tolist())
        self._pending.clear()
        new = {name: rows for name, thinned in self._every.items() if len(rows := thinned.take())}
        for name, (steps, values) in self._rows.items():
            layers = self._columns[name]
            shaped = np.array(values, float) if layers else np.array(values, float)[:, 0]
            new[name] = Series(np.array(steps), shaped, layers)
        self._rows.clear()
        return Signals(new, self.facts)

    def state_dict(self) -> dict[str, Any]:
        """What it needs to go on; the rows that no `take` has given yet are not among it."""
        return {
            "facts": dict(self.facts),
            "every": {name: thinned.state_dict() for name, thinned in self._every.items()},
            "columns": dict(self._columns),
            "kept": dict(self._kept),
            "newest": {name: list(numbers) for name, numbers in self._newest.items()},
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self.facts = dict(state["facts"])
        self._every = {name: Thinned() for name in state["every"]}
        for name, thinned in self._every.items():
            thinned.load_state_dict(state["every"][name])
        self._columns = {name: tuple(columns) for name, columns in state["columns"].items()}
        self._kept, self._newest = dict(state["kept"]), dict(state["newest"])
        self._pending.clear()
        self._rows.clear()

    def _unpack(self, step: int, layout: Layout, numbers: Sequence[float]) -> None:
        start = 0
        for name, columns in layout:
            end = start + max(1, len(columns))
            if keeps(step, self._kept.get(name, -1)):
                self._kept[name] = step
                self._add(name, step, numbers[start:end], columns)
            start = end

    def _add(self, name: str, step: int, numbers: Sequence[float], columns: tuple[str, ...]) -> None:
        """A row in the columns of the first one: new ones are left out, missing ones keep their number."""
        known = self._columns.setdefault(name, columns)
        if known != columns:
            if not set(known) & set(columns):
                return
            found = dict(zip(known, self._newest[name], strict=True)) | dict(
                zip(columns, numbers, strict=True)
            )
            numbers = [found[column] for column in known]
        self._newest[name] = numbers
        steps, values = self._rows.setdefault(name, ([], []))
        steps.append(step)
        values.append(numbers)
