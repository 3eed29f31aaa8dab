"""Steps so small that the budget ends before the loss has come down.

Notation
    u, w    norms of the updates and of the weights of each matrix          [due rows, matrices]
    reach   length of the way a matrix went over its first norm: of the middle one of those that move
    pace    reach over the steps so far: the mean update ratio
    share   of the trivial predictor's loss (or, where known, of what siblings won) that will be learnt
    rate    learning rate of a row; peak its highest value                  [n]
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import Curve, course, trend
from diagnostics.evidence.forecast import forecast
from diagnostics.evidence.learning import LONG, Standing, standing
from diagnostics.evidence.rows import common_rows, middle
from diagnostics.evidence.steps import rate_at, update_ratios
from diagnostics.evidence.strides import unreached_targets
from diagnostics.evidence.suffering import fails
from diagnostics.evidence.words import of_weights, one_digit, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

SLOW = 5e-4
"""Mean update ratio below which steps are small: half the usual 1e-3.

Source: Karpathy (2019), A recipe for training neural networks, for 1e-3; the half is a house rule.
"""

USUAL = 1e-3
"""The usual update ratio. Source: as above."""

NEAR = 0.3
"""Reach below which the weights are still close to where they began (house rule: 300 usual steps)."""

SAME = 0.5
"""Share of its last norm that a matrix must have had at first: one that began near zero has no scale."""

BEGUN = 0.25
"""Share of the planned steps after which the pace can be judged (house rule)."""

PATIENCE = 0.5
"""Share of the planned steps after which a loss that stands still may be told of (house rule)."""

GROWN = 2.0
"""Times the middle update ratio that the latest ones must be to have grown (house rule)."""

FEWEST = 60
"""Optimizer steps before anything is said (house rule)."""

LITTLE = 0.5
"""Share of the possible that must be out of reach at the budget's end (house rule)."""

STEADY = 0.5
"""Slope of the last half over that of the first from which on a fall is steady (house rule: it slows down by
less than a half, a training that settles by much more)."""

CLEAR = -2.33
"""Mann-Kendall score of the whole curve below which it falls (one-sided 1 %)."""

FEWEST_ROWS = 3
"""Due rows from which the pace can be told (house rule)."""

LARGEST_FACTOR = 1000.0
"""No advice raises the learning rate by more than this at once (house rule)."""


WARMING = 0.5
"""Share of its peak below which a rate that has only risen so far is warming up (house rule)."""

GONE = 0.01
"""Share of its peak below which the rate is as good as zero (house rule)."""


EARLY = 0.25
"""Share of the steps by which a rate that is gone went too soon (house rule)."""

MOST = 0.9
"""Share of the possible that is enough all the same (house rule: what is done needs no rate)."""


@dataclass(frozen=True)
class _Pace:
    """How far the weights went, and the mean update ratio."""

    reach: float
    ratio: float


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A rate that is gone too soon, or small steps, and a loss that will be high at the budget's end."""
    state, curve = standing(signals, facts), course(signals)
    if curve is None or not math.isfinite(state.now) or not _has_begun(signals, facts):
        return
    top = state.trivial if math.isfinite(state.trivial) else state.start
    bottom = min(float(facts.get("sibling_train_loss", 0.0)), state.best)
    if top <= bottom:
        return
    end = _at_the_end(curve, facts, state.now)
    evidence = {
        "loss_at_start": state.start,
        "loss_now": state.now,
        "loss_at_end": end,
        "share_learnt": (top - end) / (top - bottom),
    }
    far = list(_targets_are_far(signals, facts, state, evidence))
    yield from far
    yield from _rate_is_gone(signals, evidence)
    if _gone_at(signals) is None and not far:
        yield from _steps_are_small(signals, facts, curve, evidence)


def _targets_are_far(
    signals: Signals, facts: Facts, state: Standing, evidence: dict[str, float]
) -> Iterator[Finding]:
    """Targets far off unit scale that the answers do not reach in time, however well the steps are aimed."""
    targets = unreached_targets(signals, facts)
    if targets is None or not fails(state) or not state.now < state.start or not _has_waited(signals, facts):
        return
    mean, spread, steps = short(targets.mean), short(targets.spread), signals.last_step + 1
    cause = (
        f"targets of mean {mean} and spread {spread} are out of reach: the answers grew from a size of "
        f"{short(targets.first)} to {short(targets.now)} in {steps} steps; the loss is {short(state.now)} "
        f"({short(state.start)} at the start)"
    )
    remedy = f"standardise the targets (subtract {mean}, divide by {spread}), or raise learning_rate"
    rate = _peak(signals, facts)
    if math.isfinite(rate):
        factor = min(LARGEST_FACTOR, math.sqrt(targets.size / targets.now))  # layers grow together
        remedy += f" from {short(rate)} to about {short(one_digit(rate * factor))}"
    evidence = {
        **evidence,
        "target_mean": targets.mean,
        "target_spread": targets.spread,
        "answer_scale": targets.now,
    }
    yield Finding("learning-rate-too-low", Severity.WARNING, 0, evidence, cause, remedy)


def _rate_is_gone(signals: Signals, evidence: dict[str, float]) -> Iterator[Finding]:
    gone = _gone_at(signals)
    if gone is None or evidence["share_learnt"] > MOST:
        return
    rates = signals["learning_rate"].values
    peak = float(np.max(rates))
    evidence |= {"learning_rate_at_peak": peak, "learning_rate_now": float(rates[-1])}
    cause = (
        f"the learning rate fell from {short(peak)} to less than {short(GONE * peak)} by step {gone}, of "
        f"{signals.last_step + 1} steps; the loss is {short(evidence['loss_now'])} since "
        f"({short(evidence['loss_at_start'])} at the start)"
    )
    remedy = "let the learning rate decay over the whole budget (schedule = cosine), or keep it constant"
    yield Finding("learning-rate-too-low", Severity.WARNING, gone, evidence, cause, remedy)


