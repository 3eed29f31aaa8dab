"""Errors a person can mend. The command line prints their text without a traceback.

SearcherError
|- SpecError        a study file with mistakes, all of them at once
|- StorageError     Optuna's store cannot be reached, read or written
|- TrackingError    MLflow's store cannot be reached, read or written
|- StudyChanged     the study file no longer fits the trials that were recorded under its name
|- StudyBusy        another process is running this study
'- NotFound         a study or a trial that is not there
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SearcherError(Exception):
    """Something a person can mend; the text says what was wrong, what arrived and what to do."""


@dataclass(frozen=True)
class Mistake:
    """One mistake in a study file: where it is (`space.learning_rate`), its line (from 1, 0 when it
    has none) and what is wrong."""

    place: str
    message: str
    line: int = 0


class SpecError(SearcherError):
    """A study file with mistakes."""

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source = source
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = [f"{source} has {count}:"]
        for mistake in self.mistakes:
            at = f"line {mistake.line}: " if mistake.line else ""
            lines.append(f"  {at}{mistake.place}: {mistake.message}")
        super().__init__("\n".join(lines))


class StorageError(SearcherError):
    """Optuna's store cannot be reached, read or written; `passing` when that may pass by itself."""

    def __init__(self, text: str, *, passing: bool = False) -> None:
        super().__init__(text)
        self.passing = passing


class TrackingError(SearcherError):
    """MLflow's store cannot be reached, read or written; `reached` when it could be, and went away later."""

    def __init__(self, text: str, *, reached: bool = False) -> None:
        super().__init__(text)
        self.reached = reached


class StudyChanged(SearcherError):
    """The study file no longer fits the trials that were recorded under its name."""


class StudyBusy(SearcherError):
    """Another process is running this study."""


class NotFound(SearcherError):
    """A study or a trial that is not there."""
