"""Units that are copies of each other: equal weights get equal gradients and stay equal for ever.

Notation
    W       weight of a hidden layer, rows are units               [rows, ...]
    w       ||W - mean row|| / ||W||, per due row; 0 when all are equal or zero   [n, matrices]
    v       the same of its gradient                               [n, matrices]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import common_rows
from diagnostics.evidence.suffering import done, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.words import listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Series, Signals

EQUAL = 1e-3
"""Spread of rows below which they are equal (house rule: random rows have a spread near 1, and single
precision brings apart equal ones by some 1e-6)."""

SAME_GRADIENT = 1e-2
"""Spread of the gradient's rows below which they are equal: rounding, summed up over a batch, counts more."""

ROWS = 3
"""Due rows in which weights and gradients must be equal."""

HALF_APART = 0.5
"""Spread from which rows that began as copies have parted after all (dropout parts them, in time)."""

REMEDY = (
    "draw the weights at random: init = kaiming_normal (relu and its kind) or xavier_uniform (tanh, "
    "sigmoid); only biases, and the last layer of a branch, may start at 0"
)


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding for all hidden matrices whose rows cannot be told apart by training."""
    rows = common_rows(signals, "row_spread", "grad_row_spread")
    if len(rows) < ROWS or not rows.layers:
        return
    w, v = rows.series
    hidden = _hidden(signals, facts, w)
    alike = hidden & _cannot_part(w, v)
    born_alike = hidden & _born_alike(signals, w)
    if not np.any(alike | born_alike):
        return
    place = standing(signals, facts)
    names = tuple(np.array(w.layers)[alike | born_alike])
    zero = _all_zero(signals, names)
    severity = warn_if(
        (bool(np.any(alike)) and not place.known)
        or hampered(place, sibling_loss(facts), done=done(signals, facts))
    )
    evidence = {
        "row_spread": float(np.max(w.values[-1][alike | born_alike])),
        "grad_row_spread": float(np.max(v.values[-1][alike | born_alike])),
        "matrices": float(len(names)),
    }
    how = "are all zero" if zero else "began as copies of one row"
    stay = "; their gradients are equal too, so that they stay so" if np.any(alike) else ""
    cause = f"the units of {listed(names, facts)} {how}{stay}; {outcome(place)}"
    yield Finding("symmetric-units", severity, int(w.steps[0]), numbers_of(evidence), cause, REMEDY, names)


def _hidden(signals: Signals, facts: Facts, w: Series) -> NDArray[np.bool_]:
    """Which matrices are neither the head's nor an embedding's."""
    head = str(facts.get("head_layer", ""))
    last = f"{head}." if head else w.layers[-1]
    return np.array([not name.startswith(last) and "embed" not in name.lower() for name in w.layers])


def _cannot_part(w: Series, v: Series) -> NDArray[np.bool_]:
    """Equal rows with equal gradients in every one of the due rows so far."""
    return np.asarray(np.all(w.values < EQUAL, axis=0) & (np.median(v.values, axis=0) < SAME_GRADIENT))


def _born_alike(signals: Signals, w: Series) -> NDArray[np.bool_]:
    """Rows that were equal, and not zero, at the start, and are alike still.

    A branch may begin at zero on purpose; nobody begins with copies of one row.
    """
    if "weight_norm" not in signals or signals["weight_norm"].layers != w.layers:
        return np.zeros(len(w.layers), dtype=bool)
    size = signals["weight_norm"].values[0]
    return np.asarray((w.values[0] < EQUAL) & (w.steps[0] == 0) & (size > 0) & (w.values[-1] < HALF_APART))


def _all_zero(signals: Signals, names: tuple[str, ...]) -> bool:
    if "weight_norm" not in signals:
        return False
    norms = signals["weight_norm"]
    return all(norms.values[-1][i] == 0.0 for i, name in enumerate(norms.layers) if name in names)


RULE = Rule(
    name="symmetric-units",
    needs={"row_spread": ROWS, "grad_row_spread": ROWS},
    check=check,
    source="Goodfellow, Bengio and Courville (2016), Deep Learning, 8.4: initial weights must break symmetry",
)
