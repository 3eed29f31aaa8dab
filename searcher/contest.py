"""What a judge of trials is told, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from searcher.spec import Goal
from searcher.vectors import Vector

Value = float | Vector
"""What a trial has reached: a number, or one for each objective where there are several."""

Values = Mapping[int, Value]
"""Evaluations due -> what it had reached by then."""


def numbers_of(values: Values) -> dict[int, float]:
    """The values of a study with one objective."""
    return {due: value for due, value in values.items() if not isinstance(value, tuple)}


@dataclass(frozen=True)
class Contest:
    """The study in which trials compete; `further` are the goals of objectives beside the first one."""

    study: str
    goal: Goal
    further: tuple[Goal, ...] = ()

    @property
    def signs(self) -> tuple[float, ...]:
        """What makes lower values of each objective the better ones."""
        return tuple(-1.0 if goal == "maximize" else 1.0 for goal in (self.goal, *self.further))


@dataclass(frozen=True)
class FinishedTrial:
    """What a trial leaves to the judgement of others.

    `values` maps evaluations due to values, `notes` holds what was noted while it was judged.
    """

    number: int
    completed: bool
    value: float | None
    values: Values = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Who gives trials up, by what it was told of them and of others."""

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value), all it has so far."""

    def notes(self, number: int) -> dict[str, Any]:
        """What was noted about a trial, to be stored with it."""


class NeverPrunes:
    """Gives nobody up."""

    def end(self, trial: FinishedTrial) -> None: ...

    def forget(self, number: int) -> None: ...

    def should_prune(self, number: int, values: Values) -> bool:
        return False

    def notes(self, number: int) -> dict[str, Any]:
        return {}
