"""The record in MLflow, a mirror of Optuna's store: one parent run, one child run for every trial."""

from __future__ import annotations

import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostics import Signals
from searcher.errors import TrackingError
from searcher.records import WEIGHTS, trial_folder, with_files
from searcher.spec import StudySpec
from searcher.tracking.axes import BEST, FAILURES, curve_name
from searcher.tracking.belongings import NOTHING, Belongings, give
from searcher.tracking.confirm_tags import confirm_tags
from searcher.tracking.entries import (
    FINISHED,
    LONGEST_TAG,
    NOTE,
    NUMBER,
    PARENT,
    STATUS,
    SoFar,
    device_of,
    device_tag,
    number_of,
    step_in_record,
    trial_record,
)
from searcher.tracking.mlflow_store import translated
from searcher.tracking.mlflow_study import TRIALS, MlflowStudy, begun, curve_points, now, points_of
from searcher.tracking.models import has_model, log_model, names_of_models
from searcher.tracking.objectives import pareto_tags
from searcher.tracking.tracker import Started
from searcher.tracking.usage_curves import usage_curves
from searcher.trial import Outcome, TrialResult, row_of
from searcher.verify import STUDY

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run, RunInfo

FLUSH_SECONDS = 15.0
"""How often the curves of running trials are written: seldom enough to make large batches."""


@dataclass
class _Child:
    """A trial that goes on: its run, once there is one, and the points that were not written yet.

    A run is made at the first flush or at the end, whichever comes first: what is known by then goes
    in with it, which is a good deal faster. Of two evaluations at a step the last one counts; where the
    first one was `written` already, for good, the run is `spoiled` and made anew at the end.
    """

    trial: Started
    started_at: int  # milliseconds
    run: RunInfo | None = None
    points: dict[tuple[str, int], Metric] = field(default_factory=dict)
    written: dict[tuple[str, int], float] = field(default_factory=dict)
    spoiled: bool = False

    def add(self, points: Iterable[Metric]) -> None:
        """Take in the points of an evaluation."""
        for point in points:
            place = (str(point.key), int(point.step))
            if place not in self.written:
                self.points[place] = point
            elif self.written[place] != point.value:
                self.spoiled = True

    def take(self) -> list[Metric]:
        """The points that were not written yet: from now on they are."""
        points = list(self.points.values())
        self.written |= {place: point.value for place, point in self.points.items()}
        self.points = {}
        return points


