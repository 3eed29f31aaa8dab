"""A loss that stands still high above what other trials of the study reach.

Notation
    m       means of the training loss over equal spans of the last half   [blocks]
    level   loss of the trivial predictor, or of the start where that is unknown
    floor   best training loss of the other trials; 0 where there is none
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.course import course
from diagnostics.evidence.improvement import improvement
from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.movement import effort
from diagnostics.evidence.suffering import sibling_loss, warn_if
from diagnostics.evidence.trends import SIGNIFICANT, mann_kendall, mean_blocks, theil_sen
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

STEPS = 400.0
"""Steps at the full learning rate before a standstill is long (house rule)."""

BLOCKS = 24
"""Spans the last half is brought down to for its trend."""

HIGH = 0.3
"""Share of the way from the floor up to the trivial loss above which a training stands high (house rule)."""

NEAR = 0.1
"""The same for the validation loss: whoever is that near to the best of the others has no plateau."""

GAIN = 0.05
"""Share of that way that a further time as long must bring for it to be no standstill (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """No significant slope in the last half, clearly above what is known to be possible."""
    place = standing(signals, facts)
    if not place.learns or effort(signals, facts) < STEPS:
        return
    level = place.trivial if math.isfinite(place.trivial) else place.start
    sibling = sibling_loss(facts)
    floor = sibling if math.isfinite(sibling) else min(0.0, place.best)
    way = level - floor
    if not way > 0 or (place.now - floor) / way < HIGH:
        return
    loss = signals["loss"]
    half = loss.steps >= loss.steps[-1] // 2
    x = loss.values[half]
    if not np.all(np.isfinite(x)):
        return
    m = mean_blocks(loss.steps[half], x, BLOCKS)
    if mann_kendall(m) < -SIGNIFICANT and -theil_sen(m) * 2 * len(m) > GAIN * way:
        return
    curve = course(signals)
    gained = None if curve is None else improvement(signals, curve, place.trivial)
    if gained is None or gained.goes_on:
        return
    grave = math.isfinite(sibling) and not _validates_well(signals, facts, level)
    evidence = {"loss_now": place.now, "gain_share": gained.share, "trivial_loss": level}
    if math.isfinite(sibling):
        evidence["sibling_train_loss"] = sibling
    first = int(loss.steps[half][0])
    cause = _cause(place, first, sibling)
    yield Finding("plateau", warn_if(grave), first, evidence, cause, REMEDY)


REMEDY = (
    "try a learning rate 3 times higher or lower, a schedule that lowers it (schedule = cosine), less "
    "dropout and weight decay, or a larger model (width, depth)"
)


def _validates_well(signals: Signals, facts: Facts, level: float) -> bool:
    """Whether the validation loss is near the best of the other trials."""
    best = float(facts.get("sibling_val_loss", math.nan))
    if "val_loss" not in signals or not math.isfinite(best):
        return False
    return float(np.min(signals["val_loss"].values)) - best < NEAR * (level - best)


def _cause(place: Standing, first: int, sibling: float) -> str:
    other = f"; other trials of this study reached {sibling:.4g}" if math.isfinite(sibling) else ""
    guess = f", {place.trivial:.4g} for guessing" if math.isfinite(place.trivial) else ""
    return f"the training loss has stood still at {place.now:.4g} since step {first}{guess}{other}"


RULE = Rule(
    name="plateau",
    needs={"loss": 200},
    check=check,
    source="Mann-Kendall test and Theil-Sen slope (`diagnostics/evidence/trends.py`); shares are house rules",
)
