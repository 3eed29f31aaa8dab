"""How a trial stands among others at the same point of their training, by all objectives of the study.

The place of a trial is how many others dominate it: 0 for one that nobody dominates, and with one objective
how many are better. A number for each trial is all that pruners need to compare. Adding and asking take time
in proportion to the trials there, in numpy.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searcher.contest import Contest
from searcher.pareto import dominated, dominators
from searcher.vectors import Vector


class Standings:
    """Trials at one point of their training, each with all its objectives there."""

    def __init__(self, contest: Contest) -> None:
        self._signs = np.array(contest.signs)
        self._numbers: list[int] = []
        self._losses = np.empty((0, len(self._signs)))
        self._places = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, number: int, vector: Vector) -> None:
        """A trial is here."""
        one = self._signs * vector
        self._places += dominated(self._losses, one)
        self._places = np.append(self._places, self.place(vector))
        self._losses = np.vstack([self._losses, one])
        self._numbers.append(number)

    def remove(self, number: int) -> None:
        """A trial was not here."""
        at = self._numbers.index(number)
        one = self._losses[at]
        del self._numbers[at]
        self._losses = np.delete(self._losses, at, axis=0)
        self._places = np.delete(self._places, at) - dominated(self._losses, one)

    def place(self, vector: Sequence[float]) -> int:
        """How many of those here dominate a trial, be it one of them or not."""
        return int(dominators(self._losses, self._signs * vector).sum())

    def is_among(self, best: int, vector: Vector) -> bool:
        """Whether a trial stands at least as well as the worst of so many; one that nobody dominates does."""
        place = self.place(vector)
        return place == 0 or bool(place <= np.partition(self._places, best - 1)[best - 1])

    def is_within(self, percentile: float, vector: Vector) -> bool:
        """Whether a trial stands as well as this percentile of those here; one that nobody dominates does.
        Between two of them the worse one is the bound.
        """
        place = self.place(vector)
        return place == 0 or bool(place <= np.percentile(self._places, percentile, method="higher"))
