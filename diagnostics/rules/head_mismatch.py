"""What the last module does to the answers fits neither the loss nor the targets.

Notation
    a       answers of the model in the due rows: least, largest, |sum - 1|, width K
    r       distance of the least and the largest answer a bounded head can give
    floor   log(1 + (K - 1) exp(-r)): the least cross-entropy of answers no further apart than r
    roof    log(K - 1 + exp(r)): the largest
    y       targets of the due rows: mean, spread, least, largest
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.heads import (
    RANGES,
    TOLERANCE,
    Answers,
    answers_of,
    extremes,
    meets_every_target,
    out_of_reach,
)
from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import recent
from diagnostics.evidence.suffering import HALFWAY, done, fails, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.words import outcome
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

ROWS = 3
"""Due rows in which the answers must show it."""

OUTSIDE = 0.1
"""Share of the targets' spread that they must reach past what the head can give."""

BINDS = 1.5
"""Times the floor of a bounded head below which a loss is held up by it."""

SURE, SPLIT = 0.05, 0.3
"""How near 0 and 1 single answers must come, and how far apart they must lie in the mean, to be sure."""

NEAR_FLOOR = 1.1
"""Times the floor of a second sigmoid below which a loss is held up by it."""

FEW = 3
"""Classes up to which other losses lie between floor and roof as well, so that more must be known."""

LOGIT = "give binary_cross_entropy_with_logits the raw answer, without a sigmoid before it"
LOGITS = "give the loss raw answers: cross_entropy applies the softmax itself"


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """At most one finding: the gravest mismatch of head, loss and targets."""
    a = answers_of(signals, facts)
    if a.rows < ROWS:
        return
    place = standing(signals, facts)
    if facts.get("task") == "other":
        return
    of_task = _of_targets if facts.get("task") == "regression" else _of_classes
    found = (
        _one_unit_softmax(a, place) or _no_gradient(signals, facts, a) or of_task(signals, facts, a, place)
    )
    if found is not None:
        yield found


def _one_unit_softmax(a: Answers, place: Standing) -> Finding | None:
    squashed = a.head in RANGES and a.head != "Softmax"
    if a.width != 1 or squashed or max(abs(a.least - 1), abs(a.largest - 1)) > 1e-6:
        return None
    cause = (
        "every answer is exactly 1: a softmax over a single unit has nothing to choose from; "
        f"{outcome(place)}"
    )
    remedy = (
        "use one output per class with cross_entropy, or one raw output with binary_cross_entropy_with_logits"
    )
    return Finding(
        "head-mismatch", Severity.FATAL, 0, numbers_of({"answer": 1.0, "answer_width": 1.0}), cause, remedy
    )


def _of_classes(signals: Signals, facts: Facts, a: Answers, place: Standing) -> Finding | None:
    return (
        _negative_cross_entropy(signals)
        or _numbers_for_classes(signals, a)
        or _sigmoid_twice(signals, a, place)
        or _bounded_logits(signals, facts, a, place)
    )


def _negative_cross_entropy(signals: Signals) -> Finding | None:
    loss = signals["loss"]
    below = np.flatnonzero(np.isfinite(loss.values) & (loss.values < -TOLERANCE))
    if len(below) < ROWS:
        return None
    least, _ = extremes(signals, "loss")
    cause = (
        f"the loss of a classification is negative (down to {least:.4g}): no cross-entropy can be. A loss "
        "that expects log-probabilities got something else"
    )
    remedy = "use cross_entropy on raw answers, or put log_softmax before nll_loss"
    step = int(loss.steps[below[0]])
    return Finding("head-mismatch", Severity.WARNING, step, numbers_of({"lowest_loss": least}), cause, remedy)


def _numbers_for_classes(signals: Signals, a: Answers) -> Finding | None:
    _, largest = extremes(signals, "y_max")
    if a.width != 1 or not largest > 1:
        return None
    cause = (
        f"the model gives one number, but the labels are classes up to {largest:.0f}: it treats their "
        "numbers as amounts, as if class 2 were twice class 1"
    )
    remedy = f"use {largest + 1:.0f} outputs, one per class, with cross_entropy"
    evidence = {"answer_width": 1.0, "largest_label": largest}
    return Finding("head-mismatch", Severity.WARNING, 0, numbers_of(evidence), cause, remedy)


def _no_gradient(signals: Signals, facts: Facts, a: Answers) -> Finding | None:
    """A loss from which no gradient at all comes back, although the optimizer holds every parameter."""
    if "total_grad_norm" not in signals or len(signals["total_grad_norm"]) < ROWS or facts.get("unoptimized"):
        return None
    if np.any(signals["total_grad_norm"].values[:ROWS] != 0.0) or not facts.get("trainable", 1):
        return None
    loss = float(signals["loss"].values[0])
    roof = math.log(max(a.width, 2)) + float(
        signals["answer_max"].values[0] - signals["answer_min"].values[0]
    )
    known = a.width > 1 and loss > roof
    of = f" of {loss:.4g} is no cross-entropy of the answers (at most {roof:.3g}), and" if known else ""
    cause = (
        f"the loss{of} has no gradient: something between the answers and the loss cannot be differentiated"
    )
    remedy = "give the loss the raw answers: argmax, rounding, detach() and .item() cut the gradient off"
    return Finding(
        "head-mismatch", Severity.WARNING, 0, numbers_of({"loss": loss, "gradient": 0.0}), cause, remedy
    )


