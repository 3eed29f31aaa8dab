"""Trials that are told without any training, for studies that others begin with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from diagnostics import Finding, Report, Severity, Verdict
from searcher.opening import open_study
from searcher.settings import settings_of
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.trial import Outcome, TrialResult


def loss(point: Point) -> float:
    """Best at x = 0.7, whatever else."""
    return (point.sampled["x"] - 0.7) ** 2 + 0.1


def train(store: StudyStore, outcome: Outcome = Outcome.COMPLETED) -> Mapping[str, Any]:
    """One trial from asking to telling; its point."""
    trial, point = store.ask()
    fatal = (Finding("diverging", Severity.FATAL, 7, {}, "it left", "a smaller step"),)
    result = TrialResult(
        number=trial.number,
        settings=settings_of(store.spec, point),
        sampled=tuple(point.sampled),
        inactive=point.inactive,
        outcome=outcome,
        report=Report(Verdict.INCOMPLETE, fatal if outcome is Outcome.DOOMED else ()),
        value=loss(point),
        values={1: loss(point) + 1, 3: loss(point)},
    )
    store.tell(trial, result)
    return point.sampled


def told(
    spec: StudySpec, url: str, count: int, outcome: Outcome = Outcome.COMPLETED
) -> list[Mapping[str, Any]]:
    store = open_study(spec, url)
    return [train(store, outcome) for _ in range(count)]
