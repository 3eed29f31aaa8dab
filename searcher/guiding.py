"""What a sampler is given of a point, instead of choosing it freely: by what is known before, and by what the
trials have shown."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from searcher.cliffs import living_space
from searcher.incumbents import EVERY, around_the_best
from searcher.starts import Start

Told = Callable[[], Sequence[FrozenTrial]]
"""Gives the trials as a sampler is told them."""


@dataclass(frozen=True)
class Guide:
    """The first points are those of `start`. From the trial of the number `since` on, every second one lies
    around the best trials, and the ranges of all end where trials only died.

    `space` holds every setting that is searched. Signs are 1 for a metric to be minimized, -1 for one to be
    maximized.
    """

    space: Mapping[str, BaseDistribution]
    start: Start | None = None
    since: float = math.inf

    def point(self, number: int, told: Told, sign: float, seed: int) -> dict[str, Any]:
        """The values of a trial that are given, drawn with `seed`; empty when all are the sampler's."""
        first = self.start.point(number, told, sign, seed) if self.start is not None else {}
        if first or number < self.since or number % EVERY == 0:
            return first
        defaults = self.start.defaults if self.start is not None else {}
        living = living_space(number, self.space, told(), sign)
        return around_the_best(self.space, told(), sign, defaults, seed, living)

    def ranges(
        self, number: int, space: Mapping[str, BaseDistribution], told: Told, sign: float
    ) -> dict[str, BaseDistribution]:
        """Settings with the ranges that the sampler chooses from."""
        return dict(space) if number < self.since else living_space(number, space, told(), sign)
