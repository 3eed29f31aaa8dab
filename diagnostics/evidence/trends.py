"""Trends in noisy curves: robust slope, its significance, and the noise around it.

Notation
    x       values in order                                        [n]
    n       number of values
    S       Mann-Kendall statistic: rising pairs less falling pairs
    m       block medians of a longer curve                        [blocks]
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

SIGNIFICANT = 1.64
"""Score beyond which a trend is one (one-sided 5 %)."""


def theil_sen(x: Values) -> float:
    """The median slope per place over all pairs of `x` [n]; 0 for fewer than two.

    Source: Sen (1968), Estimates of the regression coefficient based on Kendall's tau.
    """
    if len(x) < 2:
        return 0.0
    i, j = np.triu_indices(len(x), k=1)
    return float(np.median((x[j] - x[i]) / (j - i)))


def mann_kendall(x: Values) -> float:
    """The score z of a monotonic trend in `x` [n]: about N(0, 1) without one, positive when it rises.

    Source: Kendall (1975), Rank Correlation Methods; the variance counts ties.
    """
    n = len(x)
    if n < 3:
        return 0.0
    i, j = np.triu_indices(n, k=1)
    s = float(np.sum(np.sign(x[j] - x[i])))
    _, ties = np.unique(x, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float(np.sum(ties * (ties - 1) * (2 * ties + 5)))) / 18
    if variance <= 0 or s == 0:
        return 0.0
    return (s - math.copysign(1, s)) / math.sqrt(variance)


def noise(x: Values) -> float:
    """The standard deviation of the noise in `x` [n], whatever its trend: from second differences.

    A straight line has second difference 0; independent noise of deviation s gives them deviation
    sqrt(6) s. House rule: the median makes it robust against single jumps.
    """
    if len(x) < 3:
        return 0.0
    return float(np.median(np.abs(np.diff(x, n=2)))) / 0.6745 / math.sqrt(6)


def block_medians(x: Values, blocks: int) -> Values:
    """`x` [n] in at most `blocks` runs of (almost) equal length, each replaced by its median."""
    runs = np.array_split(x, min(blocks, len(x))) if len(x) else []
    return np.array([np.median(run) for run in runs])


def mean_blocks(t: NDArray[np.int64], x: Values, blocks: int) -> Values:
    """The means of `x` [n] over at most `blocks` equal spans of the steps `t` [n]; empty spans left out.

    Means, not medians: the losses of small batches are skewed, and a mean is what is minimised. Steps may
    repeat: rows of one step fall into one span.
    """
    if not len(x):
        return np.array([])
    edges = np.linspace(float(t[0]), float(t[-1]) + 1, min(blocks, len(x)) + 1)[:-1]
    begins = np.unique(np.searchsorted(t, edges))
    begins = begins[begins < len(x)]
    counts = np.diff(np.append(begins, len(x)))
    return np.asarray(np.add.reduceat(x, begins) / counts)
