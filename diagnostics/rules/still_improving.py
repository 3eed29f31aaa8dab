"""A loss that still falls at the end of its budget.

Notation
    half    last half of the training's curve (`diagnostics/evidence/course.py`)
    gain    what the slope of the last quarter makes of it, as a share of what was learnt
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from diagnostics.evidence.course import CURVES, course
from diagnostics.evidence.forecast import foretold
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.improvement import improvement
from diagnostics.evidence.suffering import numbers_of
from diagnostics.evidence.words import short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

NEAR_THE_END = 0.9
"""Share of the planned steps from which on the end is near (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A significant fall over the last half that is worth more steps, when the budget is (nearly) spent."""
    planned = float(facts.get("total_steps", 0))
    ended = facts.get("ended") == "finished" or signals.last_step + 1 >= NEAR_THE_END * planned
    curve = course(signals)
    if curve is None or not ended:
        return
    gained = improvement(signals, curve, trivial_loss(signals, facts))
    if not gained.goes_on:
        return
    half = {"slope": gained.half.slope, "slope_low": gained.half.low, "slope_high": gained.half.high}
    evidence = numbers_of(
        {"loss_now": gained.now, **half, "trend": gained.half.z, "gain_share": gained.share}
    )
    for times, outlook in foretold(curve, gained.now).items():
        evidence[f"loss_at_{times:g}x"] = outlook.loss
        evidence[f"loss_at_{times:g}x_low"] = outlook.low
        evidence[f"loss_at_{times:g}x_high"] = outlook.high
    begin = int(curve.half.steps[0])
    cause = (
        f"the {CURVES[curve.name]} still falls: it is {short(gained.now)}, and the last half of "
        f"the training brought {100 * gained.share:.0f} % of all that was learnt"
    )
    yield Finding("still-improving", Severity.INFO, begin, evidence, cause, _remedy(signals, facts, evidence))


def _remedy(signals: Signals, facts: Facts, evidence: dict[str, float]) -> str:
    epochs = float(facts.get("epochs", math.nan))
    longer = (
        f"{1.5 * epochs:.0f} epochs instead of {epochs:.0f}" if epochs >= 2 else "half as many steps again"
    )
    if "loss_at_1.5x" not in evidence:
        return f"train longer, such as {longer} (epochs), or raise the learning rate"
    low, high = evidence["loss_at_1.5x_low"], evidence["loss_at_1.5x_high"]
    return (
        f"train longer (epochs): {longer} should bring the loss to about {short(evidence['loss_at_1.5x'])} "
        f"({short(low)} to {short(high)}), twice the steps to about {short(evidence['loss_at_2x'])}"
    )


RULE = Rule(
    name="still-improving",
    needs={},
    check=check,
    source="Theil-Sen slope and Mann-Kendall test; Domhan et al. (2015) for the power law of the forecast",
)
