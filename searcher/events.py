"""What happens in a study, for whoever wants to see it. Data flows one way: from the study to the view."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from searcher.repeats import Repeat
from searcher.spec import StudySpec
from searcher.trial import TrialCourse, TrialResult


@dataclass(frozen=True)
class StudyOpened:
    """A study begins or goes on: `results` of trials finished before, `requeued` trials that were
    interrupted."""

    spec: StudySpec
    slots: tuple[str, ...]
    results: tuple[TrialResult, ...]
    requeued: int


@dataclass(frozen=True)
class TrialStarted:
    """A trial begins in a slot; `attempts` tells why earlier ones ended, `repeat` which trial it trains
    again, and with which seed, if it does."""

    number: int
    slot: str
    sampled: Mapping[str, Any]
    attempts: tuple[str, ...]
    repeat: Repeat | None = None


@dataclass(frozen=True)
class TrialProgressed:
    """A running trial said something; `evaluated` when it was evaluated."""

    number: int
    course: TrialCourse
    evaluated: bool


@dataclass(frozen=True)
class TrialEnded:
    """A trial has its result; `is_best` when none before was better."""

    result: TrialResult
    is_best: bool


@dataclass(frozen=True)
class Noted:
    """Something a person should know."""

    text: str


@dataclass(frozen=True)
class StudyLeft:
    """The study was left, because of `why`."""

    spec: StudySpec
    results: tuple[TrialResult, ...]
    why: str


class View(Protocol):
    """Something that shows events. It gives nothing back."""

    def __call__(self, event: Event) -> None:
        """Show what happened."""
        ...


Event = StudyOpened | TrialStarted | TrialProgressed | TrialEnded | Noted | StudyLeft
