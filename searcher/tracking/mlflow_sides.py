"""Both sides of a study's record: what Optuna's store and the folder of files know, and what MLflow holds."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from searcher.records import SIGNALS, WEIGHTS, is_readable, report_files, trial_folder, with_files
from searcher.spec import StudySpec
from searcher.tracking.axes import BEST, FAILURES, admitted, curve_name, curves_first
from searcher.tracking.confirm_tags import confirm_tags
from searcher.tracking.entries import (
    KIND,
    LONGEST_TAG,
    NOTE,
    PARENT,
    number_of,
    study_record,
    trial_record,
)
from searcher.tracking.mlflow_study import REPORT, MlflowStudy, now
from searcher.tracking.models import MODEL, has_model, names_of_models
from searcher.tracking.objectives import pareto_tags
from searcher.tracking.usage_curves import SYSTEM
from searcher.tracking.views import NAMES, VIEW_TAG, saved_views, state_of, tag_of
from searcher.trial import Outcome, TrialResult
from searcher.verify import RUNNING, STUDY, Difference, Point, RunRecord, differences

if TYPE_CHECKING:
    from mlflow.entities import Run


@dataclass(frozen=True)
class Recorded:
    """What Optuna's store and the folder of files know of a study: the truth about its record.

    `running` are the trials that go on or are queued, and `alive` says whether somebody runs the study just
    now; `summary` is the note of the study's run, should that be lost. `spoiled` fills up with the files of
    signals that are found to be unreadable: they count as missing.
    """

    spec: StudySpec
    results: Sequence[TrialResult]
    runs: Path
    running: Sequence[int] = ()
    alive: bool = False
    summary: str = ""
    spoiled: set[Path] = field(default_factory=set, compare=False)

    def whole(self, result: TrialResult) -> TrialResult:
        """A result with its signals, as far as they can be read."""
        whole, file = with_files(self.runs, result), trial_folder(self.runs, result.number) / SIGNALS
        if not whole.signals and file.exists() and not is_readable(file):
            self.spoiled.add(file)
        return whole

    def without_signals(self) -> list[int]:
        """The trials whose signals are not there, so that their curves cannot be compared."""
        files = {r.number: trial_folder(self.runs, r.number) / SIGNALS for r in self.results if r.metrics}
        return [number for number, file in files.items() if file in self.spoiled or not file.exists()]

    @property
    def trained(self) -> bool:
        """Whether any trial was trained to its end."""
        return any(result.outcome is Outcome.COMPLETED for result in self.results)

    def with_models(self) -> list[int]:
        """The trials whose models should be logged: those with weights, once the study was left in order."""
        if self.alive or self.running:
            return []
        completed = [result.number for result in self.results if result.outcome is Outcome.COMPLETED]
        return [number for number in completed if (trial_folder(self.runs, number) / WEIGHTS).exists()]


class Sides:
    """What should be there, by the `truth`, and what is `there`, by the id of its run.

    `read` asks MLflow and raises its errors; nothing else here does.
    """

    def __init__(self, truth: Recorded, study: MlflowStudy) -> None:
        self.truth = truth
        self.there: dict[str, RunRecord] = {}
        self._study = study
        self._trials: dict[tuple[int, tuple[str, ...]], RunRecord] = {}
        self._with_models = frozenset(truth.with_models())
        self._results = {result.number: result for result in truth.results}
        self._confirmed = confirm_tags(truth.spec.metric, truth.results)
        self._pareto = {} if truth.alive else pareto_tags(truth.spec, truth.results)

    def differences(self) -> list[Difference]:
        """Where the two differ."""
        truth = self.truth
        expected = [self.expected(number) for number in (STUDY, *self._results)]
        return differences(expected, self.there.values(), truth.running if truth.alive else ())

    def curves(self) -> list[str]:
        """The metrics that have curves: those the record names, and as many more as there is room for."""
        names = {metric for result in self.truth.results for metric in result.metrics}
        spec = self.truth.spec
        return admitted(self._study.curves, curves_first(spec, names), len(spec.metrics))

    def expected(self, number: int) -> RunRecord:
        """What the run of a trial should be, or the study's own."""
        if number == STUDY:
            return self._expected_study()
        names = tuple(self.curves())
        if (number, names) not in self._trials:
            whole = self.truth.whole(self._results[number])
            self._trials[number, names] = trial_record(self.truth.spec, whole, names, self.truth.runs)
        record, parent = self._trials[number, names], self._study.parent
        own = {PARENT: parent} if parent else {}  # nobody's child while that one lacks
        models = frozenset({MODEL} if number in self._with_models else ())
        others = {**self._confirmed.get(number, {}), **self._pareto.get(number, {})}
        tags = {**record.tags, **own, **others}
        return replace(record, tags=tags, models=models)

    def _expected_study(self) -> RunRecord:
        truth = self.truth
        record = study_record(truth.spec, truth.results)
        curves = sorted(map(curve_name, self.curves()))
        views = saved_views(truth.spec, curves, truth.trained)
        summary = {} if truth.alive or not truth.summary else {NOTE: truth.summary[:LONGEST_TAG]}
        return replace(
            record,
            status=RUNNING if truth.alive else record.status,
            tags={**record.tags, **self._confirmed.get(STUDY, {})},
            files=frozenset(f"{REPORT}/{file.name}" for file in report_files(truth.runs)),
            views={view.name: state_of(tag_of(view, now(), now())[1]) for view in views},
            shown={**record.shown, **summary},
            run_id=self._study.parent,
        )

    def read(self, changed: Collection[str] = ()) -> None:
        """Read what is there; of runs read before, points and files only where they were `changed` since."""
        known = {run_id: record for run_id, record in self.there.items() if run_id not in changed}
        self.there = {}
        curves = self._names()
        models = names_of_models(self._study.client, self._study.experiment)
        for run in self._study.search(""):
            if run.data.tags.get(KIND) in ("study", "trial"):
                record = self._read(run, curves, known.get(run.info.run_id))
                found = frozenset({MODEL} if has_model(run, models) else ())
                self.there[record.run_id] = replace(record, models=found)

    def look(self, run_id: str) -> RunRecord:
        """One run as it is now, but for its models."""
        return self._read(self._study.client.get_run(run_id), self._names(), None)

    def _names(self) -> set[str]:
        """The metrics of trials that have points by step."""
        return {*map(curve_name, self.curves()), *SYSTEM.values()}

    def points(self, run_id: str, name: str) -> list[Point]:
        """The points of a metric; of several at a step the one that was written last is the last."""
        history = self._study.client.get_metric_history(run_id, name)
        return [(p.step, p.value) for p in sorted(history, key=lambda p: (p.step, p.timestamp))]

    def _read(self, run: Run, curves: Set[str], known: RunRecord | None) -> RunRecord:
        """A run as plain data; `curves` are the names of metrics that have points by step, in trials."""
        tags, metrics, run_id = run.data.tags, run.data.metrics, str(run.info.run_id)
        of_study = tags[KIND] == "study"
        names = {BEST, FAILURES} if of_study else curves
        if known is None:
            place = REPORT if of_study else None
            files = frozenset(file.path for file in self._study.client.list_artifacts(run_id, place))
            found = {name: self.points(run_id, name) for name in sorted(names & metrics.keys())}
        else:
            files, found = known.files, {name: list(points) for name, points in known.curves.items()}
        inputs = run.inputs.dataset_inputs if run.inputs else ()
        return RunRecord(
            STUDY if of_study else number_of(tags),
            run.info.status,
            run.data.params,
            tags,
            {name: value for name, value in metrics.items() if name not in names and math.isfinite(value)},
            found,
            files,
            frozenset(entry.dataset.digest for entry in inputs),
            views=dict(self._views()) if of_study else {},
            run_id=run_id,
        )

    def _views(self) -> Iterator[tuple[str, object]]:
        """The saved views that are ours, each by the state of its page."""
        tags = self._study.client.get_experiment(self._study.experiment).tags
        for key, name in NAMES.items():
            if f"{VIEW_TAG}{key}" in tags:
                try:
                    yield name, state_of(tags[f"{VIEW_TAG}{key}"])
                except Exception as error:  # whatever a spoiled text may bring about
                    yield name, str(error)
