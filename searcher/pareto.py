"""Which of several trials are better when several numbers count: domination, fronts, crowding. Pure.

Notation
    v    losses of trials: one row each, one column for each objective, lower is better     [n, m]

A row dominates another one when it is as good in every objective and better in one. NaN stands for what is
not known: it is neither better nor worse than anything, so such a row neither dominates nor is dominated.

Source: Fonseca and Fleming, Genetic Algorithms for Multiobjective Optimization, ICGA 1993 (how many dominate
a point as its rank); Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, IEEE
Transactions on Evolutionary Computation 6, 2002 (crowding distance).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]


def dominators(v: Numbers, one: Numbers) -> Mask:
    """Which rows of `v` dominate the point `one`, [n]."""
    return np.asarray((v <= one).all(axis=1) & (v < one).any(axis=1))


def dominated(v: Numbers, one: Numbers) -> Mask:
    """Which rows of `v` the point `one` dominates, [n]."""
    return np.asarray((v >= one).all(axis=1) & (v > one).any(axis=1))


def places(v: Numbers) -> Counts:
    """How many rows dominate each row, [n]: 0 on the Pareto front; with one objective, how many are
    better.
    """
    if v.shape[1] == 1:
        known = np.sort(v[~np.isnan(v)])
        counts = np.searchsorted(known, v[:, 0], side="left")
        return np.where(np.isnan(v[:, 0]), 0, counts).astype(np.int64)
    return np.array([int(dominators(v, row).sum()) for row in v], dtype=np.int64)


def on_front(v: Numbers) -> Mask:
    """Which rows nobody dominates, [n]. Takes time in proportion to the rows times those on the front."""
    found: Mask = np.asarray(np.isnan(v).any(axis=1))  # what is not known is dominated by nobody
    left = np.flatnonzero(~found)
    left = left[np.lexsort(v[left].T[::-1])]  # whoever dominates a row comes before it
    while len(left):
        first, left = left[0], left[1:]
        found[first] = True
        left = left[~dominated(v[left], v[first])]
    return found


def crowding(v: Numbers) -> Numbers:
    """How far from its neighbours each row stands, [n]: infinite for the best and the worst in an objective,
    else the sum over objectives of the gap between both neighbours, as a share of the whole span."""
    n, m = v.shape
    distance = np.zeros(n)
    for column in range(m):
        order = np.argsort(v[:, column], kind="stable")
        sorted_ = v[order, column]
        span = sorted_[-1] - sorted_[0] if n else 0.0
        if span > 0:
            distance[order[1:-1]] += (sorted_[2:] - sorted_[:-2]) / span
            distance[order[[0, -1]]] = np.inf
    return distance


def losses(rows: Sequence[Sequence[float]], signs: Sequence[float]) -> Numbers:
    """v of values; a sign is 1 for an objective to be minimized, -1 for one to be maximized."""
    values = np.array(rows, dtype=np.float64).reshape(len(rows), len(signs))
    return np.asarray(values * np.array(signs))
