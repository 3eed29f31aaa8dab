"""The record in MLflow, a mirror of Optuna's store: one parent run, one child run for every trial."""

from __future__ import annotations

import math
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from searcher.naming import run_name
from searcher.records import FINDINGS, SIGNALS, WEIGHTS, trial_folder, with_signals
from searcher.spec import StudySpec
from searcher.tracking.entries import (
    once_per_run,
    result_tags,
    search_tags,
    source_tags,
    study_params,
    trial_params,
)
from searcher.tracking.mlflow_store import connect, translated
from searcher.tracking.models import log_model
from searcher.tracking.tracker import Started
from searcher.trial import Outcome, TrialResult

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run, RunInfo

MOST_METRICS, MOST_PARAMS, LONGEST_PARAM, LONGEST_TAG = 1000, 100, 6000, 5000
"""What MLflow takes in one batch and in one text."""

FLUSH_SECONDS = 15.0
"""How often the curves of running trials are written: seldom enough to make large batches."""

STATUS = {
    Outcome.COMPLETED: "FINISHED",
    Outcome.PRUNED: "KILLED",
    Outcome.DOOMED: "KILLED",
    Outcome.FAILED: "FAILED",
}

PARENT, NUMBER = "mlflow.parentRunId", "optuna.trial_number"

BEST = "best_so_far"
"""The study's curve: the best value over the trials that have ended."""


@dataclass
class _Child:
    """A trial that goes on: its run, once there is one, and the points that were not written yet.

    A run is made at the first flush or at the end, whichever comes first: what is known by then goes
    in with it, which is a good deal faster.
    """

    trial: Started
    started_at: int  # milliseconds
    run: RunInfo | None = None
    points: list[Metric] = field(default_factory=list)


