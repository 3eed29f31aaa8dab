"""A trial that is being trained: what is known of it on the way, and the result it becomes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Trial

from diagnostics import Report
from searcher.extending import EPOCHS, Extension, extension_in, may_extend
from searcher.launchers.job import Job
from searcher.ledger import Ledger
from searcher.pastbest import PATIENCE, may_end_early, why_past_best
from searcher.patience import Patience
from searcher.repeats import Repeat, repeat_of
from searcher.settings import job_of, refused_settings, settings_of
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult
from trainers.errors import SettingError

KEEP = "keep_last_state"
"""The setting by which a training leaves its state at its end."""


@dataclass
class Attempt:
    """One attempt at a trial; `earlier` tells why those before it ended."""

    spec: StudySpec
    trial: Trial
    point: Point
    settings: Mapping[str, Any]
    job: Job
    earlier: tuple[str, ...]
    repeat: Repeat | None = None  # of a trial of the search, with another seed
    extension: Extension | None = None  # to more epochs than were planned
    waits: int | None = None  # evaluations without a better one after which it ends, where we have said so
    slot: str = ""  # where it trains; empty while it waits for one, or for room in the memory of a device

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """It begins, or begins anew, now: nothing was heard of it yet."""
        self.course = TrialCourse(self.spec.metric, self.spec.further, self.settings)
        self.patience = Patience.of(self.spec.dispatch, time.time())

    def extend(self, extension: Extension) -> None:
        """From now on it has more epochs, all of them; it begins anew, and its training goes on from its last
        state."""
        more, whole = {EPOCHS: extension.epochs}, {PATIENCE: None} if self.waits is not None else {}
        self.extension, self.waits = extension, None
        self.settings = {**self.settings, **more}
        self.job = replace(self.job, settings={**self.job.settings, **more, **whole, KEEP: False})

    @property
    def may_be_pruned(self) -> bool:
        """Whether it has come further than to the end that was planned: up to there nobody has pruned it."""
        return self.extension is None or self.course.epoch > self.extension.planned

    @property
    def past_best(self) -> str:
        """Why it has ended by itself before its last epoch, when it was given a patience; else empty."""
        return why_past_best(self.spec.metric, self.course, self.waits)

    @property
    def number(self) -> int:
        """The number of the trial."""
        return self.trial.number

    def result(
        self, outcome: Outcome, report: Report, value: float | None, reason: str, detail: str
    ) -> TrialResult:
        """What came of it, now."""
        course, now = self.course, time.time()
        before = 0.0 if self.extension is None else self.extension.seconds
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
            seconds=before + now - self.patience.began,
            ended_at=now,
            attempts=self.earlier,
            usage=course.usage.rows,
            reprieves=course.reprieves,
            confirms=None if self.repeat is None else self.repeat.of,
            extended="" if self.extension is None else self.extension.text,
            vectors=course.vectors,
        )


class Running(dict[int, Attempt]):
    """The trials that were asked for and have not ended, by number."""

    @property
    def held(self) -> Attempt | None:
        """The trial that waits for a slot, or for room in the memory of a device, if there is one."""
        return next((attempt for attempt in self.values() if not attempt.slot), None)

    @property
    def launched(self) -> list[Attempt]:
        """Those that train."""
        return [attempt for attempt in self.values() if attempt.slot]

    @property
    def has_values(self) -> bool:
        """Whether one of them was evaluated."""
        return any(attempt.course.values for attempt in self.values())


def first_attempt(
    spec: StudySpec,
    trial: Trial,
    point: Point,
    earlier: tuple[str, ...],
    ledger: Ledger,
    runs: Path,
    slots: int,
) -> tuple[Attempt, str]:
    """The attempt at a trial that was just asked for, with a job for one of so many `slots`; and why its
    settings are refused, empty when they are not."""
    repeat, refused = repeat_of(trial.user_attrs), ""
    try:
        settings = settings_of(spec, point, repeat)
    except SettingError as error:
        settings, refused = refused_settings(spec, point), str(error)
    job = job_of(spec, trial.number, settings, runs, ledger.alike(settings), slots)
    if not refused and repeat is None and may_extend(spec, settings):
        job = replace(job, settings={**job.settings, KEEP: True})
    waits = None
    if not refused and repeat is None and may_end_early(spec, trial.number, settings):
        waits = ledger.waits.patience(settings)
        job = replace(job, settings={**job.settings, PATIENCE: waits})
    attempt = Attempt(spec, trial, point, settings, job, earlier, repeat, waits=waits)
    if (extension := extension_in(trial.user_attrs)) is not None:
        attempt.extend(extension)
    return attempt, refused
