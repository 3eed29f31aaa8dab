"""Exactly one verdict for a training, with the figures it rests on.

Notation
    e       training loss per evaluation, measured in evaluation mode    [n]
    v       validation loss per evaluation                               [n]
    z       Mann-Kendall score of a trend
    s       noise of a curve (its own deviation around its trend)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diagnostics.findings import Facts, Finding, Verdict
from diagnostics.signals import Signals
from diagnostics.trends import Values, block_medians, mann_kendall, noise, theil_sen

FEWEST = 4
"""Evaluations below which nothing is said about a trend (house rule: three slopes and one to spare)."""

LEARNT = 0.97
"""Share of the trivial predictor's loss below which a training has learnt (DIAGNOSES.md)."""

SIGNIFICANT = 1.64
"""Score above which a trend is one (one-sided 5 %)."""

GAIN = 0.02
"""Share of what was learnt so far that the last half must still bring to count as improving."""

SWING = 0.25
"""Share of what was learnt that the spread of the last half must reach to count as oscillating."""

CLEAR = 2.33
"""Score that a trend must reach to be seen through oscillations (one-sided 1 %)."""

WORSE = 3.0
"""Deviations of the validation loss that it must stay above its best to count as overfitting."""

MOST = 200
"""Places a longer curve is brought down to, so that looking at all pairs stays cheap."""

Statistics = dict[str, float]


def judge(signals: Signals, facts: Facts, findings: Sequence[Finding]) -> tuple[Verdict, Statistics]:
    """The verdict and its statistics; see `diagnose` for the facts it reads."""
    e = _finite(signals, "train_loss")
    v = _finite(signals, "val_loss")
    statistics = _statistics(e, v, facts)
    kinds = {finding.kind for finding in findings}
    if facts.get("ended") == "failed":
        return Verdict.FAILED, statistics
    if "non-finite" in kinds:
        return Verdict.NON_FINITE, statistics
    if "diverging" in kinds:
        return Verdict.DIVERGED, statistics
    if facts.get("ended") != "finished" or max(len(e), len(v)) < FEWEST:
        return Verdict.INCOMPLETE, statistics
    return _of_curves(e if len(e) >= FEWEST else v, v, statistics), statistics


def _of_curves(e: Values, v: Values, statistics: Statistics) -> Verdict:
    trivial = statistics.get("trivial_loss")
    if trivial is not None and float(np.median(e[-3:])) >= LEARNT * trivial:
        return Verdict.NOT_LEARNING
    if len(v) >= FEWEST and _stays_worse(v):
        return Verdict.OVERFITTING
    half = e[len(e) // 2 :]
    start = max(float(e[0]), trivial or float(e[0]))
    learnt = start - float(np.min(e))
    if learnt > 0 and float(np.std(half)) > SWING * learnt and mann_kendall(half) > -CLEAR:
        return Verdict.UNSTABLE
    if _falls(half) and -theil_sen(half) * (len(half) - 1) > GAIN * learnt:
        return Verdict.IMPROVING
    return Verdict.CONVERGED


def _stays_worse(v: Values) -> bool:
    """Whether validation has risen from its best, by more than its noise, and stays above."""
    best = int(np.argmin(v))
    after = v[best + 1 :]
    if len(after) < max(2, len(v) // 4):
        return False
    bar = float(v[best]) + WORSE * max(noise(v), 0.005 * abs(float(v[best])))
    stays = bool(np.all(after[-max(2, len(after) // 2) :] > bar))
    return stays and mann_kendall(v[best:]) > SIGNIFICANT


def _falls(x: Values) -> bool:
    """Whether `x` falls significantly; of too few values, whether every one is below the last."""
    if len(x) < FEWEST:
        return bool(np.all(np.diff(x) < 0))
    return mann_kendall(x) < -SIGNIFICANT


def _statistics(e: Values, v: Values, facts: Facts) -> Statistics:
    found: Statistics = {}
    if "trivial_loss" in facts:
        found["trivial_loss"] = float(facts["trivial_loss"])
    for name, x in (("train_loss", e), ("val_loss", v)):
        if len(x):
            half = x[len(x) // 2 :]
            found[f"{name}_best"] = float(np.min(x))
            found[f"{name}_last"] = float(x[-1])
            found[f"{name}_noise"] = noise(x)
            found[f"{name}_slope"] = theil_sen(half)
            found[f"{name}_trend"] = mann_kendall(half)
    return found


def _finite(signals: Signals, name: str) -> Values:
    if name not in signals:
        return np.array([])
    values = signals[name].values
    values = values[np.isfinite(values)]
    return values if len(values) <= MOST else block_medians(values, MOST)
