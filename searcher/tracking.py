"""The record in MLflow, a mirror of Optuna's store. The only file that knows MLflow."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from diagnostics.report import to_markdown
from searcher.errors import TrackingError
from searcher.naming import run_name
from searcher.records import FINDINGS, SIGNALS, trial_folder, with_signals
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

DEFAULT_TRACKING = "sqlite:///mlflow.db"

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


@dataclass(frozen=True)
class Started:
    """What the record is told when a trial begins."""

    number: int
    settings: Mapping[str, Any]
    sampled: Mapping[str, Any]


class Tracker(Protocol):
    """Somebody who keeps a record of a study. Raises TrackingError when the record cannot be written."""

    def open(self, results: Sequence[TrialResult]) -> None:
        """Begin or go on; `results` are the trials finished before, which the record must show."""
        ...

    def start(self, trial: Started) -> None:
        """A trial begins."""
        ...

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        """A trial was evaluated."""
        ...

    def end(self, result: TrialResult) -> None:
        """A trial ended."""
        ...

    def forget(self, number: int) -> None:
        """A trial was interrupted and will begin anew."""
        ...

    def close(self, summary: str) -> None:
        """The study was left; `summary` is Markdown for people."""
        ...


class NullTracker:
    """Keeps no record."""

    def open(self, results: Sequence[TrialResult]) -> None: ...
    def start(self, trial: Started) -> None: ...
    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None: ...
    def end(self, result: TrialResult) -> None: ...
    def forget(self, number: int) -> None: ...
    def close(self, summary: str) -> None: ...


@dataclass
class _Child:
    """The run of a trial that goes on, and what was not written yet."""

    run_id: str
    points: list[Metric] = field(default_factory=list)


class MlflowTracker:
    """One parent run for the study and one child run for every trial."""

    def __init__(self, spec: StudySpec, uri: str, runs: Path) -> None:
        self._spec = spec
        self._uri = uri
        self._runs = runs
        self._children: dict[int, _Child] = {}
        self._best: float | None = None
        self._of_parent: list[Metric] = []
        self._flushed_at = time.monotonic()
        self._client: MlflowClient
        self._experiment = ""
        self._parent = ""

    def open(self, results: Sequence[TrialResult]) -> None:
        with self._translated():
            self._client = connect(self._uri)
            self._experiment = self._find_experiment()
            self._parent = self._find_parent()
            self._mirror(results)

    def start(self, trial: Started) -> None:
        with self._translated():
            self._start(trial.number, trial.settings, trial.sampled, int(time.time() * 1000))

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        with self._translated():
            self._children[number].points += _points(metrics, step)
            if time.monotonic() - self._flushed_at > FLUSH_SECONDS:
                self._flush()

    def end(self, result: TrialResult) -> None:
        with self._translated():
            child = self._children.pop(result.number)
            self._end(child, result)

    def forget(self, number: int) -> None:
        with self._translated():
            self._client.delete_run(self._children.pop(number).run_id)

    def close(self, summary: str) -> None:
        with self._translated():
            self._flush()
            self._client.set_tag(self._parent, "mlflow.note.content", summary[:LONGEST_TAG])
            self._client.set_terminated(self._parent, "FINISHED")

    def _find_experiment(self) -> str:
        known = self._client.get_experiment_by_name(self._spec.name)
        if known is None:
            return str(self._client.create_experiment(self._spec.name))
        if known.lifecycle_stage == "deleted":
            self._client.restore_experiment(known.experiment_id)
        return str(known.experiment_id)

    def _find_parent(self) -> str:
        found = self._search("tags.`searcher.kind` = 'study'")
        if found:
            self._client.update_run(found[0].info.run_id, status="RUNNING")
            return str(found[0].info.run_id)
        note = self._spec.question or self._spec.name
        tags = {**_source(), "searcher.kind": "study", "mlflow.note.content": note}
        run = self._client.create_run(self._experiment, tags=tags, run_name=self._spec.name)
        self._log_params(run.info.run_id, _parent_params(self._spec))
        return str(run.info.run_id)

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
        for number, result in wanted.items():
            if number not in whole:
                self._rebuild(with_signals(self._runs, result))
            self._note_best(result, number in whole)

    def _rebuild(self, result: TrialResult) -> None:
        sampled = {name: result.settings[name] for name in result.sampled}
        started = int((result.ended_at - result.seconds) * 1000)
        child = self._start(result.number, result.settings, sampled, started)
        for name, series in result.signals.items():
            if name.startswith(("train_", "val_")):
                for step, value in zip(series.steps, series.values, strict=True):
                    child.points += _points({name: float(value)}, int(step) + 1)
        self._children.pop(result.number)
        self._end(child, result)

    def _start(self, number: int, settings: Mapping[str, Any], sampled: Mapping[str, Any], at: int) -> _Child:
        tags = {**_source(), PARENT: self._parent, NUMBER: str(number), "searcher.kind": "trial"}
        name = run_name(number, sampled)
        run = self._client.create_run(self._experiment, start_time=at, tags=tags, run_name=name)
        child = _Child(run.info.run_id)
        self._children[number] = child
        return child

    def _end(self, child: _Child, result: TrialResult) -> None:
        from mlflow.entities import Param, RunTag

        child.points += _points(_once_per_run(result), 0)
        tags = [RunTag(key, value[:LONGEST_TAG]) for key, value in _tags(result).items()]
        params = [Param(k, str(v)[:LONGEST_PARAM]) for k, v in result.settings.items()]
        first, rest = child.points[: MOST_METRICS - 200], child.points[MOST_METRICS - 200 :]
        self._client.log_batch(child.run_id, first, params[:MOST_PARAMS], tags)
        for some in _chunks(params[MOST_PARAMS:], MOST_PARAMS):
            self._client.log_batch(child.run_id, params=some)
        self._log_points(child.run_id, rest)
        for name in (SIGNALS, FINDINGS):
            file = trial_folder(self._runs, result.number) / name
            if file.exists():
                self._client.log_artifact(child.run_id, str(file))
        ended_at = int(result.ended_at * 1000)
        self._client.set_terminated(child.run_id, STATUS[result.outcome], end_time=ended_at)
        self._note_best(result, False)

    def _note_best(self, result: TrialResult, written: bool) -> None:
        if result.outcome is not Outcome.COMPLETED or result.value is None:
            return
        if self._spec.metric.is_better(result.value, self._best):
            self._best = result.value
        if not written and self._best is not None:
            self._of_parent += _points({"best_so_far": self._best}, result.number)

    def _flush(self) -> None:
        for child in self._children.values():
            self._log_points(child.run_id, child.points)
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


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server or store at `uri`; a fresh store gets its tables."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # loading mlflow sets its own level
        logging.getLogger(name).setLevel(logging.ERROR)
    if uri.startswith("sqlite:///"):
        _create_whole(Path(uri.removeprefix("sqlite:///")))
    return MlflowClient(tracking_uri=uri)


def _create_whole(database: Path) -> None:
    """Make a fresh SQLite store beside and rename it: MLflow cannot go on with a half made one."""
    from mlflow import MlflowClient

    if database.exists():
        return
    beside = database.with_name(f"{database.name}.part-{os.getpid()}")
    beside.unlink(missing_ok=True)
    MlflowClient(tracking_uri=f"sqlite:///{beside}").search_experiments(max_results=1)
    beside.replace(database)


@contextmanager
def translated(uri: str) -> Iterator[None]:
    """Errors of MLflow in our own words."""
    try:
        yield
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise TrackingError(
            f"the MLflow record at {uri} cannot be written: {first}; check the address and that the "
            "server is running, or name another one with --tracking-uri. Trials are safe in the study store; "
            "the next run brings the record up to it"
        ) from error


def _source() -> dict[str, str]:
    import getpass

    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return {"mlflow.user": user, "mlflow.source.name": "searcher", "mlflow.source.type": "LOCAL"}


def _parent_params(spec: StudySpec) -> dict[str, Any]:
    """What the study is: its fixed settings, its metric and how it searches."""
    search = {f"search.{name}": value for name, value in spec.search.model_dump().items()}
    space = {f"space.{name}": s.model_dump(exclude_defaults=True) for name, s in spec.space.items()}
    metric = {"metric": spec.metric.name, "goal": spec.metric.goal}
    return {**metric, **spec.train, **space, **search}


def _once_per_run(result: TrialResult) -> dict[str, float]:
    """Finite numbers that can be axes."""
    facts = result.facts
    numbers: dict[str, Any] = {
        "trial": result.number,
        "objective": result.value,
        "verdict_code": result.verdict.code,
        "epochs_used": result.epochs,
        "seconds": result.seconds,
        "step_time": facts.get("step_seconds"),
        "peak_memory_mb": facts.get("peak_memory_mb"),
    }
    return {name: float(value) for name, value in numbers.items() if value is not None}


def _tags(result: TrialResult) -> dict[str, str]:
    tags = {
        "verdict": result.verdict.value,
        "outcome": result.outcome.value,
        "mlflow.note.content": to_markdown(result.report),
        "inactive": ", ".join(result.inactive) or "none",
    }
    tags |= {f"finding.{finding.kind}": finding.severity.word for finding in result.report.findings}
    if result.reason:
        tags["reason"] = result.reason
    if result.outcome is Outcome.FAILED:
        tags["cause"] = result.reason
    if result.attempts:
        tags["attempts"] = "; ".join(result.attempts)
    return tags


def _points(metrics: Mapping[str, float], step: int) -> list[Metric]:
    """The finite ones among the metrics, as points at `step`, now."""
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    return [Metric(name, value, now, step) for name, value in metrics.items() if math.isfinite(value)]


def _chunks(items: Sequence[Any], size: int) -> Iterable[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
