"""Gradients that are never set to zero: every step sees the sum of all gradients so far.

Notation
    G        gradient the optimizer saw: G_t = G_{t-1} + g_t when nothing resets it
    n        |G| over |G_0| at the due rows                                   [rows]
    p        how fast n grows with the number of steps: n ~ (t + 1)^p; 0.5 for chance g, 1 for equal ones
    c        likeness of successive gradients: G_t . G_{t+1} over the mean of their squares   [pairs]
    i        increment |G_{t+1} - G_t| over |G_0|                             [pairs]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.steps import common_rows
from diagnostics.evidence.suffering import outcome
from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts, Finding, Rule, Severity
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


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A gradient that grows like a sum from the first step on, each one containing the one before.

    It is a mistake of the loop whatever comes of it, hence always a warning.
    """
    for window in WINDOWS:
        if signals.last_step <= window:
            return
        evidence = _ramp(signals, window)
        if evidence:
            yield _finding(evidence, outcome(standing(signals, facts)))
            return


def _ramp(signals: Signals, window: int) -> dict[str, float]:
    """The evidence of a ramp in the first `window` steps; empty when there is none."""
    ramp = common_rows(signals, "total_grad_norm")
    some = ramp.steps <= window
    t, norms = ramp.steps[some], ramp.values[0][some]
    if len(norms) < ROWS or t[0] != 0 or not np.all(np.isfinite(norms) & (norms > 0)):
        return {}
    n = norms / norms[0]
    p = float(np.polyfit(np.log(t + 1.0), np.log(n), 1)[0])
    if n[t <= 2][-1] < SOON or float(np.median(n[-2:])) < RISEN or not SLOWEST <= p <= FASTEST:
        return {}
    pairs, like, increments = _pairs(signals, window, float(norms[0]))
    if (
        len(pairs) < PAIRS
        or np.min(like) <= UNLIKE
        or np.median(like) <= ALIKE
        or not _are_single(pairs, increments)
    ):
        return {}
    return {
        "growth_exponent": p,
        "grad_norm_at_start": float(norms[0]),
        "grad_norm_after": float(norms[-1]),
        "likeness": float(np.median(like)),
        "increment": float(np.median(increments)),
        "steps": float(t[-1]),
    }


def _finding(evidence: dict[str, float], doing: str) -> Finding:
    cause = (
        f"gradients add up from step to step: their norm grew from {evidence['grad_norm_at_start']:.3g} to "
        f"{evidence['grad_norm_after']:.3g} in {evidence['steps']:.0f} steps, and successive ones are "
        f"{100 * evidence['likeness']:.0f} % alike; {doing}"
    )
    remedy = "call optimizer.zero_grad() before every backward(); then look at the learning rate again"
    return Finding("gradients-accumulate", Severity.WARNING, 0, evidence, cause, remedy)


def _pairs(signals: Signals, window: int, first: float) -> tuple[Values, Values, Values]:
    """Steps, likeness and increments of the pairs from the third step on."""
    rows = common_rows(signals, "grad_dot", "grad_square")
    dot, square = rows.values
    keep = (
        (rows.steps > 2) & (rows.steps <= window + 1) & np.isfinite(dot) & np.isfinite(square) & (square > 0)
    )
    dot, square = dot[keep], square[keep]
    increments = np.sqrt(np.maximum(2 * square - 2 * dot, 0.0)) / first
    return rows.steps[keep].astype(float), dot / square, increments


def _are_single(steps: Values, increments: Values) -> bool:
    """Whether the increments are of one gradient's size, and do not grow."""
    half = len(steps) // 2
    before, after = float(np.median(increments[:half])), float(np.median(increments[half:]))
    return FRESH[0] <= float(np.median(increments)) <= FRESH[1] and after <= STEADY * before


RULE = Rule(
    name="gradients-accumulate",
    needs={"total_grad_norm": ROWS, "grad_dot": PAIRS, "grad_square": PAIRS, "loss": 2},
    check=check,
    source="house rule from the algebra of sums: G_{t+1} = G_t + g, so that |G_{t+1} - G_t| = |g|",
)