def _sigmoid_twice(signals: Signals, a: Answers, place: Standing) -> Finding | None:
    """One answer between 0 and 1, as sure as it can be, and a loss that stays where a second sigmoid holds
    it."""
    if a.width != 1 or a.bounds != (0.0, 1.0) or not place.known or "answer_spread" not in signals:
        return None
    low, high = recent(signals["answer_min"], ROWS), recent(signals["answer_max"], ROWS)
    sure = low < SURE and high > 1 - SURE and recent(signals["answer_spread"], ROWS) > SPLIT
    best = math.log1p(math.exp(-1.0))
    floor = (best + math.log(2.0)) / 2
    lowest = _lowest(signals)
    if not (sure and best < lowest and place.now < place.trivial and lowest < NEAR_FLOOR * floor):
        return None
    if lowest < (1 - 1 / 10) * floor or place.now > NEAR_FLOOR * floor:
        return None
    cause = (
        f"the answers are sure (from {float(low):.2g} to {float(high):.2g}), but the loss stays at "
        f"{place.now:.3g}: a sigmoid before the sigmoid of the loss holds it above {floor:.3g} (for classes "
        "of equal size)"
    )
    evidence = {"floor": floor, "lowest_loss": lowest}
    return Finding("head-mismatch", Severity.WARNING, 0, numbers_of(evidence), cause, LOGIT)


def _bounded_logits(signals: Signals, facts: Facts, a: Answers, place: Standing) -> Finding | None:
    """A softmax, a sigmoid or a tanh before the cross-entropy: its loss has a floor that it cannot leave."""
    low, high = (0.0, 1.0) if a.are_shares else a.bounds
    if a.width < 2 or a.head.startswith("Log") or (math.isinf(low) and math.isinf(high)):
        return None
    harm = hampered(place, sibling_loss(facts), done=done(signals, facts))
    if math.isinf(high):
        cause = f"the last module cuts negative answers off (all answers are at least 0); {outcome(place)}"
        return Finding(
            "head-mismatch", warn_if(harm), 0, numbers_of({"least_answer": a.least}), cause, LOGITS
        )
    floor = math.log1p((a.width - 1) * math.exp(low - high))
    roof = math.log(a.width - 1 + math.exp(high - low))
    lowest = min(place.best, _lowest(signals))
    first = float(signals["loss"].values[0])
    if not (lowest >= floor - TOLERANCE and first <= roof + TOLERANCE):
        return None  # another loss, made for such answers
    held = place.known and place.now < BINDS * floor
    sure = a.are_shares and a.width > FEW
    what = "sum to 1, a softmax before the softmax of the cross-entropy" if a.are_shares else "have bounds"
    cause = (
        f"the answers lie between {low:.3g} and {high:.3g} and {what}: with {a.width} classes the loss "
        f"cannot fall below {floor:.3g}; {outcome(place)}"
    )
    evidence = {"floor": floor, "lowest_loss": lowest, "largest_answer": a.largest, "least_answer": a.least}
    return Finding("head-mismatch", warn_if(harm or held or sure), 0, numbers_of(evidence), cause, LOGITS)


def _lowest(signals: Signals) -> float:
    """The lowest mean of ten losses: single batches can lie by chance below the floor of none."""
    x = signals["loss"].values
    x = x[np.isfinite(x)]
    return (
        float(min(np.mean(part) for part in np.array_split(x, max(1, len(x) // 10)))) if len(x) else math.nan
    )


def _of_targets(signals: Signals, facts: Facts, a: Answers, place: Standing) -> Finding | None:
    return _broadcasts(signals, a) or _out_of_range(signals, facts, a, place)


def _broadcasts(signals: Signals, a: Answers) -> Finding | None:
    """Answers [B, 1] less targets [B] make [B, B]: the loss is then that of every answer with every
    target."""
    tellable, equal = meets_every_target(signals, a)
    if tellable < ROWS + 1 or equal < tellable:
        return None
    cause = (
        f"in each of {tellable} due steps the loss was that of every answer with every target of the batch: "
        "their shapes differ ([B, 1] and [B]), and the best answer is then the same for all"
    )
    remedy = "bring both to one shape before the loss: answers.squeeze(-1), or targets.unsqueeze(-1)"
    return Finding(
        "head-mismatch", Severity.WARNING, 0, numbers_of({"due_steps": float(tellable)}), cause, remedy
    )


def _out_of_range(signals: Signals, facts: Facts, a: Answers, place: Standing) -> Finding | None:
    """A head whose range does not hold the targets."""
    low, high = a.bounds
    if not all(name in signals for name in ("y_min", "y_max", "y_mean", "y_spread")):
        return None
    least, largest = extremes(signals, "y_min")[0], extremes(signals, "y_max")[1]
    mean, spread = float(recent(signals["y_mean"], 20)), float(recent(signals["y_spread"], 20))
    margin = OUTSIDE * spread
    if not (least < low - margin or largest > high + margin):
        return None
    grave = mean - spread < low or mean + spread > high
    bound = place.known and place.now > HALFWAY * out_of_reach(mean, spread, low, high)
    harm = fails(place) or (
        grave and (bound or hampered(place, sibling_loss(facts), done=done(signals, facts)))
    )
    cause = (
        f"the answers stay between {low:.3g} and {high:.3g}, but the targets lie between {least:.4g} and "
        f"{largest:.4g}; {outcome(place)}"
    )
    remedy = (
        "let the last layer answer without an activation, or bring the targets into its range (subtract "
        f"{mean:.3g}, divide by {spread:.3g})"
    )
    evidence = {
        "largest_answer": a.largest,
        "least_answer": a.least,
        "least_target": least,
        "largest_target": largest,
    }
    return Finding("head-mismatch", warn_if(harm), 0, numbers_of(evidence), cause, remedy)


RULE = Rule(
    name="head-mismatch",
    needs={"loss": ROWS, "answer_min": ROWS, "answer_max": ROWS, "answer_width": 1},
    check=check,
    source="arithmetic of cross-entropy over bounded answers; the margins are house rules",
)
