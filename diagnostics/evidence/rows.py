"""Rows of signals as rules ask for them: the finite, the last, those in common, one number for many.

Notation
    x       values of a signal                                     [rows], or [rows, columns]
    t       its steps                                              [rows]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts
from diagnostics.signals import Series, Signals

Steps = NDArray[np.int64]


@dataclass(frozen=True)
class Rows:
    """Several signals at the steps and in the columns that they share; `values[i]` is `[rows, layers]`."""

    steps: Steps
    values: tuple[Values, ...]
    layers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def series(self) -> tuple[Series, ...]:
        """Each signal on its own."""
        return tuple(Series(self.steps, values, self.layers) for values in self.values)


def finite_rows(signals: Signals, name: str) -> tuple[Steps, Values]:
    """Steps and values of the finite rows of a plain signal; none where there is no such signal."""
    if name not in signals or signals[name].layers:
        return np.array([], np.int64), np.array([])
    series = signals[name]
    keep = np.isfinite(series.values)
    return series.steps[keep], series.values[keep]


def finite_values(signals: Signals, name: str) -> Values:
    """The finite values of a plain signal; none where there is no such signal."""
    return finite_rows(signals, name)[1]


def common_rows(signals: Signals, *names: str) -> Rows:
    """The rows of `names` at common steps, with the columns that all of them have; no rows if one is missing,
    or if they have columns and none in common.

    Where a step has several rows, the last one stands.
    """
    series = [signals[name] for name in names if name in signals]
    first = series[0] if len(series) == len(names) else Series(np.array([], np.int64), np.array([]))
    layers = tuple(layer for layer in first.layers if all(layer in other.layers for other in series))
    if len(series) < len(names) or (not layers and any(one.layers for one in series)):
        return Rows(first.steps[:0], tuple(np.zeros((0, 0)) for _ in names))
    steps = np.unique(first.steps)
    for other in series[1:]:
        steps = steps[np.isin(steps, other.steps)]
    values = []
    for one in series:
        rows = one.values[np.searchsorted(one.steps, steps, side="right") - 1]
        if one.layers != layers and layers:
            rows = rows[:, [one.layers.index(layer) for layer in layers]]
        values.append(rows)
    return Rows(steps, tuple(values), layers)


def ratio(above: Values, below: Values) -> Values:
    """`above / below`, NaN wherever that is no finite positive number or zero."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = above / below
    return np.where(np.isfinite(r), r, np.nan)


def finite(x: Values) -> Values:
    """The finite values of `x`, in order."""
    return x[np.isfinite(x)]


def typical(x: Values) -> float:
    """The median of the finite values of `x`; NaN when there are none."""
    some = finite(x)
    return float(np.median(some)) if len(some) else math.nan


def middle(x: Values) -> Values:
    """The median of every row of `x` [rows, columns] without its NaN; NaN for a row without numbers."""
    x = x.reshape(len(x), -1) if x.size else np.zeros((len(x), 0))
    result = np.full(len(x), np.nan)
    whole = ~np.isnan(x).any(axis=1) if x.shape[1] else np.zeros(len(x), dtype=bool)
    if whole.any():
        result[whole] = np.median(x[whole], axis=1)
    for i in np.flatnonzero(~whole):
        some = x[i][~np.isnan(x[i])]
        if len(some):
            result[i] = np.median(some)
    return result


def recent(series: Series, rows: int) -> Values:
    """The median of the last rows: one number, or one a layer; NaN where no row is finite."""
    if not len(series):
        return np.full(series.values.shape[1:], np.nan)
    values = series.values[-rows:]
    values = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)  # NaN come last
    count = np.sum(np.isfinite(values), axis=0, keepdims=True)
    places = [np.clip(place, 0, len(values) - 1) for place in ((count - 1) // 2, count // 2)]
    low, high = (np.take_along_axis(values, place, axis=0)[0] for place in places)
    return np.asarray(low / 2 + high / 2, dtype=np.float64)


def begin_of_last_run(holds: NDArray[np.bool_]) -> int:
    """Where the run of true values begins that reaches the end; the length when the last is false."""
    false = np.flatnonzero(~holds)
    return int(false[-1]) + 1 if len(false) else 0


def batch_size(signals: Signals, facts: Facts) -> float:
    """Samples in a usual batch: of those that were looked at, else as the loop says; NaN where nobody did."""
    measured = typical(finite_values(signals, "batch_size"))
    return measured if math.isfinite(measured) else float(facts.get("batch_size", math.nan))
