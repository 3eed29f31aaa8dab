"""Gradients that shrink geometrically on their way to the input of a network that does not learn.

Notation
    d        size of the loss gradient at the layers' outputs, or, where that was not measured, gradient over
             weight of the matrices; input first                              [due rows, layers]
    fall     decades by which d shrinks from the last layer to the first; positive when it vanishes
    q        the factor of one layer
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import Rows, common_rows, finite, ratio
from diagnostics.evidence.steps import depth_falls
from diagnostics.evidence.suffering import done, hampered, sibling_loss
from diagnostics.evidence.words import listed, outcome, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

FAINT = 3.0
"""Decades of fall that starve the first layer: steps that suit the last layer are a thousand times too small
for the first one (house rule; deep sigmoid nets show such falls: Glorot and Bengio (2010))."""

SHALLOWEST = 3
"""Layers below which nothing can fall geometrically."""

STEADY = 0.7
"""Share of the layers at which the gradient must really get smaller (house rule)."""

GROWN = 0.5
"""Decades by which a fall that was less at the start must have grown since (house rule: convolutions begin
with nearly three decades, as each of their many outputs has a small part in the loss)."""

LAST = 5
"""Rows whose middle says how the gradients fall now (house rule)."""

BENT = {"Sigmoid": "sigmoid", "Tanh": "tanh", "Softsign": "softsign", "Hardsigmoid": "hard_sigmoid"}
"""Activation modules that flatten gradients, and what a study calls them."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A steady fall of the gradient towards the input, at the start or grown since, and no learning."""
    rows = _profiles(signals)
    if len(rows.layers) < SHALLOWEST or not len(rows):
        return
    d = rows.values[0]
    falls = np.where(np.mean(np.diff(d, axis=1) > 0, axis=1) >= STEADY, depth_falls(d), 0.0)
    falls[~np.all(d > 0, axis=1)] = np.nan  # behind a dead layer; NaN is no size either
    known = finite(falls)
    now = float(np.median(known[-LAST:])) if len(known) else 0.0
    if now < FAINT or (known[0] < FAINT and now < known[0] + GROWN):
        return
    state = standing(signals, facts)
    if not hampered(state, sibling_loss(facts), done=done(signals, facts)):
        return
    began = int(np.argmax(falls >= FAINT))
    fall, start = float(falls[began]), float(known[0])
    q = 10 ** (-fall / (len(rows.layers) - 1))
    layers = tuple(
        name for name, one in zip(rows.layers, d[began], strict=True) if one < 10**-FAINT * d[began, -1]
    )
    evidence = {
        "fall_decades": fall,
        "factor_per_layer": q,
        "fall_decades_at_start": start,
        "layers": float(len(rows.layers)),
        "loss_now": state.now,
    }
    since = "at the start already" if start >= FAINT else f"{short(10 ** min(-start, 300.0))} at the start"
    cause = (
        f"the gradient shrinks to {short(q)} of its size with every layer towards the input, to "
        f"{short(10**-fall)} over {len(rows.layers)} layers ({since}): "
        f"{listed(layers or rows.layers[:1], facts)} hardly learn; {outcome(state)}"
    )
    step = int(rows.steps[began])
    remedy = _remedy(facts, len(rows.layers))
    yield Finding("vanishing-gradients", Severity.WARNING, step, evidence, cause, remedy, layers)


def _profiles(signals: Signals) -> Rows:
    if "output_grad" in signals and len(signals["output_grad"].layers) >= SHALLOWEST:
        return common_rows(signals, "output_grad")
    rows = common_rows(signals, "grad_norm", "weight_norm")
    return Rows(rows.steps, (ratio(*rows.values),), rows.layers)


def _remedy(facts: Facts, layers: int) -> str:
    names = str(facts.get("activations", "")).split(",")
    bent = [BENT[name] for name in names if name in BENT]
    advice = [f"set activation to relu instead of {' and '.join(bent)}"] if bent else []
    if not facts.get("norms", 0):
        advice.append("set norm to batch or layer")
    advice.append("set init to kaiming_normal (for relu) or xavier_normal (for tanh)")
    return ", ".join(advice) + f", or take fewer than {layers} layers (depth)"


RULE = Rule(
    name="vanishing-gradients",
    needs={"loss": 2},
    check=check,
    source="Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward networks",
)
