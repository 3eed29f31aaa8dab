"""The record in MLflow held against Optuna's store, and mended where it differs."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.addresses import hide_passwords
from searcher.errors import NotFound
from searcher.lock import sqlite_file
from searcher.records import report_files, trial_folder
from searcher.tracking.belongings import Belongings, belongings, give, stranger_tags
from searcher.tracking.entries import NOTE, NUMBER, PARENT
from searcher.tracking.mlflow_sides import Recorded, Sides
from searcher.tracking.mlflow_store import translated
from searcher.tracking.mlflow_study import STUDIES, TRIALS, MlflowStudy, begun, curve_points, now, points_of
from searcher.tracking.mlflow_tracker import log_models, rebuild
from searcher.tracking.models import MODEL, copy_model, has_model, models_of, names_of_models
from searcher.verify import STUDY, Difference, Mend, RunRecord, missing_points, missing_tags

if TYPE_CHECKING:
    from mlflow.entities import Run


def verify_record(truth: Recorded, uri: str) -> list[Difference]:
    """Every difference between the truth and the record at `uri`.

    Raises: NotFound when there is no record at all; TrackingError.
    """
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise NotFound(
            f"there is no MLflow record at {hide_passwords(uri)}; name another one with --tracking-uri"
        )
    return _read(truth, MlflowStudy(truth.spec, uri)).differences()


def repair_record(truth: Recorded, uri: str) -> tuple[list[Difference], list[Difference]]:
    """Mend every difference; what there was, and what is left. Nobody else may write the study meanwhile.

    Raises: TrackingError.
    """
    study = MlflowStudy(truth.spec, uri)
    sides = _read(truth, study)
    before = sides.differences()
    if not before:
        return [], []
    with translated(uri):
        if not study.experiment:
            study.experiment = study.find_experiment()
            if study.find(make=False):  # it was deleted: what it held came back with it
                sides.read()
        changed = _Repair(sides, study).mend()
        sides.read(changed)
    return before, sides.differences()


def _read(truth: Recorded, study: MlflowStudy) -> Sides:
    sides = Sides(truth, study)
    with translated(study.uri):
        if study.find(make=False):
            sides.read()
    return sides


class _Repair:
    """Brings runs to what they should be."""

    def __init__(self, sides: Sides, study: MlflowStudy) -> None:
        self._sides = sides
        self._truth = sides.truth
        self._study = study
        self._results = {result.number: result for result in sides.truth.results}

    def mend(self) -> set[str]:
        """Mend all that differs; the runs of which points or files may not be those that were read.

        The study's own run comes first, for the others belong to it, and then what is too many.
        """
        study, curves = self._study, self._sides.curves()
        if not study.parent:
            self._make_study(self._last(STUDIES))
            same = self._sides.curves() == curves
            self._sides.read(() if same else set(self._sides.there))
        by_run: dict[tuple[int, str], set[Mend]] = {}
        for difference in self._sides.differences():
            by_run.setdefault((difference.number, difference.run_id), set()).add(difference.mend)
        for (_, run_id), mends in by_run.items():
            if Mend.DELETE in mends:
                study.client.delete_run(run_id)
        for (number, run_id), mends in sorted(by_run.items()):
            if Mend.REBUILD in mends:
                self._rebuild(number, run_id)
            elif Mend.DELETE not in mends:
                self._mend_inside(number, self._sides.there.get(run_id) or self._sides.look(run_id))
        log_models(study, self._truth.runs, self._truth.with_models())
        study.save_views(self._truth.trained)
        return {run_id for _, run_id in by_run}

    def _last(self, text: str, ended: int | None = None) -> Run | None:
        """The last one among the deleted runs that fit, of those that `ended` then."""
        runs = self._study.search(text, deleted=True)
        fit = [run for run in runs if ended is None or run.info.end_time == ended]
        return max(fit, key=lambda run: (run.info.start_time, len(run.data.tags)), default=None)

    def _mend_inside(self, number: int, there: RunRecord) -> None:
        """Write what a run lacks."""
        study, run_id, result = self._study, there.run_id, self._results.get(number)
        wanted = self._sides.expected(number)
        ended = now() if result is None else int(result.ended_at * 1000)
        study.tag(run_id, missing_tags(wanted, there))
        study.write_params(run_id, {k: v for k, v in wanted.params.items() if k not in there.params})
        once = {name: value for name, value in wanted.metrics.items() if name not in there.metrics}
        lacking = missing_points(wanted.curves, there.curves)
        known = {name: there.curves.get(name) or self._sides.points(run_id, name) for name in lacking}
        began = None if result is None else begun(result)[1]
        points = curve_points(missing_points(wanted.curves, {**there.curves, **known}), ended, began)
        study.write_points(run_id, [*points_of(once, 0, ended), *points])
        if wanted.files - there.files:
            self._log_files(number, run_id, wanted.files - there.files)
        if wanted.inputs - there.inputs:
            for one in self._truth.results if result is None else [result]:
                study.log_data(run_id, one)
        if there.status != wanted.status:
            study.client.set_terminated(run_id, wanted.status, end_time=ended)

    def _log_files(self, number: int, run_id: str, names: frozenset[str]) -> None:
        if number == STUDY:
            self._study.log_report(report_files(self._truth.runs))
            return
        folder = trial_folder(self._truth.runs, number)
        address = str(self._study.client.get_run(run_id).info.artifact_uri)
        self._study.log_files(address, [folder / name for name in sorted(names)])

    def _rebuild(self, number: int, run_id: str) -> None:
        """A new run with what the old one held, then that one goes: also one that was deleted is asked."""
        old = self._study.client.get_run(run_id) if run_id else None
        if number == STUDY:
            self._make_study(old)
        else:
            result = self._truth.whole(self._results[number])
            ended = int(result.ended_at * 1000)
            old = old or self._last(f"{TRIALS} and tags.`{NUMBER}` = '{number}'", ended)
            with tempfile.TemporaryDirectory() as folder:
                new = rebuild(self._study, result, self._truth.runs, self._of(old, Path(folder)))
            there = self._sides.look(new.run_id)
            self._study.tag(new.run_id, missing_tags(self._sides.expected(number), there))
            if old is not None:
                self._hand_over_models(old, new.run_id, number)
        if run_id:
            self._study.client.delete_run(run_id)

    def _of(self, old: Run | None, folder: Path) -> Belongings:
        """What a former run holds; where there is none, nobody knows the code that was run."""
        if old is None:
            return Belongings(tags=stranger_tags())
        return belongings(self._study, old, [*self._sides.curves()], folder)

    def _make_study(self, old: Run | None) -> None:
        """A new run for the study with what a former one held, and the trials under it."""
        study, wanted = self._study, self._sides.expected(STUDY)
        with tempfile.TemporaryDirectory() as folder:
            kept = self._of(old, Path(folder))
            study.make_parent({NOTE: wanted.shown[NOTE], **kept.tags}, kept.name)
            new = study.client.get_run(study.parent).info
            try:
                give(study, new, kept, wanted)
                study.write_points(new.run_id, kept.points_beside(wanted))
            except BaseException:
                study.client.delete_run(new.run_id)
                raise
        if old is not None:
            self._hand_over_models(old, new.run_id, STUDY)
        for run in study.search(TRIALS):
            study.client.set_tag(run.info.run_id, PARENT, study.parent)
        for result in self._truth.results:
            study.admit(result.metrics)
        self._mend_inside(STUDY, self._sides.look(study.parent))
        study.log_report(report_files(self._truth.runs))

    def _hand_over_models(self, old: Run, run_id: str, number: int) -> None:
        """Log the models of a former run for that in its place, anew where there are weights; then they go.

        When that fails the new run goes instead: the next repair finds all as it was.
        """
        study, client = self._study, self._study.client
        names = names_of_models(client, study.experiment)
        former = models_of(old, names)
        try:
            if MODEL in map(names.get, former):
                log_models(study, self._truth.runs, [number])
            new = client.get_run(run_id)
            is_logged = has_model(new, names_of_models(client, study.experiment))
            for model in former:
                if names[model] != MODEL or not is_logged:
                    copy_model(client, study.uri, model, new)
        except BaseException:
            client.delete_run(run_id)
            raise
        for model in former:
            client.delete_logged_model(model)
