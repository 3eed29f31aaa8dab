"""Evaluations in MLflow's record stand at the steps at which verify expects them, each step once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from searcher.tracking.mlflow_store import connect
from trainers.progress import Progress

Call = Callable[..., Any]

STUDY = """
name = "steps"
[train]
trainer = "test_tracking_steps:{trainer}"
[space]
x = {{ low = 0.0, high = 1.0 }}
[search]
sampler = "random"
pruner = "none"
trials = 2
[dispatch]
launcher = "inprocess"
"""


def early(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Evaluates before its first step."""
    yield Progress(0, 0, 2, {"val_loss": 3.0 + settings["x"]})
    for epoch in (1, 2):
        yield Progress(5 * epoch, epoch, 2, {"val_loss": 1 / epoch})


def twice(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Evaluates twice at most of its steps: the second time it has another value, or the same."""
    for epoch in (1, 2, 3):
        yield Progress(5 * epoch, epoch, 3, {"val_loss": 1 / epoch, "train_loss": 0.5})
        if epoch > 1:
            yield Progress(5 * epoch, epoch, 3, {"val_loss": settings["x"] / epoch, "train_loss": 0.5})


@pytest.mark.parametrize("flush_seconds", [0.0, 15.0])
@pytest.mark.parametrize(("trainer", "steps"), [("early", [1, 5, 10]), ("twice", [5, 10, 15])])
def test_a_fresh_record_agrees(
    trainer: str,
    steps: list[int],
    flush_seconds: float,
    workplace: Path,
    searcher: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("searcher.tracking.mlflow_tracker.FLUSH_SECONDS", flush_seconds)
    Path("study.toml").write_text(STUDY.format(trainer=trainer))
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    assert searcher("run", "study.toml", "--tracking-uri", uri).code == 0
    said = searcher("verify", "steps", "--tracking-uri", uri)
    assert said.code == 0, said.out
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("steps").experiment_id
    runs = client.search_runs([experiment], "tags.`searcher.kind` = 'trial'")
    assert len(runs) == 2
    for run in runs:
        history = {p.step: p.value for p in client.get_metric_history(run.info.run_id, "val_loss")}
        assert sorted(history) == steps
        if trainer == "twice":
            assert history[15] == pytest.approx(float(run.data.params["x"]) / 3), "the last one counts"


def test_a_store_in_the_working_folder_is_that_of_the_folder_it_is_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        connect("sqlite:///mlflow.db").create_experiment(name)
    for name in ("one", "other"):
        monkeypatch.chdir(tmp_path / name)
        known = {experiment.name for experiment in connect("sqlite:///mlflow.db").search_experiments()}
        assert known == {"Default", name}