class MlflowTracker:
    """One parent run for the study and one child run for every trial."""

    def __init__(self, spec: StudySpec, uri: str, runs: Path) -> None:
        self._spec = spec
        self._uri = uri
        self._runs = runs
        self._children: dict[int, _Child] = {}
        self._best: float | None = None
        self._ended = 0
        self._of_parent: list[Metric] = []
        self._flushed_at = time.monotonic()
        self._client: MlflowClient
        self._experiment = ""
        self._parent = ""

    def open(self, results: Sequence[TrialResult]) -> None:
        self._children, self._of_parent, self._best, self._ended = {}, [], None, 0
        with self._translated():
            self._client = connect(self._uri)
            self._experiment = self._find_experiment()
            self._parent = self._find_parent()
            self._log_search()
            self._mirror(results)

    def start(self, trial: Started) -> None:
        with self._translated():
            self._children[trial.number] = _Child(trial, int(time.time() * 1000))

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        with self._translated():
            self._children[number].points += _points(metrics, step)
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()

    def end(self, result: TrialResult) -> None:
        with self._translated():
            self._end(self._children.pop(result.number), result)
            self._note_best(result)

    def forget(self, number: int) -> None:
        with self._translated():
            child = self._children.pop(number)
            if child.run is not None:
                self._client.delete_run(child.run.run_id)

    def close(self, summary: str, best: int | None) -> None:
        with self._translated():
            for number in list(self._children):  # trials that were left without an end
                self.forget(number)
            self._flush()
            self._log_model(best)
            self._client.set_tag(self._parent, "mlflow.note.content", summary[:LONGEST_TAG])
            self._client.set_terminated(self._parent, "FINISHED")

    def _log_model(self, best: int | None) -> None:
        if best is None:
            return
        weights = trial_folder(self._runs, best) / WEIGHTS
        text = f"tags.`{PARENT}` = '{self._parent}' and tags.`{NUMBER}` = '{best}'"
        if weights.exists():
            for run in self._search(text):
                log_model(self._client, run.info.run_id, weights)

    def _find_experiment(self) -> str:
        known = self._client.get_experiment_by_name(self._spec.name)
        if known is None:
            about = {"mlflow.note.content": self._spec.question}
            return str(self._client.create_experiment(self._spec.name, tags=about))
        if known.lifecycle_stage == "deleted":
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)

    def _find_parent(self) -> str:
        found = self._search("tags.`searcher.kind` = 'study'")
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        note = self._spec.question or self._spec.name
        tags = {**source_tags(), "searcher.kind": "study", "mlflow.note.content": note}
        run = self._client.create_run(self._experiment, tags=tags, run_name=self._spec.name)
        self._log_params(run.info.run_id, study_params(self._spec))
        return str(run.info.run_id)

    def _log_search(self) -> None:
        """How the study searches now: tags, since budgets, sampler and pruner may change between runs."""
        from mlflow.entities import RunTag

        tags = [RunTag(name, str(value)) for name, value in search_tags(self._spec).items()]
        self._client.log_batch(self._parent, tags=tags)

    def _mirror(self, results: Sequence[TrialResult]) -> None:
        """Bring the record to what the store knows: no trial missing, none twice, none half written."""
        wanted = {result.number: result for result in results}
        whole: set[int] = set()
        for run in self._search(f"tags.`{PARENT}` = '{self._parent}'"):
            number = int(run.data.tags.get(NUMBER, -1))
            ended = number in wanted and run.info.status == STATUS[wanted[number].outcome]
            if not ended or number in whole:
                self._client.delete_run(run.info.run_id)
            else:
                whole.add(number)
        history = self._client.get_metric_history(self._parent, BEST)
        written = {point.step for point in history}
        for result in sorted(results, key=lambda result: result.ended_at):
            if result.number not in whole:
                self._rebuild(with_signals(self._runs, result))
            self._note_best(result, written)

    def _rebuild(self, result: TrialResult) -> None:
        sampled = {name: result.settings[name] for name in result.sampled}
        started_at = int((result.ended_at - result.seconds) * 1000)
        child = _Child(Started(result.number, result.settings, sampled), started_at)
        for name, series in result.signals.items():
            if name in result.metrics:
                for step, value in zip(series.steps, series.values, strict=True):
                    child.points += _points({name: float(value)}, int(step) + 1)
        self._end(child, result)

    def _create(self, child: _Child, more: Mapping[str, str]) -> RunInfo:
        trial = child.trial
        own = {PARENT: self._parent, NUMBER: str(trial.number), "searcher.kind": "trial"}
        run = self._client.create_run(
            self._experiment,
            start_time=child.started_at,
            tags={**source_tags(), **own, **more},
            run_name=run_name(trial.number, trial.sampled),
        )
        child.run = run.info
        return run.info

    def _end(self, child: _Child, result: TrialResult) -> None:
        from mlflow.entities import Param, RunTag
        from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

        tags = {key: value[:LONGEST_TAG] for key, value in result_tags(result).items()}
        later = [] if child.run is None else [RunTag(key, value) for key, value in tags.items()]
        run = child.run or self._create(child, tags)
        points = child.points + _points(once_per_run(result), 0)
        params = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in trial_params(self._spec, result).items()]
        room = MOST_METRICS - MOST_PARAMS - len(later)
        self._client.log_batch(run.run_id, points[:room], params[:MOST_PARAMS], later)
        for some in _chunks(params[MOST_PARAMS:], MOST_PARAMS):
            self._client.log_batch(run.run_id, params=some)
        self._log_points(run.run_id, points[room:])
        files = get_artifact_repository(run.artifact_uri, tracking_uri=self._uri)
        for name in (SIGNALS, FINDINGS):
            file = trial_folder(self._runs, result.number) / name
            if file.exists():
                files.log_artifact(str(file))  # type: ignore[no-untyped-call]
        ended_at = int(result.ended_at * 1000)
        self._client.set_terminated(run.run_id, STATUS[result.outcome], end_time=ended_at)

    def _note_best(self, result: TrialResult, written: Container[int] = ()) -> None:
        """Add a point to the study's curve of the best value, unless it is `written`."""
        self._ended += 1
        if result.outcome is not Outcome.COMPLETED or result.value is None:
            return
        if self._spec.metric.is_better(result.value, self._best):
            self._best = result.value
        if self._ended not in written and self._best is not None:
            self._of_parent += _points({BEST: self._best}, self._ended)

    def _flush(self) -> None:
        for child in self._children.values():
            run = child.run or self._create(child, {})
            self._log_points(run.run_id, child.points)
            child.points = []
        self._log_points(self._parent, self._of_parent)
        self._of_parent = []
        self._flushed_at = time.monotonic()

    def _log_points(self, run_id: str, points: Sequence[Metric]) -> None:
        for some in _chunks(points, MOST_METRICS):
            self._client.log_batch(run_id, metrics=some)

    def _log_params(self, run_id: str, params: Mapping[str, Any]) -> None:
        from mlflow.entities import Param

        entities = [Param(name, str(value)[:LONGEST_PARAM]) for name, value in params.items()]
        for some in _chunks(entities, MOST_PARAMS):
            self._client.log_batch(run_id, params=some)

    def _search(self, text: str) -> list[Run]:
        found: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [self._experiment],
                text,
                max_results=1000,
                order_by=["attributes.start_time"],
                page_token=token,
            )
            found += page
            token = page.token
            if not token:
                return found

    @contextmanager
    def _translated(self) -> Iterator[None]:
        with translated(self._uri):
            yield


def _points(metrics: Mapping[str, float], step: int) -> list[Metric]:
    """The finite ones among the metrics, as points at `step`, now."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, value, now, step) for name, value in metrics.items() if math.isfinite(value)]


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
