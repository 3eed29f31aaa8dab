"""Whether the losses of single samples fall into two groups, as they do when some labels are wrong.

Notation
    x       log of the loss of each sample, sorted        [n]
    k       samples in the lower group                    [n - 1]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST = 1e-6
"""Losses are looked at by their logarithm, from here upwards."""


def two_groups(losses: NDArray[np.float64]) -> dict[str, float]:
    """How well two groups explain the log losses [samples], and how large the upper group is.

    `train_loss_split` is the largest share of the variance that a threshold explains; `train_loss_upper`
    the share of samples above it. Empty for fewer than two finite losses.

    Source: Otsu (1979), A threshold selection method from gray-level histograms.
    """
    x = np.sort(np.log(np.maximum(losses[np.isfinite(losses)], LEAST)))
    n = len(x)
    if n < 2 or x[0] == x[-1]:
        return {}
    k = np.arange(1, n)  # samples in the lower group
    sums = np.cumsum(x)[:-1]
    low, high = sums / k, (x.sum() - sums) / (n - k)
    explained = k * (n - k) / n**2 * (high - low) ** 2 / x.var()
    best = int(np.argmax(explained))
    return {"train_loss_split": float(explained[best]), "train_loss_upper": float((n - k[best]) / n)}
