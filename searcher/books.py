"""What trials came to, written down: in both stores, in their folders and in the ledger."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from diagnostics import Report
from diagnostics.findings import Facts
from searcher.attempt import Attempt, Running
from searcher.budget import exhausted, used_hours
from searcher.errors import SearcherError
from searcher.events import Noted, TrialEnded, View
from searcher.extending import extension_of, may_extend
from searcher.feasibility import broken_early, check_measured, check_names, settled
from searcher.launchers.job import End, Ended
from searcher.ledger import Ledger
from searcher.nonstarters import NonStarters
from searcher.objectives import behind_others, unknown_objective, with_objectives
from searcher.policy import finding_of, finding_of_memory, outcome_of, stop_reason
from searcher.records import left_states, trial_folder, with_files, write_files
from searcher.repeating import Repeating
from searcher.reprieves import reprieve_of
from searcher.sampling import count_points
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.tracking import BackgroundTracker
from searcher.trial import Outcome, TrialCourse, TrialResult, searched
from trainers.states import forget_state

HOW = {End.FINISHED: "finished", End.TIMEOUT: "stopped"}
"""How a training ended, for its report; else it failed."""

REACHED = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.INFEASIBLE)
"""Ends after which the value is what was reached, where there is one; else it is a stand-in."""

T = TypeVar("T")


class Patiently(Protocol):
    """Calls something that needs the store, and waits while that is away."""

    def __call__(self, call: Callable[[], T]) -> T:
        """What `call` gives."""
        ...


class Books:
    """The results of a study, those of other coordinators among them."""

    def __init__(
        self,
        spec: StudySpec,
        store: StudyStore,
        tracker: BackgroundTracker,
        view: View,
        runs: Path,
        patiently: Patiently,
    ) -> None:
        self.ledger = Ledger(spec.metric, runs, spec.further)
        self.repeating = Repeating(spec, store, self.ledger, view)
        self._non_starters = NonStarters(spec)
        self.has_values = False  # whether a trial of this run was evaluated; earlier runs say nothing of it
        self._spec = spec
        self._store = store
        self._tracker = tracker
        self._view = view
        self._runs = runs
        self._patiently = patiently
        self._limits = spec.search.limits
        self._points = count_points(spec)
        self._began, self._hours_before = time.time(), 0.0

    def open(self) -> None:
        """Take in what was recorded before."""
        for result in self._store.news():
            self._count(result)
        self._forget_left_states()
        self._hours_before = used_hours(searched(self.ledger.results))
        self._tracker.open(self.ledger.results)

    def budget_reached(self, running: Running) -> str:
        """Which budget is used, in words, as these trials are `running`; empty when none is."""
        here = self.ledger.searched + sum(attempt.repeat is None for attempt in running.values())
        return self._used(self._store.begun() if self._store.claims.shared else here, running)

    def time_is_up(self, running: Running) -> str:
        """Why nothing more of the search is begun, whatever is left of its trials; empty when it may be."""
        return self._used(0, running)

    def is_trainable(self, running: Running) -> bool:
        """Whether any trial of this run was evaluated: then a mistake is that of one trial's settings."""
        return self.has_values or running.has_values

    def _used(self, begun: int, running: Running) -> str:
        now = time.time()
        hours = self._hours_before + (now - self._began) / 3600
        ours = sum(now - one.patience.began for one in running.launched if one.repeat is None)
        device_hours = self.ledger.device_hours + ours / 3600
        used = exhausted(self._spec.search, begun, hours, device_hours, self._points)
        return used or ("the budget of the search is used" if self.repeating.is_search_over() else "")

    def _forget_left_states(self) -> None:
        """Remove states of trials that were told, but whose coordinator died right after that."""
        finished = {result.number for result in self.ledger.results}
        for folder in {path.parent for path in left_states(self._runs)}:
            if int(folder.name) in finished:
                forget_state(folder)

    def hear_of_others(self) -> None:
        """Take in what other coordinators have recorded since."""
        self._take_in()

    def _take_in(self, *own: TrialResult) -> None:
        """Take in a result of our own and those of others, in the order in which they were told."""
        news = self._patiently(self._store.news) if self._store.claims.shared else []
        others = [with_files(self._runs, result) for result in news]
        for result in sorted([*own, *others], key=lambda result: result.ended_at):
            is_best = self._count(result)
            self._tracker.end(result)
            self._view(TrialEnded(result, is_best))

    def _count(self, result: TrialResult) -> bool:
        """Take in a result; whether it is the best so far."""
        self._non_starters.add(result)
        return self.ledger.add(result)

    def reason_to_stop(self, attempt: Attempt) -> str:
        """Why a training must stop now; empty when it may go on, be it by a reprieve."""
        course = attempt.course
        reason = stop_reason(course.findings)
        reprieve = reprieve_of(self._spec, attempt.number, course, self.ledger.results) if reason else None
        if reprieve is None:
            return reason
        if course.let_run(reprieve):
            self._view(Noted(f"trial {attempt.number} {reprieve.text}"))
        return ""

    def broken(self, attempt: Attempt) -> str:
        """Which constraint a running trial is known to violate, as a sentence; empty when none is.

        Raises: SearcherError for one on what is not measured of a trial.
        """
        check_measured(self._spec, self._limits, attempt.course.facts)
        return broken_early(self._limits, attempt.settings, attempt.course.facts)

    def judged(self, attempt: Attempt, ended: str) -> Report:
        """The last judgement: only it knows what other trials reached, so that stops can be repeated."""
        course = attempt.course
        report = course.judged(ended, self.ledger.siblings(course.facts))
        parts = finding_of_memory(course.facts)
        return report if parts is None else replace(report, findings=(*report.findings, parts))

    def judged_end(self, attempt: Attempt, ended: Ended, *, trainable: bool) -> tuple[Outcome, Report, str]:
        """What a training that ended by itself has come to, its last judgement and the reason.

        Raises: SearcherError when the metric is likely misspelt.
        """
        course, has_value = attempt.course, attempt.course.value is not None
        report = self.judged(attempt, HOW.get(ended.end, "failed"))
        finding = finding_of(ended, course.step, has_value=has_value)
        if finding is not None:
            report = replace(report, findings=(finding, *report.findings))
        outcome = outcome_of(ended, report, has_value=has_value)
        lacking = unknown_objective(self._spec, course) if has_value else self._spec.metric.name
        if outcome is Outcome.COMPLETED and lacking:
            is_known = any(one.outcome is Outcome.COMPLETED for one in self.ledger.results)
            is_sound = is_known if has_value else trainable
            return Outcome.DOOMED, report, self._no_value(course, lacking, trainable=is_sound)
        return outcome, report, ended.cause or stop_reason(report.findings) or attempt.past_best

    def behind(self, attempt: Attempt, *, evaluated: bool) -> str:
        """Why a trial is given up that has said something, be it that it was `evaluated`; empty when it may
        go on."""
        pruned = self._pruned(attempt) if evaluated else ""
        is_exempt = attempt.repeat is not None or attempt.course.is_audited or not attempt.may_be_pruned
        if pruned or is_exempt:
            return pruned
        return self._non_starters.why(attempt.course)

    def _pruned(self, attempt: Attempt) -> str:
        """Why the pruner gives up a trial that was just evaluated; empty when it does not."""
        course, pruner = attempt.course, self._spec.search.pruner.name
        if course.is_audited:
            self._store.follow(attempt.trial, course.standing)
            return ""
        if not self._store.should_prune(attempt.trial, course.standing) or not attempt.may_be_pruned:
            return ""
        return f"pruned by {pruner} at epoch {course.epoch:.3g}: {behind_others(self._spec, course)}"

    def extended(self, attempt: Attempt, ended: Ended) -> bool:
        """Whether a training that came to its end goes on beyond it; then it has got more epochs."""
        course, is_new = attempt.course, attempt.extension is None and attempt.repeat is None
        if ended.end is not End.FINISHED or course.value is None or not is_new or attempt.past_best:
            return False
        if not may_extend(self._spec, attempt.settings):
            return False
        outcome, report, _ = self.judged_end(attempt, ended, trainable=True)
        found = extension_of(self._spec, attempt.settings, course, report, self.ledger.results)
        if found is None or outcome is not Outcome.COMPLETED:
            return False
        if not self._patiently(lambda: self._store.is_ours(attempt.number)):
            return False
        extension = replace(found, seconds=time.time() - attempt.patience.began)
        self._patiently(lambda: self._store.extend(attempt.trial, extension))
        self._view(Noted(f"trial {attempt.number} {extension.text}"))
        attempt.extend(extension)
        return True

    def close(self, attempt: Attempt, outcome: Outcome, report: Report, reason: str, detail: str) -> None:
        """Write down how a trial ended."""
        if not self._patiently(lambda: self._store.is_ours(attempt.number)):
            self.give_up(attempt.number)  # before its files take the place of those of whoever has it now
            return
        course = attempt.course
        self.has_values = self.has_values or bool(course.values)
        result = attempt.result(outcome, report, course.value, reason, detail)
        check_names(self._limits, result, self.ledger.results)
        result = settled(self._limits, result)
        if result.outcome not in REACHED or (result.outcome is Outcome.INFEASIBLE and result.best is None):
            value = self._stand_in(course.values.values(), course.facts)
            result = replace(result, value=value)
        result = with_objectives(
            self._spec, result, lambda place, own: self._stand_in(own, result.facts, place)
        )
        write_files(self._runs, result)
        told = self._patiently(lambda: self._store.tell(attempt.trial, result))
        if told is None:
            self.give_up(result.number)
            return
        forget_state(trial_folder(self._runs, told.number))
        self._take_in(told)

    def _stand_in(self, own: Iterable[float], facts: Facts, place: int = 0) -> float:
        return self._patiently(lambda: self._store.stand_in(own, facts, place))

    def check(self) -> None:
        """Raises: SearcherError when all trials have failed the same way."""
        if (failure := self.ledger.common_failure) is not None:
            raise SearcherError(
                f"all trials failed the same way: {failure.reason}\n{failure.detail}".rstrip()
            )

    def give_up(self, number: int) -> None:
        """A trial of ours is another coordinator's now: what comes of it is theirs to tell."""
        self._tracker.forget(number)
        self._view(Noted(f"trial {number} was taken over by another coordinator"))

    def _no_value(self, course: TrialCourse, metric: str, *, trainable: bool) -> str:
        """Why a training that ran to its end has no value of this metric.

        Raises: SearcherError when the metric is likely misspelt: no trial has ever reported it.
        """
        if metric in course.metrics_seen:
            return f"{metric} was not finite at any evaluation"
        if not trainable:
            facts = course.facts if course.metrics_seen and metric != self._spec.metric.name else ()
            seen = ", ".join(sorted({*course.metrics_seen, *facts})) or "nothing"
            raise SearcherError(f"the metric {metric!r} was never reported; the trainer reported: {seen}")
        return f"{metric} was never reported"
