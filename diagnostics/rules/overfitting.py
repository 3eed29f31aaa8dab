"""A validation loss that rises from its best and stays there, or is left far behind by the training loss.

Notation
    v, e    validation and training loss per evaluation            [n]
    g       gap v - e                                              [n]
    rise    from the best validation loss to its level at the end; see `diagnostics/evidence/validation.py`
    learnt  what the training loss won against the trivial predictor (or the start)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.learning import standing
from diagnostics.evidence.suffering import numbers_of, warn_if
from diagnostics.evidence.trends import noise
from diagnostics.evidence.validation import FEWEST, SIGMAS, Rise, paired, rise
from diagnostics.evidence.words import short
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

WIDE = 0.5
"""Share of what was learnt in training that the gap must reach to be worth a word (house rule)."""

CARRIED = 0.4
"""Share of what was learnt that must carry over to validation, or the gap is a warning (house rule)."""

HALF = 0.5
"""The same where validation has risen as well, if by little (house rule: two signs together)."""

HOLDS = 0.02
"""Validation accuracy that may be lost by a rise that only costs confidence (house rule: two answers in a
hundred)."""

SEVERE = 0.2
"""Share of what validation had learnt above which a rise matters even then (house rule)."""

TOGETHER = 0.5
"""Part of the rise that the training loss may share before it is no overfitting (house rule)."""

DROPOUT, MOST_DROPOUT = 0.3, 0.6
"""The dropout to begin with, and the most that is ever advised.

Source: Srivastava et al. (2014), Dropout, find 0.2 to 0.5 to be best.
"""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A rise of the validation loss; else a wide gap while it does not rise."""
    trivial = trivial_loss(signals, facts)
    risen = rise(signals, trivial)
    if risen is None:
        yield from _of_gap(signals, facts, trivial)
    elif _trained_on(signals, facts, risen):
        yield _of_rise(signals, facts, risen)


def _of_rise(signals: Signals, facts: Facts, risen: Rise) -> Finding:
    evidence = {
        "val_loss_best": risen.best,
        "val_loss_now": risen.now,
        "val_loss_noise": risen.s,
        "share_lost": risen.lost,
        "trend": risen.z,
    }
    cause = (
        f"the validation loss was best at step {risen.step} ({short(risen.best)}) and has risen to "
        f"{short(risen.now)} since, {short((risen.now - risen.best) / risen.s)} times its noise"
    )
    held = _accuracy_lost(signals, risen)
    if not math.isnan(held):
        evidence["val_accuracy_lost"] = held
    if held < HOLDS:
        cause += "; the accuracy has held, so what is lost is the measure of its confidence"
    train, _ = paired(signals, "train_loss", "val_loss")
    if len(train):
        evidence["train_loss_now"] = float(np.median(train.values[-3:]))
        cause += f", while the training loss went on to {short(evidence['train_loss_now'])}"
    matters = risen.lost > SEVERE if held < HOLDS else risen.matters
    matters = matters or _carried(signals, facts) < HALF
    severity = warn_if(matters)
    at = f"step {risen.step}{_epoch(risen.step, facts)}"
    remedy = f"stop at {at} (patience); to get beyond that, {_firmer(facts)}"
    return Finding("overfitting", severity, risen.step, numbers_of(evidence), cause, remedy)


def _trained_on(signals: Signals, facts: Facts, risen: Rise) -> bool:
    """Whether the training learns, and its loss did not rise as well: else something broke."""
    state = standing(signals, facts)
    if state.stuck or state.worse:
        return False
    train, _ = paired(signals, "train_loss", "val_loss")
    if len(train) <= risen.place:
        return True
    then = float(np.median(train.values[max(0, risen.place - 1) : risen.place + 2]))
    now = float(np.median(train.values[-3:]))
    return now - then < TOGETHER * (risen.now - risen.best)


def _of_gap(signals: Signals, facts: Facts, trivial: float) -> Iterator[Finding]:
    train, val = paired(signals, "train_loss", "val_loss")
    if len(train) < FEWEST:
        return
    g = val.values - train.values
    start = trivial if math.isfinite(trivial) else float(val.values[0])
    e, v, now = (float(np.median(x[-3:])) for x in (train.values, val.values, g))
    learnt, carried = start - e, max(start - v, 0.0)
    if learnt <= (1 - WIDE) * abs(start) or now < WIDE * learnt or now < SIGMAS * noise(val.values):
        return
    began = int(val.steps[np.flatnonzero(g >= now / 2)[0]])
    evidence = {"gap": now, "share_carried_over": carried / learnt, "train_loss_now": e, "val_loss_now": v}
    cause = (
        f"the training loss is {short(e)} and the validation loss {short(v)}: of what was learnt, "
        f"{100 * carried / learnt:.0f} % carries over to validation, which has not risen"
    )
    remedy = f"no need to stop earlier; to narrow the gap, {_firmer(facts)}"
    severity = warn_if(carried < CARRIED * learnt)
    yield Finding("overfitting", severity, began, evidence, cause, remedy)


def _carried(signals: Signals, facts: Facts) -> float:
    """Share of what the training loss won against the trivial one that validation won too; NaN unknown."""
    trivial = trivial_loss(signals, facts)
    train, val = paired(signals, "train_loss", "val_loss")
    if not len(train) or not math.isfinite(trivial):
        return math.nan
    e, v = (float(np.median(x.values[-3:])) for x in (train, val))
    return (trivial - v) / (trivial - e) if e < (1 - WIDE) * trivial else math.nan


def _accuracy_lost(signals: Signals, risen: Rise) -> float:
    """Validation accuracy at the best loss less that of the end; NaN where it is not measured."""
    _, accuracy = paired(signals, "val_loss", "val_accuracy")
    if len(accuracy) <= risen.place:
        return math.nan
    around = accuracy.values[max(0, risen.place - 1) : risen.place + 2]
    return float(np.median(around) - np.median(accuracy.values[-3:]))


def _epoch(step: int, facts: Facts) -> str:
    per_epoch = float(facts.get("steps_per_epoch", 0))
    return f", epoch {max(1, round((step + 1) / per_epoch))}" if per_epoch > 0 else ""


def _firmer(facts: Facts) -> str:
    """How to regularise, from what is set already; where that is unknown, with what."""
    dropout, decay = float(facts.get("dropout", 0.0)), float(facts.get("weight_decay", 0.0))
    usual = 0.05 if facts.get("decoupled_decay") else 1e-3
    more = DROPOUT if dropout < DROPOUT else min(MOST_DROPOUT, dropout + 0.1)
    ways = []
    if "dropout" not in facts:
        ways.append(f"try a dropout of about {short(more)}")
    elif dropout < MOST_DROPOUT:
        ways.append(f"raise dropout from {short(dropout)} to about {short(more)}")
    if "weight_decay" not in facts:
        ways.append(
            f"a weight_decay of about {short(usual)}" if ways else f"try a weight_decay of {short(usual)}"
        )
    else:
        ways.append(f"raise weight_decay from {short(decay)} to about {short(max(usual, 10 * decay))}")
    return " or ".join(ways) + ", use a smaller model, or more or augmented data"


RULE = Rule(
    name="overfitting",
    needs={"val_loss": FEWEST},
    check=check,
    source="Prechelt (1998), Early stopping: but when?; Mann-Kendall trend against the curve's own noise",
)
