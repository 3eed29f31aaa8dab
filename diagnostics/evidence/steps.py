"""What an optimizer step did to each layer: ratios, profiles over depth, and the size a step should have.

Notation
    w, g, u  norms of a matrix, its gradient and its update at a due step     [rows, matrices]
    r        update ratio u / w                                               [rows, matrices]
    d        size of the loss gradient at the layers' outputs, input first    [layers]
    fall     decades by which d shrinks from the last layer to the first
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.evidence.rows import Rows, common_rows, ratio
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import one_digit
from diagnostics.findings import Facts
from diagnostics.signals import Signals

EARLY = 16
"""Steps that count as early (house rule: five due rows; the first steps of a warm-up lie before)."""

GOOD_RATIO = 1e-2
"""Update ratio of a first step that is still in order: ten times the usual 1e-3 of later steps.

Source: Karpathy's rule of thumb of 1e-3 for the ratio; first steps of Adam are larger (house rule).
"""

FARTHEST = 1e-5
"""No advice goes further down from the present learning rate than this (house rule)."""


def update_ratios(signals: Signals) -> Rows:
    """`r` [rows, matrices]: NaN where the weights were zero or a norm was not finite."""
    rows = common_rows(signals, "update_norm", "weight_norm")
    return Rows(rows.steps, (ratio(*rows.values),), rows.layers)


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
