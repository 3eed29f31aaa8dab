"""A training that is no better than an answer that looks at no input, after it has had its chance.

Notation
    path    way of the matrix that moved most, over its norm at the start
    u       norm of an update over the norm of its matrix          [due rows, matrices]
    g       norm of a gradient                                     [due rows, matrices]
    effort  steps so far, each counted by its learning rate over the highest one
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.first_loss import first_loss
from diagnostics.evidence.guessing import beats_guessing, has_validated
from diagnostics.evidence.improvement import soon_learns
from diagnostics.evidence.learning import Standing, may_fall, standing
from diagnostics.evidence.movement import effort, movement, standstill
from diagnostics.evidence.rows import common_rows
from diagnostics.evidence.trends import mean_blocks
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

PATIENCE = 300.0
"""Steps at the full learning rate that a training is given whose layers move as they should (house rule:
the plateaus at the start of deep sigmoid and of recurrent networks mostly end before)."""

SHORT_SHARE = 0.3
"""The same as a share of the planned steps, for short trainings: what lasts longer leaves no time."""

LONG_SHARE = 0.1
"""The same for long trainings: a plateau that a budget has room for may end (house rule)."""

UNPLANNED = 1000.0
"""Steps before which it is no more than a warning where nobody said how long the training is to be (house
rule: a plan of 10,000 steps)."""

LEAST = 60.0
"""The least it is given, however short the training is planned, and one that answers blindly."""

ENOUGH = 0.5
"""Times its first norm that the matrix that moves most must have travelled to have had its chance: below
that the training is given more time (house rule: five times what is needed to say anything)."""

SLOW = 2.0
"""Times the patience with a training that has moved less."""

HOPELESS = 40.0
"""The same for a training of which something shows that waiting is of no use."""

STANDSTILL = 28.0
"""The same for one whose weights cannot get anywhere: see `standstill`."""

HOPELESS_SHARE = 0.02
"""Share of the planned steps that it is given all the same: a schedule may still change what shows it (house
rule)."""

STANDS = ("no gradient", "no movement")
"""What says that a loss a little below that of guessing was so from the start, and will stay so."""

HUGE = 0.3
"""Update over weights from which a step replaces what was learnt (house rule: a hundred times the usual)."""

REPLACED = 1.0
"""Update over weights that one step must have reached in most matrices to have replaced them."""

JUMPED = 2.0
"""Times the trivial loss, or that of the start where that is higher, that the loss must have jumped to as
well: then nothing good came of it."""

BLIND = 1e-4
"""Spread of the answers over their size below which they are the same for all inputs (house rule: a
hundredth of what networks with a right scale begin with)."""

SEVERAL = 8
"""Samples in a batch from which on their answers can be compared (house rule)."""

GROWS = 3.0
"""Times its value at the start that the spread of the answers must have grown to count as coming up."""

ROWS = 3
"""Due rows that must agree on any of it."""

CONFIRM = 0.75
"""Share of the steps after which it must already have stood as still as now (DIAGNOSES.md: confirmed over a
second window)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A training loss at or above 0.97 of the trivial predictor's that has stood still for two windows."""
    now = standing(signals, facts)
    if not now.stuck or not math.isfinite(now.now) or math.isnan(now.trivial):
        return
    hopeless, moved = _hopeless(signals, facts, now), movement(signals)
    planned, waited = _planned(signals, facts), effort(signals, facts)
    if waited < _patience(hopeless, moved, planned):
        return
    earlier = signals.until(int(signals.last_step * CONFIRM))
    if not standing(earlier, facts).stuck or soon_learns(signals, now.trivial):
        return
    evidence = {
        "loss_now": now.now,
        "trivial_loss": now.trivial,
        "lowest_loss": now.best,
        "steps": float(signals.last_step + 1),
    }
    if math.isfinite(moved):
        evidence["movement"] = moved
    little = hopeless not in STANDS and beats_guessing(signals, facts, now.trivial)
    once = has_validated(signals, facts, now.trivial)
    said = _cause_of_little(now) if little else _cause(now, moved, hopeless)
    said += AGAIN if once else ""
    cause = f"after {signals.last_step + 1} steps the training loss is {now.now:.4g}, {said}"
    young = not (planned or hopeless) and waited < UNPLANNED  # of a plan that may be a long one
    severity = Severity.WARNING if little or once or young else Severity.FATAL
    yield Finding("not-learning", severity, 0, evidence, cause, _remedy(hopeless, signals))


def _planned(signals: Signals, facts: Facts) -> float:
    """The steps of the whole training; 0 while nobody knows."""
    done = signals.last_step + 1 if facts.get("ended") == "finished" else 0
    return float(facts.get("total_steps", done))


