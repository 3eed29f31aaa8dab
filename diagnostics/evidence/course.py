"""The course of a training: the curve that stands for it, and the trend of its end with its confidence.

Notation
    t, x    steps and values of a curve, brought down to few places      [n]
    half    the last half of the curve
    d       slopes (x_j - x_i) / (t_j - t_i) of all pairs i < j          [pairs]
    S       Mann-Kendall statistic, and z its score
    s       noise of a curve: its own deviation around its trend
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.rows import Steps, finite_rows
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall, noise
from diagnostics.signals import Signals

ENOUGH = 8
"""Evaluations that make a curve of their own (house rule: four in the last half, for which a trend can be
significant at all)."""

FEWEST = 4
"""Evaluations below which nothing is said where there is no curve of the steps either (house rule)."""

FEWEST_FALLING = 3
"""Evaluations, each below the last, that say beside a curve of the steps that a training still falls (house
rule: two falls on end)."""

ENOUGH_STEPS = 64
"""Steps that make a curve (house rule: sixteen blocks of four)."""

BLOCKS = 48
"""Blocks a curve of steps is brought down to; a block has at least four rows (house rule: its median is
then robust against one bad batch)."""

MOST = 200
"""Places a long curve of evaluations is brought down to, so that looking at all pairs stays cheap."""

CURVES = {"train_loss": "training loss", "loss": "training loss", "val_loss": "validation loss"}
"""The curves a verdict can rest on, the one it prefers first, as people call them."""

CONFIDENCE = 1.96
"""Score of a two-sided interval of 95 %."""


@dataclass(frozen=True)
class Curve:
    """A curve without gaps: `steps` and finite `values` [n]; `name` is the signal it comes from."""

    name: str
    steps: Steps
    values: Values

    def __len__(self) -> int:
        return len(self.values)

    @property
    def half(self) -> Curve:
        """The last half."""
        return self.last(1 / 2)

    def last(self, share: float) -> Curve:
        """The last share of the places, at least two of them."""
        n = min(len(self), max(2, math.ceil(share * len(self))))
        return Curve(self.name, self.steps[len(self) - n :], self.values[len(self) - n :])


@dataclass(frozen=True)
class Trend:
    """How a curve goes: `slope` per step with its interval of 95 %, score `z`, two-sided `p`, noise `s`.

    `change` is what the slope makes of the whole span: negative when it falls.
    """

    slope: float
    low: float
    high: float
    z: float
    p: float
    s: float
    change: float

    @property
    def falls(self) -> bool:
        """Whether it falls significantly."""
        return self.z < -SIGNIFICANT

    @property
    def rises(self) -> bool:
        """Whether it rises significantly."""
        return self.z > SIGNIFICANT


def course(signals: Signals) -> Curve | None:
    """The curve that stands for the training, None when there is too little of any.

    Evaluations of the training loss where there are enough, else the loss of the steps in blocks, else
    the few evaluations there are.
    """
    evaluated = evaluations(signals, "train_loss")
    if len(evaluated) >= ENOUGH:
        return evaluated
    stepped = blocks_of(signals, "loss")
    if len(stepped) >= ENOUGH_STEPS // 4:
        return stepped
    validated = evaluations(signals, "val_loss")
    best = evaluated if len(evaluated) >= FEWEST else validated
    return best if len(best) >= FEWEST else None


def falls_each_time(x: Curve) -> bool:
    """Whether there are a few evaluations, and each is below the last."""
    return len(x) >= FEWEST_FALLING and bool(np.all(np.diff(x.values) < 0))


def evaluations(signals: Signals, name: str) -> Curve:
    """The finite evaluations under a name; empty when there are none."""
    t, x = finite_rows(signals, name)
    if len(x) <= MOST:
        return Curve(name, t, x)
    return Curve(name, *span_medians(t, x, MOST))


def blocks_of(signals: Signals, name: str) -> Curve:
    """A signal of every step as medians of blocks of at least four rows; empty when there are too few."""
    t, x = finite_rows(signals, name)
    if len(x) < ENOUGH_STEPS:
        return Curve(name, t[:0], x[:0])
    return Curve(name, *span_medians(t, x, min(BLOCKS, len(x) // 4)))


def trend(curve: Curve) -> Trend:
    """The trend of a curve: the median slope of all pairs, and its significance.

    Source: Sen (1968), Estimates of the regression coefficient based on Kendall's tau, also for the
    interval; Kendall (1975), Rank Correlation Methods.
    """
    t, x, n = curve.steps, curve.values, len(curve)
    i, j = np.triu_indices(n, k=1)
    apart = t[j] > t[i]
    d = np.sort((x[j] - x[i])[apart] / (t[j] - t[i])[apart])
    z = mann_kendall(x)
    if not len(d):
        return Trend(0.0, -math.inf, math.inf, z, 1.0, noise(x), 0.0)
    width = CONFIDENCE * math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    low, high = math.floor((len(d) - width) / 2), math.ceil((len(d) + width) / 2)
    slope = float(np.median(d))
    return Trend(
        slope=slope,
        low=float(d[low]) if low >= 0 else -math.inf,
        high=float(d[high]) if high < len(d) else math.inf,
        z=z,
        p=math.erfc(abs(z) / math.sqrt(2)),
        s=noise(x),
        change=slope * float(t[-1] - t[0]),
    )


def span_medians(t: Steps, x: Values, blocks: int) -> tuple[Steps, Values]:
    """Medians of `x` [n] over at most `blocks` equal spans of steps, each at its last step.

    Spans of steps, not of rows: late rows of a long training stand for many steps each.
    """
    edges = np.linspace(float(t[0]), float(t[-1]) + 1, blocks + 1)[1:-1]
    cuts = np.unique(np.searchsorted(t, edges))
    cuts = cuts[(cuts > 0) & (cuts < len(t))]
    runs = np.split(x, cuts)
    return t[np.append(cuts, len(t)) - 1], np.array([np.median(run) for run in runs])
