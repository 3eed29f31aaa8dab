"""Signs of steps that are too long: in the updates, in the curvature, and in the course of the loss.

Notation
    r        size of an update over the largest size its weights had so far: of the middle layer, or of all
             weights together, whichever is larger                            [due rows]
    o        overshoot of a step; above 2 it went past the point of equal loss [pairs]
    x        training loss per step                                           [n]
    m        means of x over equal spans of steps                             [blocks]
    level    the higher of the first loss and the loss of the trivial predictor
    lost     share of what had been learnt that is lost again: (now - best) / (level - best)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.learning import Standing
from diagnostics.evidence.rows import Rows, common_rows, finite, middle, ratio, typical
from diagnostics.evidence.steps import EARLY
from diagnostics.evidence.trends import Values, mean_blocks, noise
from diagnostics.findings import Facts
from diagnostics.signals import Signals

LARGE = 0.1
"""Update ratio that renews a layer within ten steps: a hundred times the usual 1e-3 (house rule)."""

VIOLENT = 0.3
"""Update ratio of one step after which little of the weights before it is left (house rule)."""

EVEN = ("adam", "rmsprop", "adagrad", "adadelta", "lion", "adafactor")
"""Optimizers whose steps are as long for small gradients as for large ones: they divide by their size."""

FAINT = 1e-3
"""Spread of the first answers below which weights may be so small that every update is large beside them."""

PAST = 2.0
"""Overshoot at which the loss along the step is back where it was, from a second-order expansion.

Source: Cohen et al. (2021), Gradient descent on neural networks typically occurs at the edge of stability.
"""

PAIRS = 3
"""Pairs of steps of which more than half must overshoot (house rule: one batch can be unlike the next)."""

ROSE = 2.0
"""Times its level that the early loss must reach to have risen (house rule: a catapult passes, and what
does not pass is judged by where the training stands)."""

UNTOLD = 1e9
"""Times its level beyond which a loss is not told from one that is no number any more."""

LEARNT = 0.2
"""Share of its level that the loss must once have gone down to have something to lose (house rule)."""

LOST = 0.25
"""Share of what was learnt that must be lost again (house rule, as for the verdict `unstable`)."""

CLEAR = 4.0
"""Standard errors of a short mean by which it must have risen again: the best of many is low by chance."""

LATER = 1 / 3
"""Share of the steps after which the updates must still be large to last (house rule)."""

BLOCKS, FEW = 48, 4
"""Spans of steps whose mean losses show what had been learnt, and the fewest rows in one (house rule)."""


UNIT = 10.0
"""Root mean square of targets that are far off unit scale, as of inputs (LeCun et al., 1998)."""

REACHED = 0.5
"""Share of the targets' size from which on answers have come near them (house rule)."""


@dataclass(frozen=True)
class Targets:
    """Numbers to predict that are far off unit scale, and the size of the first and the last answers."""

    mean: float
    spread: float
    first: float
    now: float

    @property
    def size(self) -> float:
        """Their root mean square."""
        return math.hypot(self.mean, self.spread)


@dataclass(frozen=True)
class Signs:
    """What speaks for a long step; NaN where it was not measured or is not there."""

    early: float  # r in the middle of the early rows
    peak: float  # the largest r
    late: float  # r in the middle of the later rows
    overshoot: float  # in the middle of the pairs, when most of them overshoot
    risen: float  # the early loss over its level
    lost: float
    level: float
    step: int  # where the first of them began
    lost_at: int | None = None  # where the loss went up again

    @property
    def by_size(self) -> bool:
        """Whether updates were large beside the weights."""
        return self.early > LARGE or self.peak > VIOLENT

    @property
    def by_course(self) -> bool:
        """Whether curvature or loss show it."""
        return self.overshoot > PAST or self.risen > ROSE or self.lost > LOST


def signs_of(signals: Signals, state: Standing) -> Signs:
    """What the rows so far show; it needs a `loss` and takes whatever else is there."""
    first = float(signals["loss"].values[0])
    level = max(first, state.trivial) if math.isfinite(state.trivial) else first
    rows = _ratios(signals)
    t, r = rows.steps, rows.values[0]
    large = t[(r > LARGE) & ((t < EARLY) | (r > VIOLENT))]
    o_steps, o = _overshoots(signals)
    risen, rose_at = _rise(signals, level)
    lost, lost_at = _loss_of_the_learnt(signals, level)
    beginnings = [*large[:1], *o_steps[:1], *rose_at, *lost_at]
    seen = finite(r)
    return Signs(
        early=typical(r[t < EARLY]),
        peak=float(np.max(seen)) if len(seen) else math.nan,
        late=typical(r[t > LATER * t[-1]]) if len(t) >= PAIRS else math.nan,
        overshoot=typical(o),
        risen=risen,
        lost=lost,
        level=level,
        step=int(min(beginnings, default=0)),
        lost_at=lost_at[0] if lost_at else None,
    )


