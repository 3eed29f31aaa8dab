"""A trial that is being trained: what is known of it on the way, and the result it becomes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Trial

from diagnostics import Report
from searcher.launchers.job import Job
from searcher.patience import Patience
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult


@dataclass
class Attempt:
    """One attempt at a trial; `earlier` tells why those before it ended."""

    spec: StudySpec
    trial: Trial
    point: Point
    settings: Mapping[str, Any]
    job: Job
    earlier: tuple[str, ...]
    slot: str = ""  # where it trains; empty while it waits for room in the memory of a device

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """It begins, or begins anew, now: nothing was heard of it yet."""
        self.course = TrialCourse(self.spec.metric, self.spec.further, self.settings)
        self.patience = Patience.of(self.spec.dispatch, time.time())

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.trial.number

    def result(
        self, outcome: Outcome, report: Report, value: float | None, reason: str, detail: str
    ) -> TrialResult:
        """What came of it, now."""
        course, now = self.course, time.time()
        return TrialResult(
            number=self.number,
            settings=self.settings,
            sampled=tuple(self.point.sampled),
            inactive=self.point.inactive,
            outcome=outcome,
            report=report,
            value=value,
            values=course.values,
            metrics=tuple(sorted(course.metrics_seen)),
            best=course.best,
            epochs=course.epoch,
            reason=reason,
            detail=detail,
            signals=course.signals,
            facts=course.facts,
            seconds=now - self.patience.began,
            ended_at=now,
            attempts=self.earlier,
            usage=course.usage.rows,
            reprieves=course.reprieves,
            vectors=course.vectors,
        )
