"""What the good trials of a study needed: the measure for others that need more.

How long a training may take for something hangs on the task. When some have come to their end, it is known
how long the good ones took.
"""

from __future__ import annotations

import math
from bisect import insort

from searcher.spec import Metric
from searcher.trial import Outcome, TrialResult

MARGIN = 1.5
"""Times as much as the good trial that needed most is given to every trial (house rule)."""

GOOD = 0.5
"""Share of the completed trials, the best first, that are good ones (house rule)."""

KNOWN = 4
"""Trials that must have been completed: the first ones may have been quick by luck, and better ones slower
(house rule)."""


class GoodTrials:
    """A figure of each completed trial of a search, and the largest one among the good ones."""

    def __init__(self, metric: Metric) -> None:
        self._sign = metric.sign
        self._figures: list[tuple[float, float]] = []  # cost, and figure, the best trial first
        self.most = math.inf
        """The largest figure of a good trial; infinity while too few are known."""

    def add(self, result: TrialResult, figure: float) -> None:
        """A trial of the search was completed."""
        assert result.value is not None
        insort(self._figures, (self._sign * result.value, figure))
        if len(self._figures) >= KNOWN:
            good = math.ceil(GOOD * len(self._figures))
            self.most = max(one for _, one in self._figures[:good])


def counts(result: TrialResult) -> bool:
    """Whether a trial says what trials need: it is one of the search, and was completed."""
    return result.outcome is Outcome.COMPLETED and result.value is not None and result.confirms is None
