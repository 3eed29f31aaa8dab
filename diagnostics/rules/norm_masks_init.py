"""A normalised network whose layers hardly turn: the norm hides an initialisation far off its scale.

Notation
    a        angle by which a step turned a matrix in front of a norm, radians [due rows, matrices]
    turn     angle of the whole way so far, when every step had turned the same way
    s        spread of a layer's output before the norm, at the start; about 1 for a fitting scale
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import common_rows
from diagnostics.evidence.suffering import hampered, sibling_loss
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import listed, one_digit, outcome, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

STILL = 0.05
"""Radians of the whole way under which a layer still is what it was drawn as (house rule: three degrees;
a healthy layer turns by that within some ten steps)."""

FAR = 10.0
"""Spread of the output at the start that is far off: the norm divides by it, and the gradient with it."""

LONG = 40
"""Steps before anything is said (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Layers in front of a norm that hardly turned, and whose outputs were huge at the start."""
    rows = common_rows(signals, "rotation")
    if len(rows) < 2 or not rows.layers or rows.steps[-1] < LONG:
        return
    turn = _way(rows.steps, np.nan_to_num(rows.values[0]))
    spread = np.array([_spread_at_start(signals, layer) for layer in rows.layers])
    still = (turn < STILL) & (spread > FAR)
    if not still.any():
        return
    state = standing(signals, facts)
    layers = tuple(layer for layer, bad in zip(rows.layers, still, strict=True) if bad)
    evidence = {
        "turned": float(np.median(turn[still])),
        "output_spread_at_start": float(np.median(spread[still])),
        "layers": float(len(layers)),
        "loss_now": state.now,
    }
    turned, began = short(evidence["turned"]), short(evidence["output_spread_at_start"])
    cause = (
        f"{listed(layers, facts)} turned by {turned} radians in {int(rows.steps[-1])} steps: their outputs "
        f"began with a spread of {began} instead of about 1, the norm hides it, and a step turns weights "
        f"that large too little; {outcome(state)}"
    )
    severity = Severity.WARNING if hampered(state, sibling_loss(facts)) else Severity.INFO
    yield Finding("norm-masks-init", severity, int(rows.steps[0]), evidence, cause, _remedy(evidence), layers)


def _way(steps: np.ndarray[tuple[int], np.dtype[np.int64]], a: Values) -> Values:
    """The sum of the angles, each row standing for the steps up to the next one."""
    return np.asarray(a[0] + np.sum(a[1:] * np.diff(steps)[:, None], axis=0))


def _spread_at_start(signals: Signals, parameter: str) -> float:
    if "output_spread" not in signals:
        return math.nan
    module = parameter.rpartition(".")[0]
    series = signals["output_spread"]
    return float(series.values[0, series.layers.index(module)]) if module in series.layers else math.nan


def _remedy(evidence: dict[str, float]) -> str:
    times = short(one_digit(evidence["output_spread_at_start"]))
    return f"set init to kaiming_normal, or make init_std about {times} times smaller"


RULE = Rule(
    name="norm-masks-init",
    needs={"rotation": 2, "loss": 2},
    check=check,
    source="van Laarhoven (2017): under a norm the effective learning rate is learning rate / |W|^2",
)
