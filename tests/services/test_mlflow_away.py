"""MLflow's server goes away and comes back while a study runs: training goes on, the record is whole."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient
from servers import MlflowServer
from started import SPACE, Event, Run

from searcher.cli import main

STUDY = """
name = "{name}"
[train]
trainer = "quick_trainers:gated"
[metric]
name = "val_loss"
[search]
pruner = "none"
trials = 20
[dispatch]
slots = 2
"""
STUDY += SPACE

AWAY = 60.0
"""Seconds for which the server is gone while the study runs."""


def has_ended(event: Event) -> bool:
    return event["event"] == "trial_ended"


def has_started(event: Event) -> bool:
    return event["event"] == "trial_started"


def wait_for_record(server: MlflowServer, name: str, trials: int) -> None:
    """Wait until so many trials are recorded."""
    client, found = MlflowClient(tracking_uri=server.address), 0
    end = time.monotonic() + 60
    while found < trials:
        assert time.monotonic() < end, f"{found} of {trials} trials are recorded"
        time.sleep(0.2)
        if experiment := client.get_experiment_by_name(name):
            ended = "attributes.status = 'FINISHED'"
            found = len(client.search_runs([experiment.experiment_id], ended))


@pytest.mark.timeout(300)
def test_a_record_whose_server_was_away_is_whole_in_the_end(
    mlflow_server: MlflowServer, tmp_path: Path
) -> None:
    name = f"away-{random.randrange(10**9)}"
    (tmp_path / "study.toml").write_text(STUDY.format(name=name))
    gate = tmp_path / "gate"
    killed = Run(tmp_path, "--tracking-uri", mlflow_server.address)
    killed.wait_for(has_ended, times=2)
    gate.touch()
    wait_for_record(mlflow_server, name, trials=2)
    mlflow_server.stop()
    gate.unlink()
    killed.wait_for(has_ended, times=7)  # training goes on
    gate.touch()
    killed.kill()
    mlflow_server.start()
    run = Run(tmp_path, "--tracking-uri", mlflow_server.address)
    run.wait_for(has_started, times=2)
    wait_for_record(mlflow_server, name, trials=7)
    mlflow_server.stop()
    back_at = time.monotonic() + AWAY
    gate.unlink()
    run.wait_for(has_ended, times=4)
    gate.touch()
    time.sleep(back_at - time.monotonic())
    mlflow_server.start()
    gate.unlink()
    assert run.finish()[-1]["trials"] == 20

    places = ["--storage", f"sqlite:///{tmp_path / 'studies.db'}", "--runs", str(tmp_path / "searcher-runs")]
    assert main(["verify", name, *places, "--tracking-uri", mlflow_server.address]) == 0
    client = MlflowClient(tracking_uri=mlflow_server.address)
    experiment = client.get_experiment_by_name(name)
    runs = client.search_runs([experiment.experiment_id])
    assert len(runs) == 21 and {run.info.status for run in runs} == {"FINISHED"}
    for run_id in (run.info.run_id for run in runs if "optuna.trial_number" in run.data.tags):
        points = client.get_metric_history(run_id, "val_loss")
        assert [point.step for point in points] == list(range(1, 7)), "each point once, in order"
