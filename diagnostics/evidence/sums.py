"""Whether the gradients that the optimizer saw are sums of all gradients so far.

Notation
    G        gradient the optimizer saw: G_t = G_{t-1} + g_t when nothing resets it
    n        |G| over |G_0| at the due rows                                   [rows]
    p        how fast n grows with the number of steps: n ~ (t + 1)^p; 0.5 for chance g, 1 for equal ones
    c        likeness of successive gradients: G_t . G_{t+1} over the mean of their squares   [pairs]
    i        increment |G_{t+1} - G_t| over |G_0|                             [pairs]
"""

from __future__ import annotations

import numpy as np

from diagnostics.evidence.rows import common_rows, middle, ratio, typical
from diagnostics.evidence.trends import Values
from diagnostics.signals import Signals

ROWS = 5
"""Due rows (steps 0, 1, 2, 4, 8) that are needed to see a ramp."""

WINDOWS = 12, 32
"""Steps over which the ramp is looked for: the longer one for noisy gradients; later the training walks
downhill, or swings (house rule)."""

RISEN = 2.2
"""Times the first norm that the norm must reach: a sum of five chance vectors has sqrt(5)."""

SOON = 1.25
"""Times the first norm that it must have reached by step 2, where a sum of three chance vectors has sqrt(3):
what merely grows is slower at first (house rule)."""

SLOWEST, FASTEST = 0.35, 1.3
"""Range of p around 0.5 and 1, the values of sums of chance and of equal vectors (house rule)."""

ALIKE = 0.9
"""Likeness of the middle pair after the second step: a sum of k+1 chance vectors and one of k have
1 - 0.5 / (k + 0.5), which passes 0.9 at k = 5; equal vectors pass it sooner."""

UNLIKE = 0.3
"""Likeness that no pair may fall to: a sum holds on to what it has."""

FRESH = 0.2, 2.5
"""Range of the increments: each of them is one gradient, of about the first one's size (house rule). In a
training on the whole data set successive gradients are alike as well, but differ by much less."""

STEADY = 1.5
"""Times by which later increments may exceed earlier ones: what grows by itself has growing ones."""

PAIRS = 3
"""Pairs that are needed."""

FIRST_SUMS = 1.3, 1.5, 1.9
"""Times the first norm that sums must have reached by steps 1, 2 and 4: nine tenths of the sqrt(2), sqrt(3)
and sqrt(5) of chance vectors. Gradients that grow as a loss leaves its plateau hardly do so in one step."""

HELD = 0.8
"""Likeness that no pair after step 4 may fall to where the gradients of single batches grow too: sums keep
1 - 0.5 / (k + 0.5), which is 0.9 at k = 5, less what grown batches take away (house rule)."""

KEPT = 0.95
"""Share of the norm before that a norm must keep: a sum hardly ever shrinks (house rule)."""

LIFTED = 5.0
"""Times the first norm that it must reach in the longer window: a sum of 30 chance vectors has sqrt(30)."""

REPLACED = 0.3
"""Update ratio of the first steps from which the weights are others, and gradients grow with them."""


def ramp(signals: Signals) -> dict[str, float]:
    """The numbers of gradients that add up from the first step on; empty when they do not, or too early."""
    for window in WINDOWS:
        if signals.last_step <= window:
            return {}
        found = _steady_ramp(signals, window)
        if found:
            return found
    return _growing_ramp(signals, WINDOWS[-1])


def _steady_ramp(signals: Signals, window: int) -> dict[str, float]:
    """Sums of gradients that all have about the first one's size."""
    t, norms = _norms(signals, window)
    if not len(norms):
        return {}
    n = norms / norms[0]
    p = _exponent(t, n)
    if n[t <= 2][-1] < SOON or float(np.median(n[-2:])) < RISEN or not SLOWEST <= p <= FASTEST:
        return {}
    pairs, like, increments = _pairs(signals, window, float(norms[0]), after=2)
    unlike = len(pairs) < PAIRS or np.min(like) <= UNLIKE or np.median(like) <= ALIKE
    if unlike or not _are_single(pairs, increments):
        return {}
    return _evidence(t, norms, like, increments)


def _growing_ramp(signals: Signals, window: int) -> dict[str, float]:
    """Sums of gradients that grow as well, as the loss leaves its plateau: each sum holds the one before.

    Gradients of the whole data set are alike too; but they do not begin as a sum of two and three does.
    """
    t, norms = _norms(signals, window)
    if not len(norms) or _are_replaced(signals):
        return {}
    n = norms / norms[0]
    early = [float(n[t <= step][-1]) for step in (1, 2, 4)]
    if any(have < need for have, need in zip(early, FIRST_SUMS, strict=True)) or n[-1] < LIFTED:
        return {}
    pairs, like, increments = _pairs(signals, window, float(norms[0]), after=4)
    if (
        len(pairs) < PAIRS
        or np.min(like) <= HELD
        or np.median(like) <= ALIKE
        or np.any(n[1:] < KEPT * n[:-1])
    ):
        return {}
    return _evidence(t, norms, like, increments)


def _norms(signals: Signals, window: int) -> tuple[Values, Values]:
    """Steps and norms of the first `window` steps; none where they are too few, or not usable."""
    rows = common_rows(signals, "total_grad_norm")
    some = rows.steps <= window
    t, norms = rows.steps[some].astype(float), rows.values[0][some].reshape(-1)
    if len(norms) < ROWS or t[0] != 0 or not np.all(np.isfinite(norms) & (norms > 0)):
        return t[:0], norms[:0]
    return t, norms


def _exponent(t: Values, n: Values) -> float:
    return float(np.polyfit(np.log(t + 1.0), np.log(n), 1)[0])


def _evidence(t: Values, norms: Values, like: Values, increments: Values) -> dict[str, float]:
    return {
        "growth_exponent": _exponent(t, norms / norms[0]),
        "grad_norm_at_start": float(norms[0]),
        "grad_norm_after": float(norms[-1]),
        "likeness": float(np.median(like)),
        "increment": float(np.median(increments)),
        "steps": float(t[-1]),
    }


def _pairs(signals: Signals, window: int, first: float, after: int) -> tuple[Values, Values, Values]:
    """Steps, likeness and increments of the pairs after the step `after`."""
    rows = common_rows(signals, "grad_dot", "grad_square")
    dot, square = (values.reshape(-1) for values in rows.values)
    keep = (rows.steps > after) & (rows.steps <= window + 1)
    keep &= np.isfinite(dot) & np.isfinite(square) & (square > 0)
    dot, square = dot[keep], square[keep]
    increments = np.sqrt(np.maximum(2 * square - 2 * dot, 0.0)) / first
    return rows.steps[keep].astype(float), dot / square, increments


def _are_single(steps: Values, increments: Values) -> bool:
    """Whether the increments are of one gradient's size, and do not grow."""
    half = len(steps) // 2
    before, after = float(np.median(increments[:half])), float(np.median(increments[half:]))
    return FRESH[0] <= float(np.median(increments)) <= FRESH[1] and after <= STEADY * before


def _are_replaced(signals: Signals) -> bool:
    """Whether the first steps made other weights, so that gradients of another size are no wonder."""
    rows = common_rows(signals, "update_norm", "weight_norm")
    r = middle(ratio(*rows.values))[rows.steps <= 4] if rows.layers else np.array([])
    return typical(r) > REPLACED
