"""Where a training stands: whether it learns, stands still or has become worse, for every rule alike.

Notation
    t, x    optimizer step and training loss of a row              [n]
    e       training loss per evaluation, in evaluation mode       [evaluations]
    T       trivial loss: of the best answer that looks at no input
    m       means of equal spans of steps                          [blocks]
"""

from __future__ import annotations

import math
import weakref
from contextvars import ContextVar
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.further_terms import plain_part, tells_the_plain_part
from diagnostics.evidence.guessing import guesses_better, guessing_loss, labels_behind, trivial_loss
from diagnostics.evidence.movement import FEWEST as FEWEST_AT_A_STANDSTILL
from diagnostics.evidence.movement import effort, movement, standstill
from diagnostics.evidence.rows import Steps, finite_rows
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall, mean_blocks, noise, theil_sen
from diagnostics.findings import Facts
from diagnostics.signals import Signals

LEARNT = 0.97
"""Share of the trivial predictor's loss below which a training has learnt (DIAGNOSES.md)."""

WORSE = 1.25
"""Times the trivial predictor's loss above which a training is clearly worse (house rule)."""

FEWEST = 30
"""Steps at the full learning rate before anything is said of a training whose movement is known, and half
of those where it is not (house rule: a momentum of 0.9 has long reached its speed)."""

PATH = 0.1
"""Times its first norm that the matrix that moves most must have travelled (house rule: a hundred steps
of the usual update ratio of 1e-3, Karpathy (2019), A recipe for training neural networks)."""

LONG = 300
"""Steps at the full learning rate after which a training that has not moved stands still as well."""

LONG_SHARE = 0.2
"""The same as a share of the planned steps, for short trainings."""

BLOCKS = 24
"""Spans the last two thirds of a training is brought down to for its trend: 276 pairs, cheap and enough."""

RUNS = 5
"""Runs of rows of which the middle one's mean is a level: robust, and unbiased for skewed losses."""

EVALUATIONS = 6
"""Evaluations in the last two thirds from which on they, and not the single steps, show the trend."""

ERRORS = 2.0
"""Standard errors by which a level must differ to be clearly different."""

FRESH = 0.25
"""Share of the steps so far for which an evaluation tells where the training stands."""


@dataclass(frozen=True)
class Standing:
    """Where a training stands.

    `known`: there is enough to say anything. `start`, `now`: level of the first and the last training
    losses; `best`: the lowest smoothed one; `trivial`: that of the best constant answer, or NaN.
    `learns`: clearly better than trivial (than the start, where trivial is unknown). `stuck`: no better,
    and not on the way to it. `worse`: clearly above that level, and not on the way back.
    """

    known: bool
    start: float
    trivial: float
    now: float
    best: float
    learns: bool
    stuck: bool
    worse: bool


def standing(signals: Signals, facts: Facts) -> Standing:
    """Where the training stands at its last row. The last answer is kept, as all rules ask the same."""
    last = _LAST.get()
    if last is None or last[0]() is not signals or last[1] is not facts:
        last = weakref.ref(signals), facts, _standing(signals, facts)
        _LAST.set(last)
    return last[2]


_LAST: ContextVar[tuple[weakref.ref[Signals], Facts, Standing] | None] = ContextVar("_LAST", default=None)
"""The signals and facts asked about last, and what was answered: both are never changed."""