class MlflowTracker:
    """One parent run for the study and one child run for every trial."""

    def __init__(self, spec: StudySpec, uri: str, runs: Path) -> None:
        self._spec = spec
        self._uri = uri
        self._runs = runs
        self._study = MlflowStudy(spec, uri)
        self._children: dict[int, _Child] = {}
        self._so_far = SoFar(spec.metric)
        self._trained = False
        self._devices: set[str] = set()
        self._ended: list[TrialResult] = []  # without signals
        self._told: dict[int, dict[str, str]] = {}  # tags of confirmed trials that were written
        self._of_parent: list[Metric] = []
        self._flushed_at = time.monotonic()

    def open(self, results: Sequence[TrialResult]) -> None:
        self._children, self._of_parent = {}, []
        self._so_far, self._trained = SoFar(self._spec.metric), False
        self._ended, self._told = [], {}
        with self._translated():
            self._study.open()
        try:
            with self._translated():
                self._mirror(results)
                self._tell_confirmed()
                self._flush()
        except TrackingError as error:
            error.reached = True
            raise

    def start(self, trial: Started) -> None:
        with self._translated():
            self._children[trial.number] = _Child(trial, now())

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        with self._translated():
            curves = self._study.admit(metrics)
            kept = {curve_name(name): value for name, value in metrics.items() if name in curves}
            self._children[number].add(points_of(kept, step_in_record(row_of(step)), now()))
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()

    def end(self, result: TrialResult) -> None:
        with self._translated():
            child = self._children.pop(result.number, None)
            if child is None:  # another coordinator has trained it
                rebuild(self._study, result, self._runs)
            elif child.run is not None and child.spoiled:
                self._study.client.delete_run(child.run.run_id)
                rebuild(self._study, result, self._runs)
            else:
                record = trial_record(self._spec, result, self._study.admit(result.metrics), self._runs)
                taken = curve_points(usage_curves(result), now(), begun(result)[1])
                points = [*child.take(), *taken]
                self._study.finish(record, result, points, child.run, self._runs)
            self._note(result)
            if result.confirms is not None:
                self._tell_confirmed()

    def forget(self, number: int) -> None:
        with self._translated():
            child = self._children.pop(number)
            if child.run is not None:
                self._study.client.delete_run(child.run.run_id)

    def report(self, files: Sequence[Path]) -> None:
        with self._translated():
            self._study.log_report(files)

    def close(self, summary: str, best: Sequence[int]) -> None:
        with self._translated():
            for number in list(self._children):  # trials that were left without an end
                self.forget(number)
            self._flush()
            log_models(self._study, self._runs, best)
            self._tag_front()
            last = {NOTE: summary[:LONGEST_TAG], **device_tag(self._devices)}
            self._study.tag(self._study.parent, last)
            self._study.client.set_terminated(self._study.parent, FINISHED)

    def _mirror(self, results: Sequence[TrialResult]) -> None:
        """Bring the record to what the store knows: no trial missing, none twice, none half written."""
        study = self._study
        wanted = {result.number: result for result in results}
        whole: set[int] = set()
        for run in study.search(TRIALS):
            number = number_of(run.data.tags)
            ended = number in wanted and run.info.status == STATUS[wanted[number].outcome]
            if not ended or number in whole:
                study.client.delete_run(run.info.run_id)
                continue
            whole.add(number)
            if run.data.tags.get(PARENT) != study.parent:  # that one was deleted
                study.client.set_tag(run.info.run_id, PARENT, study.parent)
        written = {
            name: {point.step for point in study.client.get_metric_history(study.parent, name)}
            for name in (BEST, FAILURES)
        }
        for result in sorted(results, key=lambda result: result.ended_at):
            if result.number not in whole:
                rebuild(study, with_files(self._runs, result), self._runs)
            self._note(result, written)

    def _note(self, result: TrialResult, written: Mapping[str, Container[int]] | None = None) -> None:
        """Add a point to each of the study's curves, unless it is `written`."""
        self._trained = self._trained or result.outcome is Outcome.COMPLETED
        self._devices.add(device_of(result))
        self._ended.append(replace(result, signals=Signals(), usage=()))
        news, ended = self._so_far.add(result), self._so_far.ended
        fresh = {name: value for name, value in news.items() if ended not in (written or {}).get(name, ())}
        self._of_parent += points_of(fresh, ended, now())

    def _tell_confirmed(self) -> None:
        """Tag the trials that were repeated, and the study's run, with what that has shown."""
        for number, tags in confirm_tags(self._spec.metric, self._ended).items():
            if self._told.get(number) != tags:
                for run in runs_of(self._study, number):
                    self._study.tag(run.info.run_id, tags)
                self._told[number] = tags

    def _tag_front(self) -> None:
        """Say of every trial whether it stands on the Pareto front, where there is one."""
        tags = pareto_tags(self._spec, self._ended)
        for run in self._study.search(TRIALS) if tags else ():
            for name, value in tags.get(number_of(run.data.tags), {}).items():
                if run.data.tags.get(name) != value:
                    self._study.client.set_tag(run.info.run_id, name, value)

    def _flush(self) -> None:
        for child in self._children.values():
            trial = child.trial
            child.run = child.run or self._study.create(trial.number, trial.sampled, child.started_at)
            self._study.write_points(child.run.run_id, child.take())
        self._study.write_points(self._study.parent, self._of_parent)
        self._of_parent = []
        self._study.save_views(self._trained)
        self._flushed_at = time.monotonic()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._uri):
            yield


def rebuild(
    study: MlflowStudy,
    result: TrialResult,
    runs: Path,
    kept: Belongings = NOTHING,
) -> RunInfo:
    """Write the run of a finished trial anew, from its result with its signals.

    `kept` is what a former run held: it goes along, and where the signals have no row its points stay.
    """
    record = trial_record(study.spec, result, study.admit(result.metrics), runs)
    tags = {**record.shown, **kept.tags}
    run = study.create(result.number, *begun(result), tags, kept.name)
    try:
        give(study, run, kept, record)
        points = [*kept.points_beside(record), *curve_points(record.curves, now(), begun(result)[1])]
        study.finish(replace(record, shown={}), result, points, run, runs)
    except BaseException:
        study.client.delete_run(run.run_id)  # half of it would pass for the better one
        raise
    return run


def runs_of(study: MlflowStudy, number: int) -> list[Run]:
    """The runs of a trial, one if all is in order; or the study's own run."""
    if number == STUDY:
        return [study.client.get_run(study.parent)]
    return study.search(f"tags.`{PARENT}` = '{study.parent}' and tags.`{NUMBER}` = '{number}'")


def log_models(study: MlflowStudy, runs: Path, best: Sequence[int]) -> None:
    """Log the models of the best trials that were not logged yet, as far as their weights are there."""
    names = names_of_models(study.client, study.experiment)
    for number in best:
        weights = trial_folder(runs, number) / WEIGHTS
        if weights.exists():
            for run in runs_of(study, number):
                if not has_model(run, names):
                    log_model(study.client, run, weights)
