"""A recorded study whose record in MLflow can be spoiled, and all that it holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from searcher.tracking.views import NAMES, VIEW_TAG, state_of
from searcher.verify import STUDY


class Damaged:
    """A recorded study whose record can be spoiled."""

    def __init__(self, folder: Path) -> None:
        self.uri = f"sqlite:///{folder / 'mlflow.db'}"  # MLflow keeps a connection by this text
        self.client = MlflowClient(tracking_uri=self.uri)
        self.experiment = self.client.get_experiment_by_name("mixed").experiment_id
        self._database = folder / "mlflow.db"

    def runs(self, text: str = "") -> list[Run]:
        return list(self.client.search_runs([self.experiment], text))

    def run(self, number: int) -> Run:
        (found,) = self.runs(f"tags.`optuna.trial_number` = '{number}'")
        return found

    def parent(self) -> Run:
        (found,) = self.runs("tags.`searcher.kind` = 'study'")
        return found

    def sql(self, *statements: str, **values: Any) -> None:
        with sqlite3.connect(self._database) as connection:
            for statement in statements:
                assert connection.execute(statement, values).rowcount, statement

    def content(self, elsewhere: bool = False) -> dict[int, Any]:
        """All that the runs hold, but for their ids; where a record is made anew, but for where they ran."""
        return {self._number(run): self._held(run, elsewhere) for run in self.runs()}

    def views(self) -> dict[str, Any]:
        """The saved views, by the states of their pages."""
        tags = self.client.get_experiment(self.experiment).tags
        return {key: state_of(tags[f"{VIEW_TAG}{key}"]) for key in NAMES if f"{VIEW_TAG}{key}" in tags}

    def files(self, run_id: str, place: str | None = None) -> Iterator[str]:
        """The paths of all artifacts."""
        for entry in self.client.list_artifacts(run_id, place):
            if entry.is_dir:
                yield from self.files(run_id, entry.path)
            else:
                yield entry.path

    def ids(self) -> dict[int, str]:
        return {self._number(run): run.info.run_id for run in self.runs()}

    def _number(self, run: Run) -> int:
        return int(run.data.tags.get("optuna.trial_number", STUDY))

    def _held(self, run: Run, elsewhere: bool) -> Any:
        tags = {k: v for k, v in run.data.tags.items() if k != "mlflow.parentRunId"}
        if elsewhere:
            where = ("mlflow.source.", "mlflow.user", "version.", "machine", "command")
            tags = {k: v for k, v in tags.items() if not k.startswith(where)}
            tags["mlflow.note.content"] = tags["mlflow.note.content"].partition("\n\nThe study ended")[0]
        curves = {
            name: sorted((p.step, p.value) for p in self.client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        files = sorted(self.files(run.info.run_id))
        inputs = sorted(entry.dataset.digest for entry in run.inputs.dataset_inputs)
        times = () if self._number(run) == STUDY else (run.info.start_time, run.info.end_time)
        return run.info.run_name, run.info.status, times, run.data.params, tags, curves, files, inputs
