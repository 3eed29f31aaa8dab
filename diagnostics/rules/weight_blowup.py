"""Weights that grow without bound where no normalisation makes that harmless.

Notation
    w        norm of a matrix                                                 [due rows, matrices]
    growth   w now over w at the start
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import common_rows
from diagnostics.evidence.strides import unreached_targets
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import layer_words, listed, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

GROWN = 10.0
"""Times its norm at the start that a matrix must have grown (house rule: healthy weights stay within a few
times their start)."""

ROWS = 4
"""Rows before anything is said."""

GAINED = 0.3
"""Share of the first loss that weights which had to grow have taken away: towards large targets, say."""

RECENT = 0.05
"""Share that the weights must still have grown over the last third of the rows (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Matrices that have grown tenfold and go on, in a training that became worse or does not learn."""
    rows = common_rows(signals, "weight_norm")
    if len(rows) < ROWS:
        return
    w = _last_finite(rows.values[0])
    if len(w) < 2:
        return
    state = standing(signals, facts)
    came_down = state.now < (1 - GAINED) * float(signals["loss"].values[0])
    if came_down or not (state.worse or state.stuck):
        return
    if state.now < state.start and unreached_targets(signals, facts) is not None:
        return  # the answers must grow to reach such targets, and the loss gains by it
    harmless = set(signals["rotation"].layers) if "rotation" in signals else set()
    start = w[0]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.where(start > 0, w / start, 0.0)
    recent = w[-1] >= (1 + RECENT) * w[-1 - len(w) // 3]
    sick = (growth[-1] > GROWN) & recent
    sick &= np.array([layer not in harmless for layer in rows.layers])
    if not sick.any():
        return
    layers = tuple(layer for layer, bad in zip(rows.layers, sick, strict=True) if bad)
    worst = int(np.argmax(np.where(sick, growth[-1], 0.0)))
    step = int(rows.steps[np.argmax((growth[:, sick] > GROWN).any(axis=1))])
    evidence = {
        "growth": float(growth[-1, worst]),
        "norm_at_start": float(start[worst]),
        "norm_now": float(w[-1, worst]),
        "matrices": float(len(layers)),
        "loss_now": state.now,
    }
    largest = layer_words(rows.layers[worst], facts)
    cause = (
        f"the weights of {listed(layers, facts)} grow without bound: {largest} went from a norm of "
        f"{short(float(start[worst]))} to {short(float(w[-1, worst]))}, and no norm layer makes that harmless"
    )
    yield Finding("weight-blowup", Severity.WARNING, step, evidence, cause, _remedy(facts), layers)


def _last_finite(w: Values) -> Values:
    """The rows up to the last one in which every matrix is finite; what is not says nothing of growth."""
    good = np.flatnonzero(np.all(np.isfinite(w), axis=1))
    return w[: int(good[-1]) + 1] if len(good) else w[:0]


def _remedy(facts: Facts) -> str:
    decay = float(facts.get("weight_decay", 0.0))
    more = "set weight_decay to about 1e-4" if decay == 0 else f"raise weight_decay from {short(decay)}"
    return (
        f"lower the learning rate by a factor of 10; if the weights still grow, {more} or put norm layers in"
    )


RULE = Rule(
    name="weight-blowup",
    needs={"weight_norm": ROWS, "loss": 2},
    check=check,
    source="house rule; growth under a norm is harmless: van Laarhoven (2017), L2 regularization versus "
    "batch and weight normalization",
)
