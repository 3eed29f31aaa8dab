"""What validation says of a training: whether it has risen from its best to stay, and how far the gap is.

Notation
    v       validation loss per evaluation                         [n]
    e       training loss at the same steps                        [n]
    m       medians of three of v in a row, ends as they are       [n]
    best    place where m is lowest, and its value
    s       noise of v (its own deviation around its trend)
    learnt  what validation won from the start (or the trivial predictor) to its best
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import Curve, evaluations
from diagnostics.evidence.rows import Steps
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall, noise
from diagnostics.signals import Signals

FEWEST = 6
"""Evaluations below which no rise is seen (house rule: three up to the best, three after it)."""

STAYS = 3
"""Evaluations after the best that a rise must last, and a fifth of all (house rule)."""

SIGMAS = 3.0
"""Deviations of the validation loss's own noise by which it must stay above its best (house rule)."""

SMALLEST = 0.005
"""Share of the best validation loss that counts as noise at least (house rule: smooth curves)."""

MUCH = 0.1
"""Share of what validation had learnt that a rise must have cost to matter (house rule)."""


@dataclass(frozen=True)
class Rise:
    """A validation loss that rose to stay: from `best` at `step` to `now`; `lost` is the share of what had
    been learnt that the rise cost, `s` the noise, `z` the score of the trend since the best."""

    step: int
    place: int
    best: float
    now: float
    lost: float
    s: float
    z: float

    @property
    def matters(self) -> bool:
        """Whether it cost more than a little of what had been learnt."""
        return self.lost > MUCH


def rise(signals: Signals, trivial: float = math.nan) -> Rise | None:
    """The rise of the validation loss from its best to its end; None when it did not rise to stay."""
    curve = evaluations(signals, "val_loss")
    v = curve.values
    if len(v) < FEWEST:
        return None
    m = median_of_three(v)
    place = int(np.argmin(m))
    after = v[place + 1 :]
    tail = after[-max(STAYS, len(after) // 2) :]
    if len(after) < max(STAYS, len(v) // 5):
        return None
    best, s = float(m[place]), max(noise(v), SMALLEST * abs(float(m[place])))
    z = mann_kendall(v[place:])
    if float(np.min(tail)) <= best + SIGMAS * s or z < SIGNIFICANT:
        return None
    now = float(np.median(v[-STAYS:]))
    start = trivial if math.isfinite(trivial) else float(v[0])
    learnt = start - best
    lost = (now - best) / learnt if learnt > 0 else math.inf
    return Rise(int(curve.steps[place]), place, best, now, lost, s, z)


def median_of_three(x: Values) -> Values:
    """Every value as the median of itself and its neighbours; the two ends as they are."""
    m = x.copy()
    if len(x) > 2:
        m[1:-1] = np.median(np.stack([x[:-2], x[1:-1], x[2:]]), axis=0)
    return m


def paired(signals: Signals, first: str, second: str) -> tuple[Curve, Curve]:
    """Two evaluations at the steps that both have."""
    a, b = evaluations(signals, first), evaluations(signals, second)
    steps = np.intersect1d(a.steps, b.steps).astype(np.int64)
    return _at(a, steps), _at(b, steps)


def _at(curve: Curve, steps: Steps) -> Curve:
    places = np.searchsorted(curve.steps, steps, side="right") - 1
    return Curve(curve.name, curve.steps[places], curve.values[places])
