"""What more budget would bring: a power law through a loss curve, tested on the curve's own end.

Notation
    t       steps done at a place of the curve, counted from 1     [n]
    y       loss there (block medians)                             [n]
    c       loss that is left after endless training
    a, b    scale and exponent of what is still to be learnt: y = c + a t^-b
    x       t^-b for every b of the grid                           [exponents, n]
    w       weights of the places in a robust fit                  [exponents, n]
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.course import Curve
from diagnostics.evidence.trends import Values, noise

EXPONENTS = np.geomspace(0.1, 3.0, 32)
"""Exponents that are tried. Source: Hestness et al. (2017), Deep learning scaling is predictable, and Domhan
et al. (2015), Speeding up automatic hyperparameter optimization by extrapolation of learning curves; the
upper end is a curve that has become flat."""

BEGINNINGS = (0.0, 0.1, 0.25, 0.5)
"""Shares of the curve that may be left out at its beginning: a warm-up or a catapult is no power law."""

FEWEST = 12
"""Places a curve must have (house rule: nine to fit three numbers, three to test them)."""

TESTED = 0.25
"""Share of the curve, at its end, that a fit of the rest must foretell."""

ALLOWED = 2.5
"""Deviations of the curve's noise by which the tested end may be missed in the mean (house rule)."""

BETTER = 0.7
"""A fit that misses by more must err by no more than this share of what the guess errs that the loss stays as
it was (house rule)."""

ROUNDS = 5
"""Rounds of the robust fit."""

TINY = 1e-300
"""The least that anything is divided by."""

HUBER = 1.345
"""Deviations above which a residual counts linearly. Source: Huber (1981), Robust Statistics."""

WIDTH = 1.64
"""Score of a two-sided interval of 90 %."""


TIMES = (1.5, 2.0)
"""Times the budget for which the loss is foretold."""


@dataclass(frozen=True)
class Outlook:
    """The loss that is expected, with an interval of 90 %."""

    loss: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecast:
    """A power law `c + a t^-b` for steps up to `until`; `error` is how far it missed the tested end."""

    a: float
    b: float
    c: float
    until: float
    error: float
    floor: float
    spread: tuple[tuple[float, float, float], ...]

    def at(self, times: float) -> Outlook:
        """The loss after `times` as many steps as there were."""
        t = times * self.until
        expected = self.c + self.a * t**-self.b
        others = [c + a * t**-b for a, b, c in self.spread]
        now = self.c + self.a * self.until**-self.b
        reach = max(1.0, math.log(times) / -math.log(1 - TESTED)) if times > 1 else 1.0
        half = WIDTH * self.error * reach
        low = min(min(others), expected - half)
        high = max(max(others), min(expected + half, now + WIDTH * self.error))
        return Outlook(expected, max(low, self.floor), high)


def foretold(curve: Curve, now: float) -> dict[float, Outlook]:
    """The loss at `TIMES` the budget; nothing where no law foretells one below the present level `now`."""
    law = forecast(curve)
    outlooks = {} if law is None else {times: law.at(times) for times in TIMES}
    return outlooks if all(outlook.loss < now for outlook in outlooks.values()) else {}


def forecast(curve: Curve) -> Forecast | None:
    """The power law that foretells the end of the curve from its beginning; None when none does."""
    t, y, n = (curve.steps + 1).astype(np.float64), curve.values, len(curve)
    if n < FEWEST or np.any(np.diff(t) <= 0) or not float(np.median(y[-3:])) < float(np.max(y[:3])):
        return None
    scale = float(np.max(np.abs(y)))
    floor = 0.0 if float(np.min(y)) >= 0 else -math.inf
    tested = n - max(3, int(TESTED * n))
    trials = []
    for beginning in BEGINNINGS:
        first = int(beginning * n)
        if tested - first < FEWEST - 3:
            continue
        a, b, c, _ = _best(t[first:tested], y[first:tested], floor)
        missed = float(np.sqrt(np.mean((c + a * t[tested:] ** -b - y[tested:]) ** 2)))
        trials.append((missed, first))
    missed, first = min(trials, key=lambda trial: (round(trial[0] / (1e-3 * scale + TINY), 1), trial[1]))
    stays = float(np.sqrt(np.mean((np.median(y[tested - 3 : tested]) - y[tested:]) ** 2)))
    s = max(noise(y), 1e-6 * scale)
    if missed > max(ALLOWED * s, BETTER * stays):
        return None
    a, b, c, spread = _best(t[first:], y[first:], floor)
    if not all(math.isfinite(number) for number in (a, c, missed)):
        return None  # numbers too large to reckon with
    return Forecast(a, b, c, float(t[-1]), max(missed, s / 2), floor, spread)


def _best(
    t: Values, y: Values, floor: float
) -> tuple[float, float, float, tuple[tuple[float, float, float], ...]]:
    """The best (a, b, c) of the grid, and all others that fit about as well."""
    a, c, cost = _fit(t, y, floor)
    k = int(np.argmin(cost))
    near = np.flatnonzero(cost <= cost[k] * (1 + 2 / len(t)) + 1e-12)
    spread = tuple((float(a[i]), float(EXPONENTS[i]), float(c[i])) for i in near)
    return float(a[k]), float(EXPONENTS[k]), float(c[k]), spread


def _fit(t: Values, y: Values, floor: float) -> tuple[Values, Values, Values]:
    """For every exponent the robust line `y = c + a x` with `a >= 0` and `c >= floor`; and its cost."""
    x = (t / t[-1]) ** -EXPONENTS[:, None]
    w = np.ones_like(x)
    level = floor if math.isfinite(floor) else 0.0
    for _ in range(ROUNDS):
        total = np.maximum(w.sum(axis=1), TINY)
        mean_x, mean_y = (w * x).sum(axis=1) / total, (w * y).sum(axis=1) / total
        across = (w * (x - mean_x[:, None]) * (y - mean_y[:, None])).sum(axis=1)
        a = np.maximum(across / np.maximum((w * (x - mean_x[:, None]) ** 2).sum(axis=1), TINY), 0.0)
        c = mean_y - a * mean_x
        low = c < floor
        through = np.maximum((w * x * (y - level)).sum(axis=1), 0.0)
        through /= np.maximum((w * x**2).sum(axis=1), TINY)
        a, c = np.where(low, through, a), np.where(low, floor, c)
        miss = np.abs(y - c[:, None] - a[:, None] * x)
        s = np.maximum(np.median(miss, axis=1) / 0.6745, 1e-12 * np.max(np.abs(y)))[:, None]
        w = np.minimum(1.0, HUBER * s / np.maximum(miss, TINY))
    return a * t[-1] ** EXPONENTS, c, np.mean(miss, axis=1)
