"""Gradients that grow out of their scale: from step to step, or from the last layer to the first.

Notation
    g       norm of the whole gradient, before clipping where that is given    [rows]
    z       robust score: (log g - median) over its deviation (MAD), over the rows before
    o       root mean square of the loss's gradient with respect to a layer's output   [rows, layers]
    rise    growth of o a layer, from the last layer to the first: (o first / o last) ** (1 / (layers - 1))
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.suffering import fails, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import layer_words, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Series, Signals

SCORE = 5.0
"""Robust score that counts as an explosion (house rule: 5 sigma of a log-normal norm)."""

TIMES = 10.0
"""Times the usual norm it must be as well: where the norm hardly varies a score says little."""

AGAIN = 3
"""Rows that must show it: one is a batch, three are an illness (house rule)."""

WINDOW = 50
"""Rows before that say what is usual."""

FEWEST = 5
"""Rows before that are enough to say so."""

RISE = 2.0
"""Growth a layer towards the input above which gradients explode with depth (Glorot and Bengio (2010): with
a right scale it is about 1)."""

DEEP = 100.0
"""Times the gradient of the last layer that the first one's must be as well."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """An explosion in time or with depth, whichever is there."""
    place = standing(signals, facts)
    source = "raw_grad_norm" if "raw_grad_norm" in signals else "total_grad_norm"
    found = _in_time(signals[source], place) if source in signals else None
    if found is None and "output_grad" in signals:
        found = _with_depth(signals["output_grad"], facts, place)
    if found is not None:
        yield found


def _in_time(series: Series, place: Standing) -> Finding | None:
    keep = np.isfinite(series.values) & (series.values > 0)
    t, g = series.steps[keep], series.values[keep]
    high = np.flatnonzero(g > TIMES * np.minimum.accumulate(g)) if len(g) else np.array([], np.int64)
    few = len(high) <= WINDOW  # only what is far above the lowest norm so far can be far above the usual one
    hits = [int(i) for i in high if i >= FEWEST and _is_out(g, int(i))] if few else _hits_of_many(g)
    if len(hits) < AGAIN:
        return None
    first = hits[0]
    usual, top = float(np.median(g[max(0, first - WINDOW) : first])), float(np.max(g[hits]))
    evidence = {"usual_norm": usual, "highest_norm": top, "rows": float(len(hits))}
    cause = (
        f"the gradient's norm left its usual {usual:.3g} {len(hits)} times since step {int(t[first])} and "
        f"reached {top:.3g}; {outcome(place)}"
    )
    remedy = (
        f"clip the gradient a little above its usual norm (clip_norm = {_round(2 * usual)}), and lower the "
        "learning rate 3 to 10 times if it comes back"
    )
    return Finding("exploding-gradients", warn_if(fails(place)), int(t[first]), evidence, cause, remedy)


def _is_out(g: Values, i: int) -> bool:
    """Whether g at place `i` is far out of what the rows before show."""
    before = np.log(g[max(0, i - WINDOW) : i])
    middle = float(np.median(before))
    spread = float(np.median(np.abs(before - middle))) / 0.6745
    far = math.log(g[i]) - middle
    return far > max(SCORE * spread, math.log(TIMES))


def _hits_of_many(g: Values) -> list[int]:
    """The same for many rows, each against the block of `WINDOW` rows before its own."""
    n = len(g) // WINDOW
    if n < 1:
        return [i for i in range(FEWEST, len(g)) if _is_out(g, i)]
    blocks = np.log(g[: n * WINDOW].reshape(n, WINDOW))
    middle = np.median(blocks, axis=1)
    spread = np.median(np.abs(blocks - middle[:, None]), axis=1) / 0.6745
    bar = np.repeat(middle + np.maximum(SCORE * spread, math.log(TIMES)), WINDOW)
    later = np.log(g[WINDOW:])
    bar = np.pad(bar, (0, max(0, len(later) - len(bar))), mode="edge")[: len(later)]
    return [int(i) + WINDOW for i in np.flatnonzero(later > bar)]


def _with_depth(series: Series, facts: Facts, place: Standing) -> Finding | None:
    if len(series) < AGAIN or len(series.layers) < 3:
        return None
    o = series.values[-AGAIN:]
    if not np.all(np.isfinite(o)) or not np.all(o[:, [0, -1]] > 0):
        return None
    times = o[:, 0] / o[:, -1]
    rise = times ** (1 / (o.shape[1] - 1))
    if np.min(rise) < RISE or np.min(times) < DEEP:
        return None
    ratio, a_layer = float(np.median(times)), float(np.median(rise))
    evidence = {"first_over_last": ratio, "rise_a_layer": a_layer}
    first, last = (layer_words(series.layers[i], facts) for i in (0, -1))
    cause = (
        f"the gradient grows {a_layer:.2g} times a layer towards the input: at {first} it is "
        f"{ratio:.3g} times that at {last}; {outcome(place)}"
    )
    remedy = (
        "start with smaller weights (init = kaiming_normal for relu, xavier_normal for tanh), or put a norm "
        "between the layers (norm = layer or batch)"
    )
    return Finding(
        "exploding-gradients",
        warn_if(fails(place)),
        int(series.steps[-AGAIN]),
        evidence,
        cause,
        remedy,
        (series.layers[0],),
    )


def _round(x: float) -> str:
    return f"{x:.1g}" if x < 10 else f"{x:.0f}"


RULE = Rule(
    name="exploding-gradients",
    needs={"total_grad_norm": FEWEST + AGAIN},
    check=check,
    source="Pascanu et al. (2013), On the difficulty of training recurrent networks; scores: house rule",
)
