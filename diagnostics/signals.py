"""What was measured during one training: named series of rows, appended in step order.

Notation
    t       optimizer step of a row, counted from 0                [n]
    x       value at that step                                     [n], or [n, layers] per layer
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FACTS = "facts"
"""Where the facts stand in a file of signals."""


COUNTED, FIRST = "counted", "counted_from"
"""Facts of curves from elsewhere: what their steps are (`epoch`, else steps), and the number of the first."""


@dataclass(frozen=True)
class Series:
    """Rows of one signal.

    `steps` is `[n]`, never falling; `values` is `[n]`, or `[n, layers]` when `layers` names the columns.
    Both arrays are read-only.

    Raises: ValueError when the shapes do not fit each other or the steps fall.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        steps = _frozen(self.steps, np.int64)
        values = _frozen(self.values, np.float64)
        expected = (len(steps), len(self.layers)) if self.layers else (len(steps),)
        if steps.ndim != 1 or values.shape != expected:
            raise ValueError(
                f"a series of {steps.shape} steps and {len(self.layers)} layers needs values of "
                f"shape {expected}, but got {values.shape}"
            )
        if np.any(np.diff(steps) < 0):
            raise ValueError("the steps of a series must not fall")
        object.__setattr__(self, "steps", steps)
        object.__setattr__(self, "values", values)

    def __len__(self) -> int:
        return len(self.steps)

    def until(self, step: int) -> Series:
        """The rows up to and including `step`."""
        n = int(np.searchsorted(self.steps, step, side="right"))
        return Series(self.steps[:n], self.values[:n], self.layers)

    def then(self, other: Series) -> Series:
        """These rows followed by the rows of `other`, which must have the same layers."""
        if other.layers != self.layers:
            raise ValueError(f"a series with layers {self.layers} cannot go on with layers {other.layers}")
        return Series(
            np.concatenate([self.steps, other.steps]),
            np.concatenate([self.values, other.values]),
            self.layers,
        )


class Signals(Mapping[str, Series]):
    """An immutable mapping from a signal's name to its `Series`.

    `facts` are what the recorder knew beside the rows, such as `task`; they travel with the signals.
    `docs/signals.md` lists the names in use.
    """

    def __init__(
        self,
        series: Mapping[str, Series] | None = None,
        facts: Mapping[str, float | int | str] | None = None,
    ) -> None:
        self._series = dict(series or {})
        self.facts: Mapping[str, float | int | str] = MappingProxyType(dict(facts or {}))

    def __reduce__(self) -> tuple[Any, ...]:
        """Signals travel between processes; a read-only view of a mapping cannot by itself."""
        return Signals, (self._series, dict(self.facts))

    @classmethod
    def of(
        cls,
        rows: Mapping[str, tuple[Sequence[int], ArrayLike]],
        facts: Mapping[str, float | int | str] | None = None,
    ) -> Signals:
        """Signals from plain columns: name -> (steps, values)."""
        series = {name: Series(np.asarray(t), np.asarray(x, float)) for name, (t, x) in rows.items()}
        return cls(series, facts)

    def __getitem__(self, name: str) -> Series:
        return self._series[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._series)

    def __len__(self) -> int:
        return len(self._series)

    def until(self, step: int) -> Signals:
        """All rows up to and including `step`; a series that has none is left out."""
        cut = {name: series.until(step) for name, series in self.items()}
        return Signals({name: series for name, series in cut.items() if len(series)}, self.facts)

    def extend(self, new: Mapping[str, Series]) -> Signals:
        """These signals followed by the rows of `new`, and its facts when it has some."""
        merged = dict(self._series)
        for name, series in new.items():
            merged[name] = merged[name].then(series) if name in merged else series
        return Signals(merged, {**self.facts, **getattr(new, "facts", {})})

    @property
    def last_step(self) -> int:
        """The step of the newest row, or -1 when there is none."""
        return max((int(series.steps[-1]) for series in self.values() if len(series)), default=-1)

    def state_dict(self) -> dict[str, Any]:
        """Plain parts of everything: what `from_state` makes signals of again."""
        rows = {name: (series.steps, series.values, series.layers) for name, series in self.items()}
        return {"series": rows, FACTS: dict(self.facts)}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Signals:
        """The signals that gave this `state_dict`."""
        rows = {name: Series(t, x, tuple(layers)) for name, (t, x, layers) in state["series"].items()}
        return cls(rows, state[FACTS])

    def save(self, path: str | Path) -> None:
        """Write every series to one `.npz` file, beside it first and then renamed."""
        arrays: dict[str, Any] = {FACTS: np.array(json.dumps(dict(self.facts)))}
        for name, series in self.items():
            arrays[f"{name}/steps"] = series.steps
            arrays[f"{name}/values"] = series.values
            arrays[f"{name}/layers"] = np.array(series.layers, dtype=np.str_)
        target = Path(path)
        beside = target.with_name(target.name + ".part")
        with beside.open("wb") as file:
            np.savez_compressed(file, **arrays)
        beside.replace(target)

    @classmethod
    def load(cls, path: str | Path, only: Collection[str] | None = None) -> Signals:
        """Read what `save` wrote; `only` these signals of it, as far as they are there, which is faster."""
        with np.load(path, allow_pickle=False) as arrays:
            names = [key.removesuffix("/steps") for key in arrays.files if key.endswith("/steps")]
            names = [name for name in names if only is None or name in only]
            facts = json.loads(str(arrays[FACTS])) if FACTS in arrays.files else {}
            return cls(
                {
                    name: Series(
                        arrays[f"{name}/steps"],
                        arrays[f"{name}/values"],
                        tuple(str(layer) for layer in arrays[f"{name}/layers"]),
                    )
                    for name in names
                },
                facts,
            )


def _frozen(values: ArrayLike, dtype: type[Any]) -> NDArray[Any]:
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable:
        array = array.copy()
        array.flags.writeable = False
    return array
