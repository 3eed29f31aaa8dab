"""The objective of all trials, those that failed among them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from searcher.spec import StudySpec
from searcher.trial import TrialResult

Numbers = NDArray[np.float64]


def objectives(spec: StudySpec, results: Sequence[TrialResult]) -> Numbers:
    """What every trial reached. One without a value of its own counts as the worst that any other has;
    while there is none, as the stand-in that the search was told. NaN where there is neither."""
    failed = np.array([not result.has_own_value for result in results], dtype=bool)
    own = [math.nan if result.value is None else result.value for result in results]
    values = np.array(own, dtype=np.float64)
    reached = values[~failed & np.isfinite(values)]
    if len(reached):
        worst = reached.min() if spec.metric.goal == "maximize" else reached.max()
        values[failed | ~np.isfinite(values)] = worst
    return values


def ranks(spec: StudySpec, values: Numbers) -> Numbers:
    """The rank of every value, from 0 for the worst to 1 for the best; equals share their mean rank.

    Ranks, because a few failures would otherwise be all that there is to an objective.
    """
    better = values if spec.metric.goal == "maximize" else -values
    _, place, counts = np.unique(better, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    mean = ends - (counts + 1) / 2
    return np.asarray(mean[place] / max(len(values) - 1, 1))
