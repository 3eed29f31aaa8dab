"""What a judge of trials is told, and what it is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from searcher.spec import Goal


@dataclass(frozen=True)
class Contest:
    """The study in which trials compete."""

    study: str
    goal: Goal


@dataclass(frozen=True)
class FinishedTrial:
    """What a trial leaves to the judgement of others.

    `values` maps evaluations due to values, `notes` holds what was noted while it was judged.
    """

    number: int
    completed: bool
    value: float | None
    values: Mapping[int, float] = field(default_factory=dict)
    notes: Mapping[str, Any] = field(default_factory=dict)


class Judge(Protocol):
    """Who gives trials up, by what it was told of them and of others."""

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""

    def should_prune(self, number: int, values: Mapping[int, float]) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value), all it has so far."""

    def notes(self, number: int) -> dict[str, Any]:
        """What was noted about a trial, to be stored with it."""
