"""The record in MLflow held against Optuna's store, and mended where it differs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.errors import NotFound
from searcher.lock import sqlite_file
from searcher.records import SIGNALS, report_files, trial_folder, with_signals
from searcher.spec import StudySpec
from searcher.tracking.axes import BEST, FAILURES, admitted, curve_name
from searcher.tracking.entries import (
    KIND,
    LONGEST_TAG,
    NOTE,
    NUMBER,
    PARENT,
    first_note,
    study_record,
    trial_record,
)
from searcher.tracking.mlflow_store import translated
from searcher.tracking.mlflow_study import TRIALS, MlflowStudy, curve_points, now, points_of
from searcher.tracking.mlflow_tracker import log_models, rebuild
from searcher.tracking.models import models_of
from searcher.trial import TrialResult, ranked
from searcher.verify import (
    NAMELESS,
    RUNNING,
    STUDY,
    Difference,
    Mend,
    Point,
    RunRecord,
    differences,
    missing_points,
)

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Recorded:
    """What Optuna's store and the folder of files know of a study: the truth about its record.

    `running` are the trials that go on, and `alive` says whether somebody runs the study just now;
    `summary` is the note of the study's run, should that be lost.
    """

    spec: StudySpec
    results: Sequence[TrialResult]
    runs: Path
    running: Sequence[int] = ()
    alive: bool = False
    summary: str = ""

    def without_signals(self) -> list[int]:
        """The trials whose signals are not there, so that their curves cannot be compared."""
        return [
            result.number
            for result in self.results
            if result.metrics and not (trial_folder(self.runs, result.number) / SIGNALS).exists()
        ]


def verify_record(truth: Recorded, uri: str) -> list[Difference]:
    """Every difference between the truth and the record at `uri`.

    Raises: NotFound when there is no record at all; TrackingError.
    """
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise NotFound(f"there is no MLflow record at {uri}; name another one with --tracking-uri")
    with translated(uri):
        return _compare(truth, MlflowStudy(truth.spec, uri))


def repair_record(truth: Recorded, uri: str) -> tuple[list[Difference], list[Difference]]:
    """Mend every difference; what there was, and what is left. Nobody else may write the study meanwhile.

    Raises: TrackingError.
    """
    study = MlflowStudy(truth.spec, uri)
    with translated(uri):
        before = _compare(truth, study)
        if before:
            is_new = not study.parent
            study.find(make=True)
            _Repair(truth, study).mend(_compare(truth, study), is_new)
        return before, _compare(truth, study) if before else []


def _compare(truth: Recorded, study: MlflowStudy) -> list[Difference]:
    found = _found(truth, study) if study.find(make=False) else ()
    return differences(_expected(truth, study), found, truth.running if truth.alive else ())


def _expected(truth: Recorded, study: MlflowStudy) -> Iterator[RunRecord]:
    """What should be there: the study's own run, then one for every finished trial."""
    yield _expected_of_study(truth)
    for result in truth.results:
        yield _expected_of_trial(truth, study, result)


def _expected_of_study(truth: Recorded) -> RunRecord:
    record = study_record(truth.spec, truth.results)
    return replace(record, status=RUNNING) if truth.alive else record


def _expected_of_trial(truth: Recorded, study: MlflowStudy, result: TrialResult) -> RunRecord:
    curves, whole = _curves(truth, study), with_signals(truth.runs, result)
    record = trial_record(truth.spec, whole, curves, truth.runs)
    own = {PARENT: study.parent} if study.parent else {}  # nobody's child while that one lacks
    return replace(record, tags={**record.tags, **own})


def _curves(truth: Recorded, study: MlflowStudy) -> list[str]:
    """The metrics that have curves: those the record names, and as many more as there is room for."""
    names = sorted({metric for result in truth.results for metric in result.metrics})
    return admitted(study.curves, [truth.spec.metric.name, *names])


def _found(truth: Recorded, study: MlflowStudy) -> Iterator[RunRecord]:
    """What is there."""
    curves = set(map(curve_name, _curves(truth, study)))
    for run in study.search(""):
        if run.data.tags.get(KIND) in ("study", "trial"):
            yield _read(study, run, curves)


def _read(study: MlflowStudy, run: Run, curves: Set[str]) -> RunRecord:
    """A run as plain data; `curves` are the names of metrics that have points by step, in trials."""
    tags, metrics, run_id = run.data.tags, run.data.metrics, str(run.info.run_id)
    of_study = tags[KIND] == "study"
    number = tags.get(NUMBER, "")
    names = {BEST, FAILURES} if of_study else curves
    return RunRecord(
        STUDY if of_study else int(number) if number.isdecimal() else NAMELESS,
        run.info.status,
        run.data.params,
        tags,
        {name: value for name, value in metrics.items() if name not in names and math.isfinite(value)},
        {name: points for name in names if (points := _points(study, run_id, name))},
        frozenset() if of_study else frozenset(file.path for file in study.client.list_artifacts(run_id)),
        run_id,
    )


