"""The door of whoever keeps a record of a study, and the keeper that keeps none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from searcher.trial import TrialResult


@dataclass(frozen=True)
class Started:
    """What the record is told when a trial begins."""

    number: int
    settings: Mapping[str, Any]
    sampled: Mapping[str, Any]


class Tracker(Protocol):
    """Somebody who keeps a record of a study. Raises TrackingError when the record cannot be written."""

    def open(self, results: Sequence[TrialResult]) -> None:
        """Begin or go on; `results` are the trials finished before, which the record must show."""
        ...

    def start(self, trial: Started) -> None:
        """A trial begins."""
        ...

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """A trial was evaluated."""
        ...

    def end(self, result: TrialResult) -> None:
        """A trial ended; one that was never started here was trained by another coordinator."""
        ...

    def forget(self, number: int) -> None:
        """A trial was interrupted and will begin anew."""
        ...

    def report(self, files: Sequence[Path]) -> None:
        """Files of the study's report as it is now, which take the place of those before."""
        ...

    def close(self, summary: str, best: Sequence[int]) -> None:
        """The study was left; `summary` is Markdown for people, `best` the trials whose models count."""
        ...


class NullTracker:
    """Keeps no record."""

    def open(self, results: Sequence[TrialResult]) -> None: ...
    def start(self, trial: Started) -> None: ...
    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None: ...
    def end(self, result: TrialResult) -> None: ...
    def forget(self, number: int) -> None: ...
    def report(self, files: Sequence[Path]) -> None: ...
    def close(self, summary: str, best: Sequence[int]) -> None: ...
