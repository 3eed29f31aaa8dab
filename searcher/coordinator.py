"""The coordinator: ask for a point, launch it, follow what it says, tell what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from optuna import Trial

from diagnostics import Report
from searcher.budget import exhausted, used_device_hours, used_hours
from searcher.errors import SearcherError, StorageError
from searcher.events import Noted, StudyOpened, TrialEnded, TrialProgressed, TrialStarted, View
from searcher.interrupts import Interrupts
from searcher.launchers import Launcher
from searcher.launchers.job import End, Ended, Job, Message
from searcher.ledger import Ledger
from searcher.policy import MISTAKE, finding_of, is_shown_first, may_retry, outcome_of, stop_reason
from searcher.records import trial_folder, write_files
from searcher.settings import job_settings, refused_settings, settings_of
from searcher.space import Point, count_points
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.tracking import BackgroundTracker, Started
from searcher.trial import Outcome, TrialCourse, TrialResult
from trainers.errors import SettingError
from trainers.progress import Progress

POLL_SECONDS = 0.1


@dataclass
class _Running:
    """A trial that is being trained."""

    trial: Trial
    point: Point
    settings: Mapping[str, Any]
    course: TrialCourse
    started: float
    attempts: tuple[str, ...]


class Coordinator:
    """One run of a study by one coordinator, the only writer of both stores."""

    def __init__(
        self,
        spec: StudySpec,
        store: StudyStore,
        launcher: Launcher,
        tracker: BackgroundTracker,
        view: View,
        runs: Path,
    ) -> None:
        self.spec = spec
        self.view = view
        self.ledger = Ledger(spec.metric, runs)
        self.why = ""
        self._store = store
        self._launcher = launcher
        self._tracker = tracker
        self._runs = runs
        self._running: dict[int, _Running] = {}
        self._began = time.time()
        self._hours_before = 0.0
        self._points = count_points(spec)
        self._done_before = 0
        self._parking = False

    def run(self, interrupts: Interrupts) -> None:
        """Train until the budget is used or somebody interrupts."""
        requeued = self._store.requeue_interrupted()
        for result in self._store.results():
            self.ledger.add(result)
        self._hours_before = used_hours(self.ledger.results)
        self._done_before = len(self.ledger.results)
        self._tracker.open(self.ledger.results)
        self.view(StudyOpened(self.spec, self._launcher.slots, tuple(self.ledger.results), requeued))
        try:
            self._loop(interrupts)
        except BaseException as error:
            self.why = f"it could not go on: {(str(error).splitlines() or [type(error).__name__])[0]}"
            self._abandon_running()
            raise

    def _loop(self, interrupts: Interrupts) -> None:
        while True:
            self._tracker.check()
            self._fill(interrupts)
            if not self._running:
                return
            for message in self._launcher.poll(POLL_SECONDS):
                self._take(message)
            if interrupts.parked and not self._parking:
                self._parking = True
                self.view(Noted(_parking(len(self._running))))
            if interrupts.at_once:
                self.why = "it was stopped; the trials that were running are queued again"
                self._abandon_running()
                return

    def _fill(self, interrupts: Interrupts) -> None:
        while len(self._running) < len(self._launcher.slots):
            why = "it was parked" if interrupts.parked else self._budget_reached()
            if why:
                self.why = why
                return
            self._start_next()

    def _budget_reached(self) -> str:
        begun = len(self.ledger.results) + len(self._running)
        now = time.time()
        hours = self._hours_before + (now - self._began) / 3600
        running = sum(now - running.started for running in self._running.values()) / 3600
        device_hours = used_device_hours(self.ledger.results) + running
        return exhausted(self.spec.search, begun, hours, device_hours, self._points)

    def _start_next(self) -> None:
        trial, point = self._store.ask()
        refused = ""
        try:
            settings = settings_of(self.spec, point)
        except SettingError as error:
            settings, refused = refused_settings(self.spec, point), str(error)
        running = _Running(
            trial, point, settings, TrialCourse(self.spec.metric), time.time(), self._store.attempts(trial)
        )
        self._running[trial.number] = running
        self._tracker.start(Started(trial.number, settings, point.sampled))
        if refused:
            self._end(running, Ended(End.MISTAKE, refused))
        else:
            self._launch(running)

    def _launch(self, running: _Running) -> None:
        number = running.trial.number
        settings = job_settings(self.spec, running.settings, trial_folder(self._runs, number))
        slot = self._launcher.launch(Job(number, self.spec.trainer, settings))
        self.view(TrialStarted(number, slot, running.point.sampled, running.attempts))

    def _take(self, message: Message) -> None:
        running = self._running.get(message.number)
        if running is None:
            return
        if isinstance(message.body, Ended):
            self._end(running, message.body)
        else:
            self._follow(running, message.body)

    def _follow(self, running: _Running, progress: Progress) -> None:
        number, course = running.trial.number, running.course
        reason = stop_reason(course.add(progress))
        if progress.metrics:
            self._tracker.evaluate(number, progress.step, progress.metrics)
        self.view(TrialProgressed(number, course, bool(progress.metrics)))
        if reason:
            self._launcher.cancel(number)
            self._finish(running, Outcome.DOOMED, self._judged(running, "stopped"), reason)
        elif progress.metrics and self._store.should_prune(running.trial, course.values):
            self._launcher.cancel(number)
            pruner, value = self.spec.search.pruner.name, list(course.values.values())[-1]
            metric = self.spec.metric.name
            reason = (
                f"pruned by {pruner} at epoch {course.epoch:.3g}: {metric} {value:.4g} is behind other trials"
            )
            self._finish(running, Outcome.PRUNED, self._judged(running, "stopped"), reason)

    def _end(self, running: _Running, ended: Ended) -> None:
        if is_shown_first(ended, running.attempts) and not self._trainable():
            # Most likely it is not this trial's alone. When it is met again, the study goes on without it.
            self._store.note_attempt(running.trial, MISTAKE + ended.cause)
            raise SearcherError(ended.cause)
        if may_retry(ended, running.attempts, self.spec.search.retries):
            self._retry(running, ended)
            return
        course = running.course
        report = self._judged(running, "finished" if ended.end is End.FINISHED else "failed")
        finding = finding_of(ended, course.step)
        if finding is not None:
            report = replace(report, findings=(finding, *report.findings))
        outcome, reason = outcome_of(ended, report), ended.cause or stop_reason(report.findings)
        if outcome is Outcome.COMPLETED and course.value is None:
            outcome, reason = Outcome.DOOMED, self._no_value(course)
        self._finish(running, outcome, report, reason, ended.detail)

    def _judged(self, running: _Running, ended: str) -> Report:
        """The last judgement: only it knows what other trials reached, so that stops can be repeated."""
        return running.course.judged(ended, self.ledger.results)

    def _retry(self, running: _Running, ended: Ended) -> None:
        number = running.trial.number
        running.attempts = self._store.note_attempt(running.trial, ended.cause)
        running.course, running.started = TrialCourse(self.spec.metric), time.time()
        self.view(Noted(f"trial {number}: {ended.cause}; it begins anew"))
        self._tracker.forget(number)
        self._launch(running)
        self._tracker.start(Started(number, running.settings, running.point.sampled))

    def _finish(
        self, running: _Running, outcome: Outcome, report: Report, reason: str, detail: str = ""
    ) -> None:
        course, now = running.course, time.time()
        value = course.value
        if outcome in (Outcome.DOOMED, Outcome.FAILED):
            value = self._store.stand_in(course.values.values(), course.facts)
        result = TrialResult(
            number=running.trial.number,
            settings=running.settings,
            sampled=tuple(running.point.sampled),
            inactive=running.point.inactive,
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
            seconds=now - running.started,
            ended_at=now,
            attempts=running.attempts,
        )
        write_files(self._runs, result)
        self._store.tell(running.trial, result)
        del self._running[result.number]
        is_best = self.ledger.add(result)
        self._tracker.end(result)
        self.view(TrialEnded(result, is_best))
        if (failure := self.ledger.common_failure) is not None:
            raise SearcherError(
                f"all trials failed the same way: {failure.reason}\n{failure.detail}".rstrip()
            )

    def _trainable(self) -> bool:
        """Whether any trial of this run was evaluated: then a mistake is that of one trial's settings.

        Trials of earlier runs say nothing of the data and the own code as they are now.
        """
        return any(result.values for result in self.ledger.results[self._done_before :]) or any(
            running.course.values for running in self._running.values()
        )

    def _no_value(self, course: TrialCourse) -> str:
        metric = self.spec.metric.name
        if metric in course.metrics_seen:
            return f"{metric} was not finite at any evaluation"
        if not self._trainable():
            seen = ", ".join(sorted(course.metrics_seen)) or "nothing"
            raise SearcherError(f"the metric {metric!r} was never reported; the trainer reported: {seen}")
        return f"{metric} was never reported"

    def _abandon_running(self) -> None:
        """Put every running trial back into the queue."""
        for number in list(self._running):
            self._launcher.cancel(number)
            with contextlib.suppress(StorageError):  # the next run finds it running, and queues it then
                self._store.requeue(number)
            self._tracker.forget(number)
            del self._running[number]


def _parking(running: int) -> str:
    trials = "the running trial is" if running == 1 else f"the {running} running trials are"
    return f"parking: {trials} finished first; Ctrl-C again stops at once and queues them again"