def _points(study: MlflowStudy, run_id: str, name: str) -> list[Point]:
    return sorted((point.step, point.value) for point in study.client.get_metric_history(run_id, name))


class _Repair:
    """Brings runs to what they should be."""

    def __init__(self, truth: Recorded, study: MlflowStudy) -> None:
        self._truth = truth
        self._study = study
        self._results = {result.number: result for result in truth.results}
        self._curves = set(map(curve_name, _curves(truth, study)))

    def mend(self, found: Iterable[Difference], is_new: bool) -> None:
        """Mend all that was found, the study's own run first: the others belong to it.

        `is_new`: whether that run was made just now.
        """
        if is_new:
            self._fill_study()
        by_run: dict[tuple[int, str], set[Mend]] = {}
        for difference in found:
            by_run.setdefault((difference.number, difference.run_id), set()).add(difference.mend)
        rebuilt = set()
        for (number, run_id), mends in sorted(by_run.items()):
            if Mend.DELETE in mends:
                self._study.client.delete_run(run_id)
            elif Mend.REBUILD not in mends:
                self._mend_inside(number, run_id)
            elif number == STUDY:
                self._rebuild_study(run_id)
            else:
                self._rebuild_trial(self._results[number], run_id)
                rebuilt.add(number)
        best = ranked(self._truth.spec.metric, self._truth.results)
        log_models(self._study, self._truth.runs, [r.number for r in best if r.number in rebuilt])
        self._study.save_views(trained=bool(best))
        notes = self._study.client.get_run(self._study.parent).data.tags
        if self._truth.summary and notes.get(NOTE) == first_note(self._truth.spec):  # made just now
            self._study.client.set_tag(self._study.parent, NOTE, self._truth.summary[:LONGEST_TAG])

    def _mend_inside(self, number: int, run_id: str) -> None:
        """Write what a run lacks."""
        study, result = self._study, self._results.get(number)
        wanted = _expected_of_study(self._truth)
        if result is not None:
            wanted = _expected_of_trial(self._truth, study, result)
        ended = now() if result is None else int(result.ended_at * 1000)
        run = study.client.get_run(run_id)
        there = _read(study, run, self._curves)
        study.tag(run_id, {k: v for k, v in wanted.tags.items() if there.tags.get(k) != v})
        study.write_params(run_id, {k: v for k, v in wanted.params.items() if k not in there.params})
        once = {name: value for name, value in wanted.metrics.items() if name not in there.metrics}
        points = curve_points(missing_points(wanted.curves, there.curves), ended)
        study.write_points(run_id, [*points_of(once, 0, ended), *points])
        folder = trial_folder(self._truth.runs, number)
        lacking = [folder / name for name in sorted(wanted.files - there.files)]
        study.log_files(str(run.info.artifact_uri), lacking)
        if there.status != wanted.status:
            study.client.set_terminated(run_id, wanted.status, end_time=ended)

    def _rebuild_study(self, run_id: str) -> None:
        """A new run for the study with what people see of the old one, and its trials under it."""
        study = self._study
        old = study.client.get_run(run_id).data.tags
        study.client.delete_run(run_id)
        study.find_parent()
        study.tag(study.parent, old)
        self._fill_study()
        self._mend_inside(STUDY, study.parent)

    def _fill_study(self) -> None:
        """What a new run of the study takes beside its figures: trials, data, names of curves, report."""
        study = self._study
        for run in study.search(TRIALS):
            study.client.set_tag(run.info.run_id, PARENT, study.parent)
        for result in self._truth.results:
            study.log_data(study.parent, result)
            study.admit(result.metrics)
        study.log_report(report_files(self._truth.runs))

    def _rebuild_trial(self, result: TrialResult, run_id: str) -> None:
        """A new run from the truth, then the old one goes: its curves are kept where signals are lost."""
        study = self._study
        old = study.client.get_run(run_id) if run_id else None
        known = _read(study, old, self._curves).curves if old is not None else None
        rebuild(study, with_signals(self._truth.runs, result), self._truth.runs, known)
        if old is not None:
            study.client.delete_run(run_id)
            for model in models_of(old):  # logged again for the new run
                study.client.delete_logged_model(model)
