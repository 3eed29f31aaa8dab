"""A training that has come to rest well above what is possible, in training and validation alike.

Notation
    now, v    level of the training and the validation loss at the end
    T         loss of the trivial predictor, or the level at the start
    best      lowest training loss of the study's other trials
    share     (T - now) / (T - best): of what others have learnt, how much this one has
    gap       v - now
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import Curve, course, evaluations
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.improvement import improvement, share_learnt
from diagnostics.evidence.words import short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

LITTLE = 0.6
"""Share of what siblings learnt below which a training at rest underfits (house rule: at four fifths many
trials of a healthy search would)."""

ALONE = 0.3
"""The same against a loss of 0, where there are no siblings: a hint alone, since noise in the targets may
be all that is left (house rule)."""

CLOSE = 0.25
"""Part of what is not learnt that the gap may be: a wider one is no underfitting (house rule)."""


@dataclass(frozen=True)
class _Reached:
    """Where the training came to rest, the best that is known, and what share of the way that is."""

    now: float
    best: float
    share: float
    at_rest_since: int


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A flat end above what siblings reach (or above most of what could be learnt), without a gap."""
    curve = course(signals)
    trivial = trivial_loss(signals, facts)
    if curve is None or facts.get("ended", "finished") != "finished" or not math.isfinite(trivial):
        return
    reached = _reached(signals, facts, curve, trivial)
    if reached is None or _has_gap(signals, facts, reached, trivial):
        return
    siblings = "sibling_train_loss" in facts
    if not 0 < reached.share < (LITTLE if siblings else ALONE):
        return
    share = share_learnt(reached.now, float(curve.values[0]), trivial)
    evidence = {"loss_now": reached.now, "trivial_loss": trivial, "share_learnt": share}
    if siblings:
        evidence["share_of_siblings"] = reached.share
        evidence["sibling_train_loss"] = reached.best
        than = f"other trials of the study reached {short(reached.best)}"
    else:
        than = "whether more can be learnt, no sibling tells"
    cause = (
        f"the training loss came to rest at {short(reached.now)}, {100 * reached.share:.0f} % of the way "
        f"from the trivial predictor's {short(trivial)} to {short(reached.best)}, and validation with it; "
        f"{than}"
    )
    severity = Severity.WARNING if siblings else Severity.INFO
    yield Finding("underfitting", severity, reached.at_rest_since, evidence, cause, _remedy(facts))


def _reached(signals: Signals, facts: Facts, curve: Curve, trivial: float) -> _Reached | None:
    """Where the curve came to rest; None while it still improves or is no better than trivial."""
    gained = improvement(signals, curve, trivial)
    if gained.goes_on or gained.learnt <= 0:
        return None
    best = min(float(facts.get("sibling_train_loss", 0.0)), gained.now)
    if trivial <= best:
        return None
    near = np.flatnonzero(curve.values <= gained.now + 0.1 * gained.learnt)
    since = int(curve.steps[near[0]]) if len(near) else int(curve.steps[-1])
    return _Reached(gained.now, best, (trivial - gained.now) / (trivial - best), since)


def _has_gap(signals: Signals, facts: Facts, reached: _Reached, trivial: float) -> bool:
    v = evaluations(signals, "val_loss")
    if not len(v):
        return False
    now = float(np.median(v.values[-3:]))
    if now < float(facts.get("sibling_val_loss", -math.inf)):
        return True  # validation is the study's best: nothing is missing
    return now - reached.now > CLOSE * (reached.now - reached.best)


def _remedy(facts: Facts) -> str:
    ways = []
    if float(facts.get("dropout", 0.0)) > 0:
        ways.append(f"lower dropout from {short(float(facts['dropout']))} to 0")
    if float(facts.get("weight_decay", 0.0)) > 0:
        ways.append(f"lower weight_decay from {short(float(facts['weight_decay']))} to 0")
    ways += ["try other learning rates around this one", "a wider or deeper model"]
    return ", ".join(ways[:-1]) + f", or {ways[-1]}"


RULE = Rule(
    name="underfitting",
    needs={},
    check=check,
    source="Goodfellow et al. (2016), Deep Learning, 5.2: high training error without a gap; house rules",
)
