"""A study in MLflow: its experiment, the run of the study and those of its trials, and how they are written.

Every trial's run has the same make-up (`searcher/tracking/entries.py`), whoever writes it: the tracker while
a study runs, the mirror when it goes on, the repair.
"""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.naming import run_name
from searcher.records import trial_folder
from searcher.spec import StudySpec
from searcher.tracking.axes import admitted, curve_name, curves_first
from searcher.tracking.data_sets import data_of
from searcher.tracking.entries import (
    CURVES,
    KIND,
    NOTE,
    NUMBER,
    PARENT,
    curves_of,
    experiment_note,
    first_note,
    search_tags,
    seed_tags,
    study_params,
)
from searcher.tracking.environment import environment_tags, source_tags
from searcher.tracking.mlflow_store import MOST_METRICS, MOST_PARAMS, MOST_TAGS, chunks, connect
from searcher.tracking.usage_curves import SYSTEM
from searcher.tracking.views import saved_views, tag_of
from searcher.trial import TrialResult
from searcher.verify import Curves, RunRecord

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run, RunInfo

STUDIES, TRIALS = f"tags.`{KIND}` = 'study'", f"tags.`{KIND}` = 'trial'"
"""Filters for the run of a study and those of its trials."""

SOURCE = "mlflow.source.name"
"""The tag of every run that says who made it."""

REPORT = "report"
"""The folder of the report among the artifacts of a study's run."""