def _patience(hopeless: str, moved: float, planned: float) -> float:
    """Steps at the full learning rate to wait for: longer when little has moved, shorter without hope."""
    if hopeless:
        least = {"no gradient": STANDSTILL, "no movement": STANDSTILL, "blind": LEAST}.get(hopeless, HOPELESS)
        return max(least, HOPELESS_SHARE * planned)
    usual = min(PATIENCE, max(LEAST, SHORT_SHARE * planned)) if planned else PATIENCE
    patience = max(usual, LONG_SHARE * planned)
    return patience * SLOW if moved < ENOUGH else patience


def _hopeless(signals: Signals, facts: Facts, now: Standing) -> str:
    """Why waiting is of no use, as a key of `WHY`; empty when nothing says so."""
    still, rows = standstill(signals, facts), common_rows(signals, "update_norm", "weight_norm")
    if still or len(rows) < ROWS or not rows.layers:
        return still
    update, weight = rows.values
    u = np.minimum(update / np.maximum(weight, np.finfo(float).tiny), 1 / np.finfo(float).eps)
    if np.all(np.median(u[-ROWS:], axis=1) > HUGE):
        return "huge steps"
    loss = signals["loss"]
    highest = float(np.max(mean_blocks(loss.steps, loss.values, 50)))
    jumped = highest > JUMPED * max(now.trivial, first_loss(loss))
    if np.median(np.max(u, axis=0)) > REPLACED and jumped and not may_fall(signals, now.trivial):
        return "replaced"
    return "blind" if _is_blind(signals) else ""


def _is_blind(signals: Signals) -> bool:
    """Whether the model gives the same answer to every input, and ever more so or as much as before."""
    if not {"answer_spread", "answer_scale", "batch_size"} <= signals.keys():
        return False
    if float(np.median(signals["batch_size"].values)) < SEVERAL:
        return False
    spread, scale = signals["answer_spread"].values, signals["answer_scale"].values
    if min(len(spread), len(scale)) < ROWS:
        return False
    flat = bool(np.all(spread[-ROWS:] <= BLIND * scale[-ROWS:]))
    return flat and float(np.median(spread[-ROWS:])) <= GROWS * max(float(spread[0]), BLIND * float(scale[0]))


WHY = {
    "huge steps": "; its steps are as large as its weights",
    "replaced": "; its first steps replaced the weights, and nothing of use came after",
    "no gradient": "; no gradient arrives at any of its layers",
    "no movement": "; at this pace no layer moves as far as it must in the whole budget",
    "blind": "; it gives the same answer to every input",
}
"""What shows that waiting is of no use, as the end of the cause."""


AGAIN = "; in validation it was far better once, so that it may be so again"
"""What speaks for a training that has been seen to learn, as the end of the cause."""


def _cause(now: Standing, moved: float, hopeless: str) -> str:
    far = f", though a layer has moved {_times(moved)} times its size" if moved >= 1 else ""
    return (
        f"no better than the {now.trivial:.4g} of always giving the same answer{far}{WHY.get(hopeless, '')}"
    )


def _cause_of_little(now: Standing) -> str:
    return (
        f"hardly better than the {now.trivial:.4g} of always giving the same answer; that little is more "
        "than chance, so that it may learn yet"
    )


def _times(x: float) -> str:
    """A number of one or more in two digits that count, without an exponent."""
    return f"{x:.2g}" if x < 10 else f"{float(f'{x:.2g}'):.0f}"


def _remedy(hopeless: str, signals: Signals) -> str:
    rate = float(signals["learning_rate"].values[-1]) if "learning_rate" in signals else math.nan
    if hopeless in ("huge steps", "replaced"):
        to = f" from {rate:.2g} to about {rate / 100:.1g}" if rate > 0 else " a hundred times"
        return f"lower the learning rate{to}, and begin anew: these weights are lost"
    if hopeless == "no movement":
        to = f" from {rate:.2g} to about {rate * 100:.1g}" if rate > 0 else " a hundred times"
        return f"raise the learning rate{to}, and look at what makes the gradients so small"
    if hopeless in ("no gradient", "blind"):
        return (
            "begin anew with another init, activation or norm (init = kaiming_normal, "
            "activation = leaky_relu, norm = layer)"
        )
    return (
        "first check that inputs and labels belong together; then try learning rates ten times lower and "
        "higher, another init, and a norm"
    )


RULE = Rule(
    name="not-learning",
    needs={"loss": 40},
    check=check,
    source="DIAGNOSES.md: 0.97 of the trivial predictor's loss; patience and windows are house rules",
)
