"""A loss with further terms that do not look at the batch, such as a penalty on weights: its plain part.

Notation
    t       steps of the due rows, as log(1 + step)                [rows]
    p       plain loss of the answers in them                      [rows]
    d       what the loss has beyond it                            [rows]
    s       distance of a value from a parabola through its four neighbours, over their mean

From batch to batch p jumps. What hangs on the weights alone goes on smoothly: they move little in a step. Any
other loss of the same answers, weighted, smoothed or of another kind, jumps with the batch as p does, and
relative to its size not less: then d tells of another loss, whose level of guessing nobody knows.
"""

from __future__ import annotations

import numpy as np

from diagnostics.evidence.rows import Steps, common_rows, finite_rows
from diagnostics.evidence.trends import Values
from diagnostics.signals import Signals

ROWS = 10
"""Rows that are needed to tell (house rule)."""

EARLY = 2 / 3
"""Share of the rows that are looked at, the first: steps lie close together there."""

SMOOTH = 1 / 3
"""Times the median s of p that that of d may be at most (measured: at most 0.21 for penalties of absolute
values on most models, at least 1.2 for weighted, smoothed and other losses)."""

JUMPS = 0.003
"""Median s of p from which on the batches of a training are seen to differ: those of a training that has all
samples in each batch do not, and smooth is then everything (measured: at most 0.002 there)."""


def plain_part(signals: Signals) -> tuple[Steps, Values] | None:
    """Steps and values of the plain loss in the due rows, where the loss is that and something on top that
    does not look at the batch; None where it is not, or cannot be told.
    """
    if "loss_ratio" not in signals or "loss" not in signals:
        return None
    rows = common_rows(signals, "loss", "loss_ratio")
    x, ratio = rows.values
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / ratio
    keep = np.isfinite(p) & np.isfinite(x) & (p > 0)
    steps, p, d = rows.steps[keep], p[keep], (x - p)[keep]
    if len(p) < ROWS or np.median(d) <= 0:
        return None
    early = slice(0, max(ROWS, int(EARLY * len(p))))
    t = np.log1p(steps[early].astype(np.float64))
    jumps = _jumps(t, p[early])
    return (steps, p) if jumps >= JUMPS and _jumps(t, d[early]) <= SMOOTH * jumps else None


def tells_the_plain_part(signals: Signals, name: str, part: tuple[Steps, Values]) -> bool:
    """Whether the evaluations under a name are those of the plain part, and not of the whole loss."""
    t, e = finite_rows(signals, name)
    steps, p = part
    x_steps, x = finite_rows(signals, "loss")
    plain, whole = np.interp(t, steps, p), np.interp(t, x_steps, x)
    return bool(np.sum(np.abs(e - plain)) < np.sum(np.abs(e - whole)))


def _jumps(t: Values, x: Values) -> float:
    """The median s of a curve."""
    found = []
    for i in range(2, len(x) - 2):
        around = [i - 2, i - 1, i + 1, i + 2]
        at_i = np.polyfit(t[around] - t[i], x[around], 2)[2]
        size = float(np.mean(np.abs(x[around])))
        found.append(abs(float(x[i] - at_i)) / size if size > 0 else 0.0)
    return float(np.median(found))
