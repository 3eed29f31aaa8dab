"""Layers that should move and do not: no gradient reaches them, no update follows it, or all are frozen.

Notation
    u, g, w  norms of update, gradient and weight                             [due rows, matrices]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import Rows, common_rows
from diagnostics.evidence.steps import rate_at
from diagnostics.evidence.suffering import hampered, learns_well, sibling_loss, warn_if
from diagnostics.evidence.words import listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

ROWS = 5
"""Due rows in which nothing may have moved (steps 0, 1, 2, 4, 8)."""

ROUNDING = 1e-6
"""Share of its norm below which an update may be lost in the rounding of single precision."""

MOST = 0.5
"""Share of all parameters that must be frozen to explain that little is learnt (house rule)."""

Mask = NDArray[np.bool_]

CUT = "look for detach(), .data, no_grad(), argmax or a step through numpy between these layers and the loss"
HELD = "look at the optimizer's groups: one with learning rate 0, or weights replaced after it was made"
FROZEN = "set requires_grad to True for the layers that are to learn, before the optimizer is made"


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Each of the ways in which layers can stand still, unless a dead or a zero layer explains it."""
    rows = common_rows(signals, "update_norm", "grad_norm", "weight_norm")
    state = standing(signals, facts)
    suffers = hampered(state, sibling_loss(facts))
    total, trainable = float(facts.get("parameters", 0)), float(facts.get("trainable", 0))
    share = 1 - trainable / total if total > 0 else 0.0
    if suffers and share > MOST:
        evidence = {"frozen_share": share, "loss_now": state.now}
        cause = f"{100 * share:.0f} % of the parameters have requires_grad False; {outcome(state)}"
        yield Finding("frozen-layers", warn_if(True), 0, evidence, cause, FROZEN)
    if len(rows) < ROWS:
        return
    poor = state.known and not learns_well(state)
    cut, held = _still(signals, facts, rows)
    for which, why, remedy in (
        (cut, "the loss sends no gradient to them", CUT),
        (held, "gradients reach them, but no update follows", HELD),
    ):
        layers = tuple(layer for layer, bad in zip(rows.layers, which, strict=True) if bad)
        if not layers:
            continue
        evidence = {"matrices": float(len(layers)), "rows": float(len(rows)), "loss_now": state.now}
        still = f"{listed(layers, facts)} did not move in {int(rows.steps[-1]) + 1} steps"
        cause = f"{still}: {why}; {outcome(state)}"
        step = int(rows.steps[0])
        yield Finding("frozen-layers", warn_if(poor), step, evidence, cause, remedy, layers)


def _still(signals: Signals, facts: Facts, rows: Rows) -> tuple[Mask, Mask]:
    """Which matrices never got a gradient though all behind them is alive, and which got one in vain."""
    u, g, w = rows.values
    missing = set(str(facts.get("unoptimized", "")).split(","))
    still = np.all(u == 0, axis=0) & np.array([layer not in missing for layer in rows.layers])
    without = np.all(g == 0, axis=0)
    cut = np.array([bool(s and _is_cut(signals, rows, i)) for i, s in enumerate(still & without)], dtype=bool)
    rate = rate_at(signals, facts, int(rows.steps[-1]))
    reach = rate * g if "sgd" in str(facts.get("optimizer", "sgd")).lower() else np.full_like(g, rate)
    held = still & ~without & np.any(reach >= ROUNDING * w, axis=0)
    return cut, held


def _is_cut(signals: Signals, rows: Rows, i: int) -> bool:
    """Whether matrix `i` gets no gradient though all that lies behind it is alive.

    Behind a layer of zeros, or of units that never fire, there is no gradient either: other causes.
    """
    if np.any(rows.values[2][:, i:] == 0):
        return False
    sites = signals.get("zero_share")
    if sites is not None and np.any(sites.values >= 1.0):
        return False
    total = signals.get("total_grad_norm")
    if total is not None and not np.any(total.values):
        return not _answers_alike(signals)  # not even the last bias gets one
    return True


def _answers_alike(signals: Signals) -> bool:
    """Whether the model said the same of everything from the start: then its head is to blame."""
    return "answer_spread" in signals and not signals["answer_spread"].values[0] > 0


RULE = Rule(
    name="frozen-layers",
    needs={"loss": 1},
    check=check,
    source="house rule: an exactly zero update is no accident",
)