def _standing(signals: Signals, facts: Facts) -> Standing:
    trivial, has_level = trivial_loss(signals, facts), facts.get("task") != "other"
    t, x = finite_rows(signals, "loss")
    e_steps, e = finite_rows(signals, "train_loss")
    if not len(x):
        t, x = e_steps, e
    part = plain_part(signals) if math.isnan(trivial) and not facts.get("loss_name") else None
    if part is not None:  # against guessing by what it has in common with the plain loss
        trivial, (t, x) = guessing_loss(signals, facts), part
        if not tells_the_plain_part(signals, "train_loss", part):
            e_steps, e = e_steps[:0], e[:0]
    lost = broken(signals)
    if not len(x):
        return Standing(lost, math.nan, trivial, math.nan, math.nan, False, lost, lost)
    start, _ = level(x[: _width_of_start(x)])
    smoothed = mean_blocks(t, x, min(2 * BLOCKS, 1 + len(x) // RUNS))
    best = min(float(np.min(smoothed)), float(np.min(e, initial=math.inf)))
    if lost:
        return Standing(True, start, trivial, math.inf, best, False, True, True)
    bar = trivial if math.isfinite(trivial) else start
    learnt = bar - (1 - LEARNT) * abs(bar)
    now, error = _now(t, x, e_steps, e, abs(bar))
    known = has_level and _is_known(signals, facts, t)
    if np.sum(e_steps >= t[-1] // 3) >= EVALUATIONS:
        t, x = e_steps, e
    falls = known and _is_on_the_way(t, x, bar, learnt, facts)
    learns = known and now + ERRORS * error < learnt - _doubt(signals, facts, trivial)
    stuck = known and not (learns or falls) and now >= learnt
    stuck = stuck and not guesses_better(signals, facts, trivial)
    worse = known and not falls and now - ERRORS * error > bar + (WORSE - 1) * abs(bar)
    return Standing(known, start + 0.0, trivial, now + 0.0, best + 0.0, learns, stuck, worse)


def level(x: Values) -> tuple[float, float]:
    """The mean of the middle one of `RUNS` runs of `x` [n], and the standard error of that mean.

    The error comes from second differences, which do not see a trend, without a median: the losses of
    small batches are skewed. Of a median it is sqrt(pi / 2) times that of a mean.
    """
    runs = np.array([np.mean(run) for run in np.array_split(x, min(RUNS, len(x)))])
    spread = math.sqrt(float(np.mean(np.diff(x, n=2) ** 2)) / 6) if len(x) > 2 else 0.0
    return float(np.median(runs)), math.sqrt(math.pi / 2) * spread / math.sqrt(len(x))


def may_fall(signals: Signals, trivial: float) -> bool:
    """Whether the noise of the losses hides a fall that would bring a training to 0.97 of the trivial loss
    within as many steps again: from the older to the newer half of the last two thirds, by ERRORS standard
    errors more than it seems.
    """
    t, x = finite_rows(signals, "loss")
    late = int(np.searchsorted(t, t[-1] // 3)) if len(t) else 0
    middle = (late + len(x) + 1) // 2
    if middle >= len(x):
        return True
    (before, doubt), (now, error) = level(x[late:middle]), level(x[middle:])
    apart = float(np.mean(t[middle:]) - np.mean(t[late:middle]))
    fastest = max(before - now + ERRORS * math.hypot(doubt, error), 0.0)
    return now - fastest * float(t[-1] + 1) / apart < trivial - (1 - LEARNT) * abs(trivial)


def broken(signals: Signals) -> bool:
    """Whether the newest training loss is not finite."""
    return "loss" in signals and len(signals["loss"]) > 0 and not np.isfinite(signals["loss"].values[-1])


def _now(t: Steps, x: Values, e_steps: Steps, e: Values, scale: float) -> tuple[float, float]:
    """The level of the last losses; a fresh evaluation counts, unless the steps are clearly better."""
    n = len(x)
    by_steps, error = level(x[-min(200, max(n // 5, min(20, 1 + n // 2))) :])
    if ERRORS * error > (1 - LEARNT) * scale:  # so noisy that more rows are needed
        by_steps, error = level(x[n // 2 :])
    if not len(e) or t[-1] - e_steps[-1] > FRESH * (t[-1] + 1):
        return by_steps, error
    evaluated = float(np.median(e[-3:])) if len(e) > 3 else float(e[-1])
    if by_steps + ERRORS * error < evaluated - (1 - LEARNT) * abs(evaluated):
        return by_steps, error
    risen = by_steps - ERRORS * error > WORSE * max(evaluated, float(np.max(x[:RUNS])))
    return (by_steps, error) if risen else (evaluated, 0.0)


def _doubt(signals: Signals, facts: Facts, trivial: float) -> float:
    """How far a trivial loss that was reckoned from a few batches of numbers may be off: the standard
    error of a variance (of normal numbers)."""
    if facts.get("task") != "regression":
        return 0.0
    return abs(trivial) * math.sqrt(2 / labels_behind(signals, facts))


def _is_known(signals: Signals, facts: Facts, t: Steps) -> bool:
    steps, still = effort(signals, facts), bool(standstill(signals, facts))
    if len(t) < RUNS or steps < (FEWEST_AT_A_STANDSTILL if still else FEWEST):
        return False
    planned = float(facts.get("total_steps", math.inf))
    long = steps >= min(LONG, max(2 * FEWEST, LONG_SHARE * planned))
    moved = movement(signals)
    return long or still or (steps >= 2 * FEWEST if math.isnan(moved) else moved >= PATH)


def _is_on_the_way(t: Steps, x: Values, bar: float, learnt: float, facts: Facts) -> bool:
    """Whether the last two thirds fall, and so fast that as many steps again, or those left, would do."""
    first = int(np.searchsorted(t, t[-1] // 3))
    m = mean_blocks(t[first:], x[first:], BLOCKS)
    if len(m) < 4 or mann_kendall(m) > -SIGNIFICANT:
        return False
    left = max(float(facts.get("total_steps", 0)) - float(t[-1]), float(t[-1]))
    spans = left / max(1.0, float(t[-1] - t[first])) * len(m)
    slope = theil_sen(m)
    if m[-1] > bar:  # from above every fall ends at the bar, unless it does not slow down
        slope = max(slope, theil_sen(m[len(m) // 2 :]))
    return float(m[-1]) + slope * spans < learnt


def _width_of_start(x: Values) -> int:
    """Rows that make the level of the start: three, and more the noisier they are (10 % error)."""
    middle = abs(float(np.median(x[:50])))
    share = noise(x[:50]) / middle if middle > 0 else 0.0
    return int(np.clip(100 * min(share, 1.0) ** 2, 3, 30)) if math.isfinite(share) else 3