class MlflowStudy:
    """The runs of one study. Its methods raise MLflow's errors: callers work inside `translated`."""

    def __init__(self, spec: StudySpec, uri: str) -> None:
        self.spec = spec
        self.uri = uri
        self.client: MlflowClient
        self.experiment = ""
        self.parent = ""
        self.curves: list[str] = []
        self._data: set[str] = set()
        self._views: tuple[tuple[str, ...], bool] | None = None

    def open(self) -> None:
        """Find or make the experiment and the run of the study, which goes on from now."""
        self.find(make=True)
        self._views = None
        self.client.update_run(self.parent, status="RUNNING")
        shared = {**environment_tags(), **search_tags(self.spec), **seed_tags(self.spec)}
        self.tag(self.parent, {**source_tags(), **shared})

    def find(self, make: bool) -> bool:
        """Find the experiment and the run of the study, or `make` what lacks; whether they are there."""
        self.client = connect(self.uri)
        self.parent, self.curves = "", []
        known = self.client.get_experiment_by_name(self.spec.name)
        if not make and (known is None or known.lifecycle_stage == "deleted"):
            return False
        self.experiment = self.find_experiment()
        if parents := self.search(STUDIES):
            parent = self._chosen(parents)
            if make:
                self._describe(parent)
            self._remember(parent)
        elif make:
            self.make_parent({**source_tags(), NOTE: first_note(self.spec)})
        return True

    def _chosen(self, parents: Sequence[Run]) -> Run:
        """Of several runs of the study that which has most of its trials; of equals the oldest."""
        if len(parents) == 1:
            return parents[0]
        of = Counter(run.data.tags.get(PARENT) for run in self.search(TRIALS))
        return max(parents, key=lambda run: of[run.info.run_id])  # the first of equals

    def find_experiment(self) -> str:
        """The id of the experiment, which is made or restored when it is not there."""
        known = self.client.get_experiment_by_name(self.spec.name)
        if known is None:
            about = {NOTE: experiment_note(self.spec), "mlflow.experimentKind": "custom_model_development"}
            return str(self.client.create_experiment(self.spec.name, tags=about))
        if known.lifecycle_stage == "deleted":
            self.client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)

    def make_parent(self, tags: Mapping[str, str], name: str = "") -> None:
        """A new run for the study."""
        tags = {**tags, KIND: "study"}
        run = self.client.create_run(self.experiment, tags=tags, run_name=name or self.spec.name)
        self._describe(run)
        self._remember(run)

    def _describe(self, parent: Run) -> None:
        """Write what its params lack: all, or those that whoever made it was killed before writing."""
        params, known = study_params(self.spec), parent.data.params
        self.write_params(parent.info.run_id, {k: v for k, v in params.items() if k not in known})

    def _remember(self, parent: Run) -> None:
        self.parent = str(parent.info.run_id)
        self.curves = curves_of(parent.data.tags)
        datasets = parent.inputs.dataset_inputs if parent.inputs else []
        self._data = {entry.dataset.digest for entry in datasets}

    def admit(self, metrics: Iterable[str]) -> list[str]:
        """The metrics that have curves, with those of these that there is room for; the study's own first."""
        names = admitted(self.curves, curves_first(self.spec, metrics), len(self.spec.metrics))
        if names != self.curves:
            self.curves = names
            self.client.set_tag(self.parent, CURVES, json.dumps(names))
        return names

    def create(
        self,
        number: int,
        sampled: Mapping[str, Any],
        begun: int,
        tags: Mapping[str, str] | None = None,
        name: str = "",
    ) -> RunInfo:
        """A run for a trial that began at `begun` (milliseconds); the `tags` may say that others made it."""
        own = {PARENT: self.parent, NUMBER: str(number), KIND: "trial"}
        made = {} if tags and SOURCE in tags else source_tags()
        run = self.client.create_run(
            self.experiment,
            start_time=begun,
            tags={**made, **(tags or {}), **own},
            run_name=name or run_name(number, sampled),
        )
        return run.info

    def finish(
        self,
        record: RunRecord,
        result: TrialResult,
        points: Sequence[Metric],
        run: RunInfo | None,
        runs: Path,
    ) -> None:
        """Write a trial's end; into a new run when there is no `run` yet: what is known goes in at once."""
        from mlflow.entities import Param, RunTag

        tags = {**record.tags, **record.shown}
        later = [] if run is None else [RunTag(key, value) for key, value in tags.items()]
        if run is None:
            run = self.create(result.number, *begun(result), tags)
        ended = _milliseconds(result.ended_at)
        everything = [*points, *points_of(record.metrics, 0, ended)]
        params = [Param(name, value) for name, value in record.params.items()]
        room = MOST_METRICS - MOST_PARAMS - MOST_TAGS
        self.client.log_batch(run.run_id, everything[:room], params[:MOST_PARAMS], later[:MOST_TAGS])
        self.write_points(run.run_id, everything[room:])
        for some in chunks(params[MOST_PARAMS:], MOST_PARAMS):
            self.client.log_batch(run.run_id, params=some)
        self.log_data(run.run_id, result)
        self.log_files(
            str(run.artifact_uri), [trial_folder(runs, result.number) / name for name in record.files]
        )
        self.client.set_terminated(run.run_id, record.status, end_time=ended)

    def log_data(self, run_id: str, result: TrialResult) -> None:
        """Name the data a trial was trained on, for its run and once for the study's."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        known = data_of(self.spec, result)
        if not known:
            return
        data = DatasetInput(Dataset(**known), [InputTag("mlflow.data.context", "training")])
        if run_id != self.parent:
            self.client.log_inputs(run_id, datasets=[data])
        if known["digest"] not in self._data:
            self._data.add(known["digest"])
            self.client.log_inputs(self.parent, datasets=[data])

    def log_files(self, address: str, files: Iterable[Path], place: str | None = None) -> None:
        """Copy files to the artifacts at `address`, a run's, into the folder `place` there."""
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        repository = get_artifact_repository(address, tracking_uri=self.uri)
        for file in files:
            if file.exists():
                repository.log_artifact(str(file), place)  # type: ignore[no-untyped-call]

    def log_report(self, files: Iterable[Path]) -> None:
        """Copy the files of the study's report to its run, over those that are there."""
        self.log_files(str(self.client.get_run(self.parent).info.artifact_uri), files, REPORT)

    def write_points(self, run_id: str, points: Sequence[Metric]) -> None:
        """Write points in large batches."""
        for some in chunks(points, MOST_METRICS):
            self.client.log_batch(run_id, metrics=some)

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run."""
        from mlflow.entities import RunTag

        for some in chunks([RunTag(key, value) for key, value in tags.items()], MOST_TAGS):
            self.client.log_batch(run_id, tags=some)

    def write_params(self, run_id: str, params: Mapping[str, str]) -> None:
        """Write params that a run does not have yet."""
        from mlflow.entities import Param

        for some in chunks([Param(name, value) for name, value in params.items()], MOST_PARAMS):
            self.client.log_batch(run_id, params=some)

    def search(self, text: str, deleted: bool = False) -> list[Run]:
        """All active runs of the experiment that fit, or all `deleted` ones, the oldest first."""
        from mlflow.entities import ViewType

        found: list[Run] = []
        token: str | None = None
        while True:
            page = self.client.search_runs(
                [self.experiment],
                text,
                run_view_type=ViewType.DELETED_ONLY if deleted else ViewType.ACTIVE_ONLY,
                max_results=1000,
                order_by=["attributes.start_time"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    def save_views(self, trained: bool) -> None:
        """Write the saved views, each under the name it always has; only when they have changed.

        `trained`: whether any trial was trained to its end.
        """
        shape = (tuple(self.curves), trained)
        if shape == self._views:
            return
        self._views = shape
        made = self.client.get_experiment(self.experiment).creation_time or 0
        curves = sorted(map(curve_name, self.curves))
        for place, view in enumerate(saved_views(self.spec, curves, trained)):
            self.client.set_experiment_tag(self.experiment, *tag_of(view, made + place, now()))


def begun(result: TrialResult) -> tuple[dict[str, Any], int]:
    """What a trial began with, the sampled settings, and when it began, in milliseconds."""
    sampled = {name: result.settings[name] for name in result.sampled}
    return sampled, _milliseconds(result.ended_at - result.seconds)


def points_of(metrics: Mapping[str, float], step: int, at: int) -> list[Metric]:
    """The finite ones among the metrics, as points at `step`, written `at` (milliseconds)."""
    from mlflow.entities import Metric

    return [Metric(name, value, at, step) for name, value in metrics.items() if math.isfinite(value)]


def curve_points(curves: Curves, at: int, began: int | None = None) -> list[Metric]:
    """The points of all curves, written `at` (milliseconds); those of usage when they were measured, for a
    trial that `began` then."""
    from mlflow.entities import Metric

    def moment(name: str, step: int) -> int:
        return at if began is None or name not in SYSTEM.values() else began + 1000 * step

    return [
        Metric(name, value, moment(name, step), step)
        for name, points in curves.items()
        for step, value in points
    ]


def now() -> int:
    """The time in milliseconds, as MLflow counts."""
    return _milliseconds(time.time())


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)
