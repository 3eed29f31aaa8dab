"""A study recorded by a real MLflow server, over HTTP."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import numpy as np
import pytest
from mlflow import MlflowClient

STUDY = """
name = "served"
[train]
data = "digits"
max_samples = 300
width = 8
depth = 1
epochs = 2
[metric]
name = "val_accuracy"
goal = "maximize"
[space]
learning_rate = { low = 1e-3, high = 0.1, log = true }
[search]
pruner = "none"
trials = 3
"""

START_SECONDS = 120


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a fresh server, as `searcher ui` starts it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    command = [sys.executable, "-m", "searcher.cli", "ui", "--port", str(port)]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, start_new_session=True)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(address, process)
        yield address
    finally:
        os.killpg(process.pid, 15)
        process.communicate(timeout=30)


def _wait_for(address: str, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, "the server left"
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=2) as answer:
                assert answer.read() == b"OK"
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(f"no server at {address} after {START_SECONDS} s")


@pytest.mark.timeout(300)
def test_a_study_is_recorded_by_a_server(server: str, tmp_path: Path) -> None:
    (tmp_path / "study.toml").write_text(STUDY)
    command = [sys.executable, "-m", "searcher.cli", "run", "study.toml", "--json", "--tracking-uri", server]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    events = [json.loads(line) for line in run.stdout.splitlines()]  # nothing else is printed
    assert events[-1]["event"] == "study_left"
    client = MlflowClient(tracking_uri=server)
    experiment = client.get_experiment_by_name("served")
    runs = client.search_runs([experiment.experiment_id])
    children = [run for run in runs if "optuna.trial_number" in run.data.tags]
    assert len(children) == 3
    for child in children:
        assert child.info.status == "FINISHED"
        accuracies = client.get_metric_history(child.info.run_id, "val_accuracy")
        assert len(accuracies) == 2
        files = {file.path for file in client.list_artifacts(child.info.run_id)}
        assert files - {"usage.csv"} == {"findings.json", "signals.npz"}  # a short trial has no usage
        assert len(child.outputs.model_outputs) == 1, "of the best three"
        assert [entry.dataset.name for entry in child.inputs.dataset_inputs] == ["digits"]
    mlflow.set_tracking_uri(server)
    model = mlflow.pyfunc.load_model(f"runs:/{children[0].info.run_id}/model")
    assert np.asarray(model.predict(np.zeros((2, 1, 8, 8), dtype=np.float32))).shape == (2, 10)
    assert not (tmp_path / "mlflow.db").exists()
    command = [sys.executable, "-m", "searcher.cli", "ui", "served", "--tracking-uri", server]
    pages = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=True)
    assert (
        pages.stdout.count(f"{server}/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey=") == 4
    )
    client.delete_run(children[1].info.run_id)
    for name, code in (("verify", 1), ("repair", 0), ("verify", 0)):
        command = [sys.executable, "-m", "searcher.cli", name, "served", "--tracking-uri", server]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
        assert done.returncode == code, done


def test_pages_need_a_free_port_and_end_with_their_command(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "searcher.cli", "ui", "--port", str(port)]
        said = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert said.returncode == 2 and f"port {port} of 127.0.0.1 is in use" in said.stderr
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        _wait_for(f"http://127.0.0.1:{port}", process)
    finally:
        process.terminate()
        process.communicate(timeout=60)
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))