def renews_weights(signals: Signals, facts: Facts) -> bool:
    """Whether the first steps left nothing of the start, and not because the start made gradients large.

    Weights that were tiny are renewed by any step; then the loss must have jumped as well.
    """
    if not has_even_steps(facts):
        return False
    r = _ratios(signals)
    early = r.values[0][r.steps < EARLY]
    loss = signals["loss"].values
    jumped = len(loss) > 1 and not float(np.median(loss[1 : 1 + PAIRS])) < ROSE * abs(float(loss[0]))
    tiny = "answer_spread" in signals and float(signals["answer_spread"].values[0]) < FAINT
    return (typical(early) > VIOLENT and not tiny) or (jumped and bool(np.any(finite(early) > 1)))


def unreached_targets(signals: Signals, facts: Facts) -> Targets | None:
    """The targets of a regression that the answers grow towards, and are still far from; else None."""
    if facts.get("task") != "regression" or any(
        name not in signals or not len(signals[name]) for name in ("y_mean", "y_spread", "answer_scale")
    ):
        return None
    answers = signals["answer_scale"].values
    found = Targets(
        mean=typical(signals["y_mean"].values),
        spread=typical(signals["y_spread"].values),
        first=float(answers[0]),
        now=typical(answers[-PAIRS:]),
    )
    far = found.size > UNIT and found.first < found.now < REACHED * found.size
    return found if far else None


def has_even_steps(facts: Facts) -> bool:
    """Whether the optimizer is one of `EVEN`."""
    return any(name in str(facts.get("optimizer", "")).lower() for name in EVEN)


def _ratios(signals: Signals) -> Rows:
    """`r` [rows], of one column without a name. Weights that a penalty has shrunk make no update large."""
    rows = common_rows(signals, "update_norm", "weight_norm")
    u, w = rows.values
    r = middle(ratio(u, np.fmax.accumulate(w, axis=0))) if rows.layers else np.full(len(rows), np.nan)
    whole = common_rows(signals, "total_update_norm", "total_weight_norm")
    if not len(whole):
        return Rows(rows.steps, (r,))
    total = ratio(whole.values[0], np.fmax.accumulate(whole.values[1]))
    same = np.array_equal(whole.steps, rows.steps)
    return Rows(whole.steps, (np.fmax(r, total) if same else total,))


def _overshoots(signals: Signals) -> tuple[Values, Values]:
    """The pairs that went past, with their steps; none unless most pairs did."""
    pairs = common_rows(signals, "overshoot")
    o = pairs.values[0].reshape(-1)
    past = o > PAST
    if np.sum(np.isfinite(o)) < PAIRS or np.sum(past) <= np.sum(np.isfinite(o)) / 2:
        return np.array([]), np.array([])
    return pairs.steps[past].astype(float), o[past]


def _rise(signals: Signals, level: float) -> tuple[float, list[int]]:
    """How far the loss was above its level in the first steps, and where it first was."""
    loss = signals["loss"]
    after = (loss.steps > 0) & (loss.steps <= EARLY)
    x = np.where(np.isfinite(loss.values[after]), loss.values[after], np.inf)
    if not len(x) or not level > 0:
        return math.nan, []
    risen = min(float(np.median(x)) / level, UNTOLD)
    return risen, [int(loss.steps[after][np.argmax(x > ROSE * level)])] if risen > ROSE else []


def _loss_of_the_learnt(signals: Signals, level: float) -> tuple[float, list[int]]:
    """Which share of what was learnt is lost again, and since when."""
    t, x = signals["loss"].steps, signals["loss"].values
    t, x = t[np.isfinite(x)], x[np.isfinite(x)]
    if len(x) < BLOCKS or not level > 0:
        return math.nan, []
    m = mean_blocks(t, x, min(BLOCKS, len(x) // FEW))
    best, now = float(np.min(m)), float(np.min(m[-PAIRS:]))
    if not 0 <= best < (1 - LEARNT) * level:
        return math.nan, []
    lost = (min(now, UNTOLD * level) - best) / (level - best)
    error = noise(x) / math.sqrt(len(x) / len(m))
    if not lost > LOST or now - best < CLEAR * error:
        return min(lost, LOST), []
    low = np.flatnonzero(x < best + LOST / 2 * (level - best))
    after = np.flatnonzero(x[low[-1] :] > best + LOST * (level - best)) if len(low) else np.array([])
    return lost, [int(t[low[-1] + after[0]])] if len(after) else []
