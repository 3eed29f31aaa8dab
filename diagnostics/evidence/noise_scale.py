"""The gradient noise scale: how many samples a batch needs before more of them say the same again.

Notation
    B       batch size
    g, g'   gradients of two successive steps, from different batches
    d, q    g . g' and (|g|^2 + |g'|^2) / 2                           [pairs]
    k       d / q: about |G|^2 / (|G|^2 + tr(S) / B), G the true gradient and S the covariance of one sample's
    N       noise scale tr(S) / |G|^2 = B (1 / k - 1)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.rows import batch_size, common_rows
from diagnostics.evidence.sums import ramp
from diagnostics.findings import Facts
from diagnostics.signals import Signals

PAIRS = 8
"""Pairs of steps that make an interval (house rule)."""

WIDTH = 2.36
"""Score of an interval of 95 % for eight pairs (Student's t); wider than needed for more."""

TINY = 1e-12
"""The least of k that is told from nothing (rounding)."""

FAR = 10.0
"""Times the batch size that the whole interval must lie above, or part of it that it must lie below.

Source: McCandlish et al. (2018), An empirical model of large-batch training: within a factor of ten of the
noise scale neither steps nor samples are much wasted (house rule for the factor).
"""


@dataclass(frozen=True)
class Scale:
    """The noise scale with its interval of 95 %, from `pairs` pairs; `high` is infinite when it is open."""

    value: float
    low: float
    high: float
    batch: float
    step: int
    pairs: int

    @property
    def evidence(self) -> dict[str, float]:
        """The numbers a finding rests on."""
        limits = {"noise_scale_low": self.low, "noise_scale_high": self.high}
        value = {"noise_scale": self.value} if math.isfinite(self.value) else {}
        return {**value, **limits, "batch_size": self.batch, "pairs": float(self.pairs)}

    @property
    def words(self) -> str:
        """The scale for a sentence."""
        upper = f"{self.high:.0f}" if math.isfinite(self.high) else "unbounded"
        if not math.isfinite(self.value):
            return f"the gradient noise scale is above {self.low:.0f} samples (95 %)"
        return f"the gradient noise scale is {self.value:.0f} samples (95 %: {self.low:.0f} to {upper})"


def noise_scale(signals: Signals, facts: Facts) -> Scale | None:
    """The noise scale over the last half of the pairs; None with too few, or when gradients turn about or are
    sums of all before them.

    A ratio per pair, because gradients shrink by orders of magnitude during a training. Successive
    gradients that point against each other come from steps that are too long, not from noise.
    """
    rows = common_rows(signals, "grad_dot", "grad_square")
    batch = batch_size(signals, facts)
    d, q = (values.reshape(-1) for values in rows.values)
    fine = np.isfinite(d) & np.isfinite(q) & (q > 0)
    late = np.flatnonzero(fine)[fine.sum() // 2 :] if fine.sum() >= 2 * PAIRS else np.flatnonzero(fine)
    if len(late) < PAIRS or not batch > 0:
        return None
    if ramp(signals):
        return None  # sums are alike whatever the noise
    k = d[late] / q[late]
    error = WIDTH * float(np.std(k, ddof=1)) / math.sqrt(len(k))
    mean = float(np.mean(k))
    low = _scale(mean + error, batch) if mean + error > TINY else math.inf
    if not math.isfinite(low):
        return None
    return Scale(
        value=_scale(max(mean, 0.0), batch),
        low=low,
        high=_scale(max(mean - error, 0.0), batch),
        batch=batch,
        step=int(rows.steps[late[0]]),
        pairs=len(k),
    )


def _scale(k: float, batch: float) -> float:
    return batch * max(1 / k - 1, 0.0) if k > 0 else math.inf
