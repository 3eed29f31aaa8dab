"""A loss that left its level upwards and does not come back.

Notation
    l       training loss per row; a late row is the median of a block of steps             [n]
    m       medians of blocks of BLOCK rows                                                 [n // BLOCK]
    start   loss of the first step
    level   the higher of `start` and the loss of the trivial predictor, where that is known; the usual loss
            of the first steps instead of `start` where that may be low by chance: where the trivial loss is
            unknown, or one of the losses after the rise is as low
    bar     level + (FACTOR - 1) |level|; without a trivial loss, for a level of one batch, NOISE noise of m
            instead of |level| where that is more
    rise    first block of the last run above the bar
    best    lowest block median before the rise
    width   blocks from the last one near `best` to the rise
    u       norm of all updates over the norm of all weights                                [due rows]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.first_loss import BLOCK, first_loss, usual_first_loss
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.rows import begin_of_last_run
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall, noise, theil_sen
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Series, Signals

NOISE = 6.0
"""How many deviations of the block medians count as a jump (house rule: 6 sigma, no false alarm in
a million blocks of independent noise)."""

FACTOR = 1.5
"""How far above its level at the start the loss must be (house rule: a catapult or a warm-up stays
near the start; twice the start's loss over many blocks does not)."""

CONFIRM = 6
"""Blocks that must all lie above the bar before a training is given up; and never fewer than the
blocks the rise took (DIAGNOSES.md: no recovery within twice the width of the jump)."""

OVERWHELMING = ((100.0, 20), (10.0, 30))
"""Times its level that the loss must have been for so many rows on end, not falling, to be given up
sooner (house rule: a catapult that goes so far up is on its way back after so many steps)."""

VIOLENT = 0.3
"""Update over weights in any due row that must stand beside it where the trivial loss is unknown (house
rule: a hundred times the usual; the loss of a first batch alone may be small by chance)."""

LOST = 10.0
"""Times its level that the loss must be to be fatal without that where the trivial loss is unknown: its level
at the start, or the lowest it came down to (house rule: in a game of two models, such as a GAN, the loss of
one rises as the other learns)."""

CLIMBS = 2
"""Times CONFIRM for which a loss that still climbs must have been above the bar, however slowly it got there
(house rule: a slow rise is as wide as it is long, and a catapult climbs for a few steps)."""

FAR = 3.0
"""Times its level that a loss must have climbed to then (house rule: far more than a restless start)."""

CLIMBING = 2.33
"""Mann-Kendall score above which the loss counts as climbing (one-sided 1 %)."""

YOUNG = 4
"""Times CONFIRM for which a rise that has passed its peak is given time to fall (house rule)."""

TURNED = 0.7
"""Share of its peak below which a rise has turned (house rule: the noise of block medians is far less)."""

FALLING = -1.64
"""Mann-Kendall score below which the loss counts as falling (one-sided 5 %)."""

RETURN = 2.0
"""A falling loss is on its way back when its slope would bring it below the bar in so many times the
blocks it has spent above (house rule: chance falls are too slow, catapults much faster)."""

REMEDY = "lower the learning rate by a factor of 3 to 10, add warm-up, or clip the gradient"


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A rise of the loss above its level at the start that was confirmed and is not falling again."""
    loss = signals["loss"]
    if not np.all(np.isfinite(loss.values[-BLOCK:])):
        return  # a case for the rule of non-finite values
    start, trivial = float(loss.values[0]), trivial_loss(signals, facts)
    known = math.isfinite(trivial) and facts.get("task") != "other"
    level = max(start, trivial) if known else usual_first_loss(loss)
    sure = known or _is_violent(signals)
    found = _confirmed(loss, start, level, known)
    if known and found is not None and (usual := first_loss(loss, since=found[0])) > level:
        found = _confirmed(loss, start, usual, known)
    if found is None and level > 0:
        found = _overwhelming(loss, level, sure)
    if found is None:
        return
    first, best = found
    step, steps = int(loss.steps[first]), int(loss.steps[-1] - loss.steps[first]) + 1
    now = float(np.median(loss.values[first:][-BLOCK * CONFIRM :]))
    evidence = {"loss_at_start": start, "lowest_loss": best, "loss_now": now, "steps_above": float(steps)}
    cause = (
        f"the loss left its level at step {step}: it was {start:.4g} at the start and {best:.4g} at best, "
        f"and has stayed near {now:.4g} for {steps} steps"
    )
    fatal = sure or now > LOST * level > 0 or _has_lost(loss, facts, first, now)
    cause += "" if fatal else UNSURE
    yield Finding("diverging", Severity.FATAL if fatal else Severity.WARNING, step, evidence, cause, REMEDY)


UNSURE = (
    "; without the loss of guessing nobody can say whether that is harm (one of two models that play against "
    "each other may well lose)"
)


def _has_lost(loss: Series, facts: Facts, first: int, now: float) -> bool:
    """Whether what the loss had come down to is lost again; in a game of two models nobody knows."""
    before = _block_medians(loss)[: first // BLOCK]
    low = float(np.min(before, initial=math.inf))
    return facts.get("task") != "other" and now > LOST * low > 0


def _confirmed(loss: Series, start: float, level: float, sure: bool) -> tuple[int, float] | None:
    """The row of a rise that lasted, and the lowest loss before it."""
    m = _block_medians(loss)
    if len(m) < CONFIRM or not np.all(np.isfinite(m)):
        return None
    bar = level + (FACTOR - 1) * max(abs(level), 0.0 if sure else NOISE * noise(m))
    rise = begin_of_last_run(m > bar)
    before, tail = m[:rise], m[rise:]
    best = float(np.min(before, initial=start))
    calm = np.flatnonzero(before <= best + NOISE * noise(before))
    width = rise - int(calm[-1]) if len(calm) else 1
    if _climbs_on(tail, level):
        return rise * BLOCK, best
    if len(tail) < max(CONFIRM, 2 * width) or _comes_back(tail, bar, CONFIRM) or _has_turned(tail, width):
        return None
    return rise * BLOCK, best


def _overwhelming(loss: Series, level: float, sure: bool) -> tuple[int, float] | None:
    """The same for a loss so far above its level that fewer rows will do; `sure` is a level of more than
    one batch."""
    for factor, rows in OVERWHELMING:
        bar = factor * level
        first = begin_of_last_run(loss.values > bar)
        tail = loss.values[first:]
        if (sure or first >= BLOCK) and len(tail) >= rows and not _comes_back(tail[-rows:], bar, rows // 2):
            return first, float(np.min(loss.values[:first], initial=level))
    return None


def _is_violent(signals: Signals) -> bool:
    """Whether any update was a large share of the weights."""
    if "total_update_norm" not in signals or "total_weight_norm" not in signals:
        return False
    update, weight = signals["total_update_norm"].values, signals["total_weight_norm"].values
    n = min(len(update), len(weight))
    return bool(np.any(update[:n] > VIOLENT * np.maximum(weight[:n], np.finfo(float).tiny)))


def _climbs_on(tail: Values, level: float) -> bool:
    """Whether the blocks above the bar have climbed for long and go on, to far above the level."""
    far = len(tail) >= CLIMBS * CONFIRM and float(np.median(tail[-CONFIRM:])) > FAR * level > 0
    return far and mann_kendall(tail) > CLIMBING and mann_kendall(tail[-len(tail) // 2 :]) > SIGNIFICANT


def _comes_back(tail: Values, bar: float, window: int) -> bool:
    """Whether the last values of `tail` fall, and so fast that they will be below the bar soon."""
    last = tail[-2 * window :]
    reached = float(np.median(last)) + theil_sen(last) * RETURN * len(tail)
    return mann_kendall(last) < FALLING and reached < bar


def _has_turned(tail: Values, width: int) -> bool:
    """Whether a young rise has passed its peak, and has not yet had twice the jump's own time to fall."""
    peak = int(np.argmax(tail))
    since = len(tail) - 1 - peak
    young = len(tail) < YOUNG * CONFIRM and 0 < since <= 2 * (peak + width)
    return young and bool(tail[-1] < TURNED * tail[peak])


def _block_medians(loss: Series) -> Values:
    n = len(loss) // BLOCK
    values = np.where(np.isfinite(loss.values), loss.values, np.inf)[: n * BLOCK]
    return np.asarray(np.median(values.reshape(n, BLOCK), axis=1), dtype=np.float64)


RULE = Rule(
    name="diverging",
    needs={"loss": OVERWHELMING[0][1]},
    check=check,
    source="house rule after Lewkowycz et al. (2020), The large learning rate phase: a catapult comes back",
)