def _steps_are_small(
    signals: Signals, facts: Facts, curve: Curve, evidence: dict[str, float]
) -> Iterator[Finding]:
    pace = _pace(signals)
    if pace is None or pace.ratio > SLOW or pace.reach > NEAR or evidence["share_learnt"] > LITTLE:
        return
    falls = _falls_steadily(curve)
    if not falls and not _stands_still(signals, facts):
        return
    rate = _peak(signals, facts)
    factor = min(LARGEST_FACTOR, USUAL / pace.ratio)
    evidence |= {"update_ratio": pace.ratio, "reach": pace.reach}
    remedy = f"raise the learning rate (learning_rate) about {short(one_digit(factor))} times"
    if math.isfinite(rate):
        evidence["learning_rate"] = rate
        higher = short(one_digit(rate * factor))
        remedy = f"raise the learning rate (learning_rate) from {short(rate)} to about {higher}"
    goes = "falls steadily but slowly" if falls else "has hardly moved"
    cause = (
        f"updates were {of_weights(pace.ratio)} in the mean (0.1 % is usual), "
        f"{100 * pace.reach:.2g} % in all; the loss {goes} and is {short(evidence['loss_now'])} "
        f"({short(evidence['loss_at_start'])} at the start)"
    )
    yield Finding("learning-rate-too-low", Severity.WARNING, 0, evidence, cause, remedy)


def _has_begun(signals: Signals, facts: Facts) -> bool:
    """Whether enough steps were made to judge the pace, and a warm-up is over."""
    done = signals.last_step + 1
    if done < max(FEWEST, BEGUN * float(facts.get("total_steps", 0))):
        return False
    if "learning_rate" not in signals or "learning_rate" not in facts:
        return True
    rate, peak = signals["learning_rate"].values, float(facts["learning_rate"])
    return bool(rate[-1] < np.max(rate) or rate[-1] >= WARMING * peak)


def _stands_still(signals: Signals, facts: Facts) -> bool:
    """Whether half of the budget is spent, and the steps do not grow: a plateau can end, and then they do."""
    if not _has_waited(signals, facts):
        return False
    r = middle(update_ratios(signals).values[0])
    r = r[np.isfinite(r)]
    return len(r) >= FEWEST_ROWS and float(np.median(r[-FEWEST_ROWS:])) < GROWN * float(np.median(r))


def _has_waited(signals: Signals, facts: Facts) -> bool:
    """Whether half of the budget, and enough, is spent."""
    enough = max(LONG, PATIENCE * float(facts.get("total_steps", 0)))
    return signals.last_step + 1 >= enough or facts.get("ended") == "finished"


def _pace(signals: Signals) -> _Pace | None:
    """How fast the matrices that move at all do so; None when none does or it was not measured."""
    rows = common_rows(signals, "update_norm", "weight_norm")
    if not rows.layers or len(rows) < FEWEST_ROWS:
        return None
    u, w = (np.where(np.isfinite(values), values, 0.0) for values in rows.values)
    spans = np.diff(rows.steps)[:, None]
    path = u[0] + np.sum((u[1:] + u[:-1]) / 2 * spans, axis=0)
    fit = (path > 0) & (w[0] > 0) & (w[0] >= SAME * w[-1])
    if not fit.any():
        return None
    reach = float(np.median(path[fit] / w[0][fit]))
    return _Pace(reach, reach / float(rows.steps[-1] + 1))


def _falls_steadily(curve: Curve) -> bool:
    """Whether the whole curve and its last half fall, the last half not much slower than the first."""
    n = len(curve)
    first = trend(Curve(curve.name, curve.steps[: n // 2], curve.values[: n // 2]))
    last = trend(curve.half)
    return trend(curve).z < CLEAR and last.slope < STEADY * first.slope < 0


def _at_the_end(curve: Curve, facts: Facts, now: float) -> float:
    """The loss at the budget's end: foretold, or as it is when that is reached or nothing foretells it."""
    done, planned = float(curve.steps[-1] + 1), float(facts.get("total_steps", 0))
    if planned <= done:
        return now
    straight = now + min(trend(curve.half).slope, 0.0) * (planned - done)
    law = forecast(curve)
    return straight if law is None else min(straight, law.at(planned / done).loss)


def _gone_at(signals: Signals) -> int | None:
    """The last step with a rate worth the name, when that was long ago; else None."""
    if "learning_rate" not in signals:
        return None
    rates = signals["learning_rate"]
    peak = float(np.max(rates.values, initial=0.0))
    if not peak > 0:
        return None
    gone = int(rates.steps[np.flatnonzero(rates.values >= GONE * peak)[-1]])
    return gone if gone + FEWEST < signals.last_step and gone < EARLY * signals.last_step else None


def _peak(signals: Signals, facts: Facts) -> float:
    if "learning_rate" in signals:
        return float(np.max(signals["learning_rate"].values))
    return rate_at(signals, facts, signals.last_step)


RULE = Rule(
    name="learning-rate-too-low",
    needs={"update_norm": FEWEST_ROWS, "weight_norm": FEWEST_ROWS, "loss": FEWEST},
    check=check,
    source="Karpathy's rule of thumb of 1e-3 for update ratios; house rules for the rest",
)
