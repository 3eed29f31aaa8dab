"""Most updates are clipped: every step has one length, whatever the loss says.

Notation
    c        clipping norm: as the loop says, or the value at which the gradient's norm sits
    n        gradient norm before clipping, per step (else after clipping, due rows)  [n]
    share    of the steps that were clipped
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import Steps, common_rows, finite, typical
from diagnostics.evidence.strides import has_even_steps
from diagnostics.evidence.suffering import done, hampered, sibling_loss, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import one_digit, outcome, short
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

MOST = 0.5
"""Share of the updates that must be clipped (DIAGNOSES.md)."""

SAME = 1e-3
"""Relative spread below which norms are one and the same: clipping leaves only rounding (house rule)."""

FEWEST = 8
"""Rows below which a share says nothing (house rule)."""

STRONG = 3.0
"""Times the clipping norm that the usual norm must be before clipping starves a training (house rule)."""

EXPLODES = 100.0
"""Times its early level that the unclipped norm must reach to be an explosion (house rule)."""


@dataclass(frozen=True)
class Clipping:
    """What is known of the clipping of a training."""

    norm: float
    steps: Steps  # [n]
    cut: NDArray[np.bool_]  # whether the gradient of the step was longer  [n]
    raw: Values  # norms before clipping; empty when the loop does not say  [n]


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Clipping of most updates; a warning when something is hidden by it, or when it starves the training."""
    found = _clipping(signals, facts)
    if found is None or not np.mean(found.cut) > MOST:
        return
    state = standing(signals, facts)
    evidence = {"share_clipped": float(np.mean(found.cut)), "clip_norm": found.norm, "loss_now": state.now}
    if len(found.raw):
        evidence |= {"raw_norm": typical(found.raw), "raw_growth": _growth(found.raw)}
    cause = (
        f"{int(np.sum(found.cut))} of {len(found.cut)} gradients were cut to a norm of {short(found.norm)}"
    )
    if len(found.raw):
        cause += f", from {short(evidence['raw_norm'])} in the middle"
    if _explodes(evidence):
        cause += (
            f", and grew to {short(evidence['raw_growth'])} times their start: clipping hides an explosion"
        )
    suffers = hampered(state, sibling_loss(facts), done=done(signals, facts))
    severity = warn_if(suffers and _matters(evidence, facts))
    began = int(found.steps[np.argmax(found.cut)])
    cause = f"{cause}; {outcome(state)}"
    yield Finding("clipping-dominates", severity, began, evidence, cause, _remedy(evidence))


def _clipping(signals: Signals, facts: Facts) -> Clipping | None:
    seen = common_rows(signals, "total_grad_norm")
    n = seen.values[0].reshape(-1)
    if "raw_grad_norm" not in signals:
        norm = _sits_at(n)
        return Clipping(norm, seen.steps, np.abs(n - norm) <= SAME * norm, np.array([])) if norm > 0 else None
    series = signals["raw_grad_norm"]
    norm = float(facts.get("clip_norm", 0.0)) or _sits_at(n)
    if len(series) < FEWEST or not norm > 0:
        return None
    cut = np.isfinite(series.values) & (series.values > norm * (1 + SAME))
    return Clipping(norm, series.steps, cut, series.values)


def _sits_at(n: Values) -> float:
    """The value that more than half of the norms share and none exceeds; NaN when there is none."""
    some = finite(n)
    if len(some) < FEWEST:
        return math.nan
    top = float(np.max(some))
    return top if top > 0 and float(np.mean(some >= (1 - SAME) * top)) > MOST else math.nan


def _growth(raw: Values) -> float:
    """The late level of the norms before clipping over the early one; NaN where they are not finite."""
    some = finite(raw)
    part = max(2, len(some) // 10)
    early = typical(some[:part])
    return typical(some[-part:]) / early if early > 0 else math.nan


def _explodes(evidence: Mapping[str, float]) -> bool:
    return evidence.get("raw_growth", 0.0) > EXPLODES


def _matters(evidence: Mapping[str, float], facts: Facts) -> bool:
    """Whether the clipping can be why a training suffers: it hides an explosion, or starves the steps.

    Adam and its kin divide by the gradient's size, so that a shorter gradient makes the same step.
    """
    if _explodes(evidence):
        return True
    return not has_even_steps(facts) and evidence.get("raw_norm", math.inf) > STRONG * evidence["clip_norm"]


def _remedy(evidence: Mapping[str, float]) -> str:
    if _explodes(evidence):
        return "lower the learning rate or mend the initialisation: clipping hides this, but does not cure it"
    if "raw_norm" in evidence:
        usual = short(one_digit(evidence["raw_norm"]))
        return f"raise clip_norm to about {usual}, the usual norm, or leave it out"
    return "raise clip_norm until fewer than half of the updates are cut, or leave it out"


RULE = Rule(
    name="clipping-dominates",
    needs={"loss": 2},
    check=check,
    source="house rule after Pascanu et al. (2013): clipping is for rare cliffs, above the usual norm",
)
