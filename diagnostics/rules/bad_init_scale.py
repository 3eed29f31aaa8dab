"""Weights drawn far too large or too small: the first answers are wild, or the signal dies on its way.

Notation
    l0      median loss of the first three steps, or the first one where that rose at once
    ref     loss of an answer of 0: the trivial loss of classes, E[y^2] of numbers
    a       root mean square of the first answers (of classes: about their mean)
    x       root mean square of the inputs
The change of the signal along the depth is that of `diagnostics/evidence/depth.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.depth import INPUTS, LARGEST, Depth, along_depth, input_size, recurrent_gain
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.learning import LEARNT, Standing, standing
from diagnostics.evidence.rows import recent
from diagnostics.evidence.strides import renews_weights
from diagnostics.evidence.suffering import HALFWAY, QUARTER, done, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.words import listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

HIGH = 3.0
"""Times the loss of an answer of 0 from which the first loss is far too high (DIAGNOSES.md)."""

LOUD = 2.0
"""Answers of classes with this root mean square must be there to explain such a loss."""

ROWS = 3
"""First losses, and last evaluations, of which the median counts."""

AT_ONCE = 2.0
"""Times the first loss that the next ones are only after updates that made them so (house rule: batches
differ by less)."""

DEEP = 4
"""Hidden layers from which sigmoids, whose slope is a quarter at most, leave nothing of a signal (1/256)."""

DRAW = (
    "use an init that fits the activation (kaiming_normal for relu and its kind, xavier_normal for tanh and "
    "sigmoid)"
)

WHIRLS = 4.0
"""Least factor of the recurrent weights from which a state is only its own echo (house rule: orthogonal ones
have 1, torch's own start about 0.6)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding when the first answers or the signal along the depth are far off their scale."""
    start = along_depth(signals, facts)
    ratio = _first_loss(signals, facts, start)
    echo, recurrent = recurrent_gain(signals)
    if not (start.drifts or ratio > HIGH or echo > WHIRLS):
        return
    place = standing(signals, facts)
    evidence = {"first_loss_over_trivial": ratio, "gain_per_layer": start.gain, "drift": start.drift}
    evidence |= {"recurrent_gain": echo} if recurrent else {}
    if "answer_scale" in signals:
        evidence["answer_scale"] = float(signals["answer_scale"].values[0])
    head = str(facts.get("head_layer", ""))
    layers = (recurrent,) if echo > WHIRLS else start.off or ((head,) if head else ())
    yield Finding(
        "bad-init-scale",
        warn_if(_suffers(signals, facts, start, ratio, place)),
        int(signals["loss"].steps[0]),
        numbers_of(evidence),
        _cause(signals, facts, start, ratio, echo, place),
        _remedy(facts, start, ratio, echo),
        layers,
    )


def _first_loss(signals: Signals, facts: Facts, start: Depth) -> float:
    """The first loss over that of an answer of 0; NaN when unknown, or when not the weights explain it."""
    loss = signals["loss"]
    ref = trivial_loss(signals, facts)
    if loss.steps[0] > 0 or not ref > 0:
        return math.nan
    a = float(signals["answer_scale"].values[0]) if "answer_scale" in signals else math.nan
    if facts.get("task") == "regression":
        if "y_mean" not in signals or "y_spread" not in signals:
            return math.nan
        mean, spread = float(signals["y_mean"].values[0]), float(signals["y_spread"].values[0])
        ref = max(ref, spread * spread) + mean * mean
        quiet = a * a < ref
    else:
        quiet = a < LOUD
    x = input_size(signals)
    if quiet or (x > INPUTS and not (start.drifts or a / x > INPUTS)):
        return math.nan
    first, usual = float(loss.values[0]), float(np.median(loss.values[:ROWS]))
    return (usual if usual <= AT_ONCE * first else first) / ref


def _suffers(signals: Signals, facts: Facts, start: Depth, ratio: float, place: Standing) -> bool:
    """Whether it learns little, or came to it late, or has learnt what is of no use elsewhere."""
    if renews_weights(signals, facts):
        return False  # the first steps left nothing of such a start: they are what it suffers from
    if hampered(place, sibling_loss(facts), QUARTER, done(signals, facts)):
        return True
    late = start.is_extreme and place.known and _late(signals, place)
    return late or (ratio > HIGH and _validates_badly(signals, place))


def _late(signals: Signals, place: Standing) -> bool:
    """Whether the first third of the steps so far brought nothing."""
    loss = signals["loss"]
    first = loss.values[loss.steps <= loss.steps[-1] / 3]
    return bool(float(np.median(first[len(first) // 2 :])) > LEARNT * place.trivial)


def _validates_badly(signals: Signals, place: Standing) -> bool:
    """Whether what was learnt from such a start is of little use elsewhere."""
    if "val_loss" not in signals or len(signals["val_loss"]) < ROWS:
        return False
    return bool(float(recent(signals["val_loss"], ROWS)) > HALFWAY * place.trivial)


def _cause(signals: Signals, facts: Facts, start: Depth, ratio: float, echo: float, place: Standing) -> str:
    parts = []
    if ratio > HIGH:
        said = (
            f"the first loss is {float(signals['loss'].values[0]):.4g}, {ratio:.3g} times that of an answer "
            "of 0"
        )
        a = float(signals["answer_scale"].values[0]) if "answer_scale" in signals else math.nan
        said += f" (the first answers are of size {a:.3g})" if math.isfinite(a) else ""
        parts.append(said)
    if start.drifts:
        way = "grows" if start.gain > 1 else "shrinks"
        size = start.gain if start.gain > 1 else 1 / start.gain
        parts.append(
            f"at the start the signal {way} {size:.3g} times in each layer, "
            f"{math.exp(min(LARGEST, abs(start.log_drift))):.2g} times over {start.layers} layers"
        )
    if echo > WHIRLS:
        parts.append(f"the recurrent weights multiply the state by at least {echo:.2g} in each place")
    where = f" (far off: {listed(start.off, facts)})" if start.off else ""
    return f"{' and '.join(parts)}{where}; {outcome(place)}"


def _remedy(facts: Facts, start: Depth, ratio: float, echo: float) -> str:
    if echo > WHIRLS:
        return f"use init = orthogonal for the recurrent weights, or divide them by about {echo:.2g}"
    if not start.drifts:
        return f"{DRAW}, and divide the weights of the last layer by about {math.sqrt(max(ratio, 1)):.2g}"
    scaled = f"{DRAW}, or the present one scaled by about {1 / start.gain:.2g}"
    if start.gain < 1 and start.layers >= DEEP and "Sigmoid" in str(facts.get("activations", "")).split(","):
        return (  # by design, and so first
            "use activation = relu (with init = kaiming_normal) or norm = batch or layer instead: sigmoids "
            "in depth let the signal fade, whatever the init; or take fewer layers (depth)"
        )
    return f"{scaled}; norm = batch or layer makes the scale matter less"


RULE = Rule(
    name="bad-init-scale",
    needs={"loss": 1},
    check=check,
    source="He et al. (2015), Delving deep into rectifiers; factors are house rules",
)
