"""What an optimizer step did to each layer: ratios, profiles over depth, and the size a step should have.

Notation
    w, g, u  norms of a matrix, its gradient and its update at a due step     [rows, matrices]
    r        update ratio u / w                                               [rows, matrices]
    d        size of the loss gradient at the layers' outputs, input first    [layers]
    fall     decades by which d shrinks from the last layer to the first
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.learning import Standing
from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts
from diagnostics.signals import Signals

EARLY = 16
"""Steps that count as early (house rule: five due rows; the first steps of a warm-up lie before)."""

GOOD_RATIO = 1e-2
"""Update ratio of a first step that is still in order: ten times the usual 1e-3 of later steps.

Source: Karpathy's rule of thumb of 1e-3 for the ratio; first steps of Adam are larger (house rule).
"""

LATE = 0.5
"""Share of the planned steps after which little learning is no plateau that will end (house rule)."""

WELL = 0.2
"""Share of the trivial predictor's loss (of the start, where that is unknown) under which a training learns
well, whatever is wrong with it (house rule)."""

FARTHEST = 1e-5
"""No advice goes further down from the present learning rate than this (house rule)."""


@dataclass(frozen=True)
class Rows:
    """Several signals at the steps and in the columns that they share; `values[i]` is `[rows, layers]`."""

    steps: NDArray[np.int64]
    values: tuple[Values, ...]
    layers: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)


def common_rows(signals: Signals, *names: str) -> Rows:
    """The rows of `names` at common steps, with the columns that all of them have; no rows if one is missing.

    Where a step has several rows, the last one stands.
    """
    if any(name not in signals for name in names):
        return Rows(np.array([], dtype=np.int64), tuple(np.zeros((0, 0)) for _ in names))
    series = [signals[name] for name in names]
    first = series[0]
    layers = tuple(layer for layer in first.layers if all(layer in other.layers for other in series))
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


def update_ratios(signals: Signals) -> Rows:
    """`r` [rows, matrices]: NaN where the weights were zero or a norm was not finite."""
    rows = common_rows(signals, "update_norm", "weight_norm")
    return Rows(rows.steps, (ratio(*rows.values),), rows.layers)


def ratio(above: Values, below: Values) -> Values:
    """`above / below`, NaN wherever that is no finite positive number or zero."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        r = above / below
    return np.where(np.isfinite(r), r, np.nan)


def middle(x: Values) -> Values:
    """The median of every row of `x` [rows, columns] without its NaN; NaN for a row without numbers."""
    x = x.reshape(len(x), -1)
    result = np.full(len(x), np.nan)
    whole = ~np.isnan(x).any(axis=1) if x.shape[1] else np.zeros(len(x), dtype=bool)
    if whole.any():
        result[whole] = np.median(x[whole], axis=1)
    for i in np.flatnonzero(~whole):
        some = x[i][~np.isnan(x[i])]
        if len(some):
            result[i] = np.median(some)
    return result


def finite(x: Values) -> Values:
    """The finite values of `x`, in order."""
    return x[np.isfinite(x)]


def typical(x: Values) -> float:
    """The median of the finite values of `x`; NaN when there are none."""
    some = finite(x)
    return float(np.median(some)) if len(some) else math.nan


def depth_falls(d: Values) -> Values:
    """How every row of `d` [rows, layers] falls towards the input: decades in all, by least squares.

    NaN where a row is not positive and finite, and with fewer than three layers.
    """
    falls = np.full(len(d), np.nan)
    places = np.arange(d.shape[1]) - (d.shape[1] - 1) / 2
    good = np.all(np.isfinite(d) & (d > 0), axis=1)
    if d.shape[1] >= 3 and good.any():
        slopes = np.log10(d[good]) @ places / float(np.sum(places**2))
        falls[good] = slopes * (d.shape[1] - 1)
    return falls


def learns_well(state: Standing) -> bool:
    """Whether most of what there is to learn has been learnt."""
    level = state.trivial if math.isfinite(state.trivial) else state.start
    return state.known and state.now < WELL * level


def rate_at(signals: Signals, facts: Facts, step: int) -> float:
    """The learning rate in force at `step`; NaN when nobody said."""
    if "learning_rate" in signals:
        rows = signals["learning_rate"].until(step).values
        some = rows[np.isfinite(rows) & (rows > 0)]
        if len(some):
            return float(some[-1])
    rate = facts.get("learning_rate", math.nan)
    return float(rate) if isinstance(rate, float | int) and rate > 0 else math.nan


def lower_rate(rate: float, r: float) -> float:
    """The learning rate at which an update ratio of `r` would have been a good one, in one digit."""
    factor = min(max(GOOD_RATIO / r, FARTHEST), 1 / 3) if r > 0 else 1 / 10
    return one_digit(rate * factor)


def one_digit(x: float) -> float:
    """`x` rounded to its first digit."""
    return float(f"{x:.0e}") if math.isfinite(x) else x


def short(x: float) -> str:
    """A number for a sentence: `0.03`, `3e-4`, `12`, `1.5e+6`."""
    if not math.isfinite(x) or x == 0 or 1e-2 <= abs(x) < 1e4:
        return f"{x:.3g}"
    mantissa, exponent = f"{x:.2g}".split("e") if "e" in f"{x:.2g}" else f"{x:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent):+d}".replace("e+", "e")


def of_weights(r: float) -> str:
    """An update ratio for a sentence: `22 % of the size of the weights`, or `201 times` it."""
    size = f"{short(r)} times" if r >= 1 else f"{short(100 * r)} % of"
    return f"{size} the size of the weights"
