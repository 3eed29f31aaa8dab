"""Where a search starts: at the settings that training has by default, then around the best so far. Pure.

A sampler that learns draws its first points evenly from the whole space. In a wide space most of them are
poor, and it learns first where not to look. What a trainer has by default is somebody's experience: there a
training goes, if not at its best. How far from it others go, and on which side they are better, the first
trials show: the next ones lie around the best of them, and not beyond one that never began to learn.

Source: Mallik et al., PriorBand: Practical Hyperparameter Optimization in the Age of Deep Learning, NeurIPS
2023, which draws around a default, and around the best so far, all through a search.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState

from searcher.beginnings import learnt_in
from searcher.cliffs import without_dead_ends
from searcher.incumbents import best_of
from searcher.ranges import Numbers, drawn_around, inside

KEPT = 0.5
"""Chance that a choice is the best trial's; else all are as likely (house rule)."""

SPREAD = 1 / 6
"""Standard deviation of a number around the best trial's, as a share of its range, on the log scale where
that has one (house rule): a decade of a range of six."""

EVERY = 5
"""Every so-manieth of the first trials, from the second one on, is drawn from the whole space, so that the
sampler knows that as well (house rule)."""

DEAD, DEAD_OF_ENDS = 1, 2
"""Trials that must have died beyond all that lived for a range to end before them (house rule): of the first
few each is news. Twice as many where the default is the end of the range, as that of a dropout is: all lie on
one side of it, and what one died of is seldom that."""

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
"""States of trials that tell something; those that failed do not."""


@dataclass(frozen=True)
class Start:
    """The first points of a study: their `count`, and the `defaults` of the settings that have one in the
    `space`. They stay around the defaults unless the trials may be `followed`.
    """

    space: Mapping[str, BaseDistribution]
    defaults: Mapping[str, Any]
    count: int
    followed: bool = True

    def point(
        self, number: int, told: Callable[[], Sequence[FrozenTrial]], sign: float, seed: int
    ) -> dict[str, Any]:
        """What the trial of this number begins with: the defaults, or a point around the best of the trials
        that are `told`, drawn with `seed`. `sign` is 1 for a metric to be minimized, else -1.

        Settings without a default are left out: they are the sampler's. Nothing for trials that it draws.
        """
        if number >= self.count or number % EVERY == 1:
            return {}
        if number == 0:
            return dict(self.defaults)
        trials = [t for t in told() if t.state in ENDED] if self.followed else []
        best = best_of(trials, sign, 1)
        around = {**self.defaults, **best[0].params} if best else self.defaults
        living = self._living(trials, {t.number for t in best})
        rng = np.random.default_rng(seed)
        return {
            name: drawn_around(self.space[name], around[name], SPREAD, KEPT, rng, living[name])
            for name in self.defaults
        }

    def _living(self, trials: Sequence[FrozenTrial], best: Container[int]) -> dict[str, BaseDistribution]:
        """The space without those ends of its ranges where trials only died: were doomed, or never better
        than guessing. Those of which nobody could tell say nothing; the `best` ones lived.
        """
        learnt = {t.number: t.number in best or learnt_in(t.user_attrs) for t in trials}
        known = [t for t in trials if learnt[t.number] is not None]
        died = {number for number, has in learnt.items() if has is False}
        dead = {name: DEAD_OF_ENDS if self._is_end(name) else DEAD for name in self.space}
        return without_dead_ends(self.space, known, died, dead)

    def _is_end(self, name: str) -> bool:
        """Whether the default of a setting is the end of its range."""
        numbers = self.space[name]
        return isinstance(numbers, Numbers) and self.defaults[name] in (numbers.low, numbers.high)


def nearest(distribution: BaseDistribution, value: Any) -> Any:
    """The value of a setting that is nearest to this one; None where none is near: among choices that are no
    numbers, or for a value of another kind.
    """
    if isinstance(distribution, CategoricalDistribution):
        alike = [choice for choice in distribution.choices if type(choice) is type(value)]
        if value in alike:
            return value
        return min(alike, key=lambda choice: abs(choice - value)) if alike and _is_number(value) else None
    if not _is_number(value):
        return None
    assert isinstance(distribution, Numbers)
    return inside(distribution, value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
