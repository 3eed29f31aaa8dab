"""A jump of the loss that recovered: worth knowing, no illness.

Notation
    x       training loss per row, or medians of blocks of it      [n]
    m       medians of blocks of `width` places                    [n // width]
    base    the higher median of the blocks before and after       [n // width]
    tail    90th percentile of x above its base
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.suffering import fails
from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

WIDTH = 20
"""Rows in a block: a jump must be shorter than half of it for the neighbours to stay what they were."""

COARSE = 10
"""Rows in the medians that are looked at for longer jumps."""

TAILS = 10.0
"""Tails above its base that make a jump (house rule: of squared normal numbers, the losses of single samples
in a regression, one in a million goes so far)."""

SHARE = 0.25
"""Share of the trivial loss (of the start, where that is unknown) that a jump must have as well."""

SETTLED, SETTLING = 50, 0.1
"""Steps, and share of them, after which a loss has left its level at the start: a jump before that is part of
settling (house rule)."""

RARE = 0.02
"""Share of the rows above which it is no jump any more but the way this loss is."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """The largest jump from which the loss came back."""
    loss = signals["loss"]
    keep = np.isfinite(loss.values)
    t, x = loss.steps[keep], loss.values[keep]
    place = standing(signals, facts)
    if len(x) < 3 * WIDTH or not math.isfinite(place.now) or fails(place):
        return  # what ends above its level, or learns nothing, has nowhere to come back to
    scale = abs(place.trivial) if math.isfinite(place.trivial) else abs(float(np.median(x[:3])))
    places, heights, base = _jumps(x, WIDTH, scale)
    if not len(places):
        n = len(x) // COARSE
        coarse = np.median(x[: n * COARSE].reshape(n, COARSE), axis=1)
        places, heights, base = _jumps(coarse, WIDTH // 2, scale)
        places = places * COARSE + COARSE // 2
    late = t[places] >= max(SETTLED, SETTLING * float(t[-1]))
    places, heights, base = places[late], heights[late], base[late]
    if not len(places):
        return
    top = int(np.argmax(heights))
    first, height, before = int(t[places[0]]), float(heights[top]), float(base[top])
    evidence = {"highest_loss": height, "loss_around": before, "rows": float(len(places))}
    cause = (
        f"the loss jumped from about {before:.4g} to {height:.4g} at step {int(t[places[top]])} and came back"
    )
    remedy = "no need to act; if it happens again and again, lower the learning rate or set clip_norm = 1"
    yield Finding("loss-spike", Severity.INFO, first, evidence, cause, remedy)


def _jumps(x: Values, width: int, scale: float) -> tuple[np.ndarray, Values, Values]:
    """The places of `x` [n] that stick out of both neighbouring blocks, their heights and levels."""
    none = np.array([], np.int64), np.array([]), np.array([])
    n = len(x) // width
    if n < 3:
        return none
    m = np.median(x[: n * width].reshape(n, width), axis=1)
    base = np.maximum(m[:-2], m[2:])
    inner = x[width : (n - 1) * width]
    around = np.repeat(base, width)
    tail = float(np.percentile(inner - around, 90))
    places = np.flatnonzero(inner > around + max(TAILS * tail, SHARE * scale))
    if len(places) > max(width // 2, RARE * len(x)):
        return none
    return places + width, inner[places], around[places]


RULE = Rule(
    name="loss-spike",
    needs={"loss": 3 * WIDTH},
    check=check,
    source="house rule after Lewkowycz et al. (2020) and Zhang et al. (2022), OPT: spikes mostly recover",
)
