"""How much of a layer dropout takes away: by the modules of a model, or by the zeros it leaves.

Notation
    z       share of zeros in what a layer takes, in training mode      [n, layers]
    d       share of units that never fired in a window of samples      [windows, layers]
    p       dropout rate; a rectifier alone makes z about 1/2, with dropout 1 - (1 - p)/2
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.evidence.rows import recent
from diagnostics.findings import Facts
from diagnostics.signals import Signals

ROWS = 20
"""Last due rows the median of the zeros is taken over."""

FIRST = 3
"""First due rows that must show the zeros as well: units that die or grow sparse do so later."""

ALIVE = 0.3
"""Share of dead units from which zeros are those of dead units."""

SURE = 0.7
"""Rate from which zeros are taken for dropout: sparse layers leave 70 to 80 % zeros, which would be 0.4 to
0.6."""


def dropout_rate(signals: Signals, facts: Facts, sure: float = SURE) -> float:
    """The largest dropout rate that is known, or that the zeros before a layer show; 0 when there is none.

    A function instead of a module (`torch.nn.functional.dropout`) shows only when it takes a lot: the rate is
    then the least that the zeros allow, which is right after a rectifier. Less than `sure` counts as none.
    """
    known = float(facts.get("dropout", 0.0))
    if known > 0 or "zero_share" not in signals or "dead_share" not in signals:
        return known
    series, dead = signals["zero_share"], signals["dead_share"]
    shares = dict(zip(dead.layers, dead.values[-1], strict=True)) if len(dead) else {}
    z = np.minimum(np.median(series.values[:FIRST], axis=0), recent(series, ROWS))
    alive = [
        float(share)
        for name, share in zip(series.layers, z, strict=True)
        if name.endswith(".input") and shares.get(name, math.inf) < ALIVE
    ]
    rate = 2 * max(alive, default=0.0) - 1
    return float(np.clip(rate, 0.0, 1.0)) if rate >= sure else 0.0
