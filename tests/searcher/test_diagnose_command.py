"""`searcher diagnose`: recorded trials and MLflow runs, once more."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from diagnostics import Signals
from diagnostics.causes import flatten
from diagnostics.report import from_dict, to_dict
from searcher.opening import load_study
from searcher.records import SIGNALS, trial_folder
from searcher.summary import cause_of
from searcher.tracking.run_curves import chosen
from searcher.trial import TrialResult

STUDY = """
name = "cliffs"
[train]
data = "digits"
max_samples = 300
width = 16
depth = 2
epochs = 12
batch_size = 16
optimizer = "sgd"
momentum = 0.9
[metric]
name = "val_accuracy"
goal = "maximize"
[space]
init = ["kaiming_normal", "zeros"]
learning_rate = [0.02, 0.05, 1e6]
[search]
sampler = "grid"
pruner = "none"
trials = 6
[dispatch]
launcher = "inprocess"
"""

Call = Callable[..., Any]


@pytest.fixture
def cliffs(searcher: Call) -> list[TrialResult]:
    """A recorded study of which some trials are doomed; with its record in MLflow."""
    Path("study.toml").write_text(STUDY)
    said = searcher("run", "study.toml", "--tracking-uri", tracking())
    assert said.code == 0, said.err
    return load_study("cliffs", "sqlite:///studies.db").results()


def tracking() -> str:
    return f"sqlite:///{Path.cwd()}/mlflow.db"  # in full: MLflow remembers stores by their address


def test_a_study_is_diagnosed_again_from_its_record(searcher: Call, cliffs: list[TrialResult]) -> None:
    again = json.loads(searcher("diagnose", "cliffs", "--json").out)
    assert [entry["trial"] for entry in again] == [0, 1, 2, 3, 4, 5]
    for entry, result in zip(again, cliffs, strict=True):
        assert entry["outcome"] == result.outcome
        assert entry["report"] == json.loads(json.dumps(to_dict(result.report))), "the rules are the same"
        assert entry["first_cause"] == (cause_of(result) or None)
    doomed = [result for result in cliffs if result.outcome == "doomed"]
    assert len(doomed) >= 4, "equal rows cannot learn, and no step is of the size 1e6"
    shown = searcher("diagnose", "cliffs").out
    for result in doomed:
        row = next(line for line in shown.splitlines() if line.split()[:1] == [str(result.number)])
        assert str(result.verdict) in row and cause_of(result) in row
    assert "symmetric-units" in shown and "searcher diagnose cliffs TRIAL" in shown


def test_a_trial_is_told_with_all_its_evidence(searcher: Call, cliffs: list[TrialResult]) -> None:
    result = next(r for r in cliffs if r.settings["init"] == "zeros" and r.settings["learning_rate"] < 1)
    said = searcher("diagnose", "study.toml", str(result.number))
    text = " ".join(said.out.split())
    assert f"trial {result.number} doomed" in text and "lr=0.02" in text
    fatal = result.report.fatal
    assert fatal is not None and fatal.kind == "symmetric-units"
    assert fatal.cause in text and fatal.remedy in text
    assert "not-learning" in text, "what follows from it"
    for part in ("verdict: not-learning", "evidence: ", "it follows: ", "statistics: ", "trivial_loss"):
        assert part in text
    data = json.loads(searcher("diagnose", "cliffs", str(result.number), "--json").out)
    assert from_dict(data["report"]).fatal == fatal


def test_what_siblings_reached_is_on_record(searcher: Call, cliffs: list[TrialResult]) -> None:
    reached: list[float] = []
    for result in cliffs:
        known = {"sibling_train_loss": min(reached)} if reached else {}
        assert {name: v for name, v in result.facts.items() if name == "sibling_train_loss"} == known
        saved = Signals.load(trial_folder(Path("searcher-runs/cliffs"), result.number) / SIGNALS)
        assert dict(saved.facts).items() >= dict(result.facts).items()
        if result.outcome == "completed" and result.best is not None:
            reached.append(result.best.metrics["train_loss"])
    assert len(reached) == 2


def test_the_record_in_mlflow_stays_small(searcher: Call, cliffs: list[TrialResult]) -> None:
    client = MlflowClient(tracking_uri=tracking())
    experiment = client.get_experiment_by_name("cliffs").experiment_id
    for run in client.search_runs([experiment], "tags.`searcher.kind` = 'trial'"):
        result = cliffs[int(run.data.tags["optuna.trial_number"])]
        assert len(run.data.metrics) < 40
        assert not [name for name in run.data.metrics if "norm" in name or "." in name]
        assert run.data.tags.get("first_cause", "") == cause_of(result)
        if result.outcome == "doomed":
            assert result.reason in run.data.tags["mlflow.note.content"]
        for finding in flatten(result.report.findings):
            assert run.data.tags[f"finding.{finding.kind}"] == finding.severity.word, "what follows as well"
        text = " ".join(searcher("diagnose", run.info.run_id, "--tracking-uri", tracking()).out.split())
        assert "signals.npz" in text and f"verdict: {result.verdict}" in text


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nowhere"], ["nowhere", "cliffs"]),
        (["cliffs", "9"], ["no finished trial 9", "0, 1, 2, 3, 4, 5"]),
        (["cliffs", "1", "--runs", "elsewhere"], ["elsewhere/cliffs/00001/signals.npz", "--runs"]),
        (["f" * 32], ["f" * 32, "--tracking-uri"]),
        (["f" * 32, "3"], ["no trials"]),
    ],
    ids=["study", "trial", "files", "run", "run and trial"],
)
def test_what_is_not_there_is_said(
    searcher: Call, cliffs: list[TrialResult], arguments: list[str], parts: list[str]
) -> None:
    said = searcher(
        "diagnose", *arguments, *(["--tracking-uri", tracking()] if arguments[0][0] == "f" else [])
    )
    assert said.code == 2 and said.err.startswith("searcher: ")
    assert all(part in said.err for part in parts), said.err


def test_a_broken_file_of_signals_is_said(searcher: Call, cliffs: list[TrialResult]) -> None:
    (trial_folder(Path("searcher-runs/cliffs"), 2) / SIGNALS).write_bytes(b"not an archive")
    said = searcher("diagnose", "cliffs")
    assert said.code == 2 and "trial 2" in said.err and "cannot be read" in said.err
    (trial_folder(Path("searcher-runs/cliffs"), 2) / SIGNALS).write_bytes(b"")
    said = searcher("diagnose", "cliffs")
    assert said.code == 2 and "trial 2" in said.err and "cannot be read" in said.err


def test_the_run_of_a_study_is_told_from_those_of_its_trials(
    searcher: Call, cliffs: list[TrialResult]
) -> None:
    client = MlflowClient(tracking_uri=tracking())
    found = client.search_runs([str(client.get_experiment_by_name("cliffs").experiment_id)])
    kinds = {run.data.tags["searcher.kind"]: run.info.run_id for run in found}
    said = searcher("diagnose", kinds["study"], "--tracking-uri", tracking())
    assert said.code == 2 and "the study 'cliffs'" in said.err and "searcher diagnose cliffs" in said.err
    said = searcher("diagnose", kinds["trial"], "--tracking-uri", tracking())
    assert said.code == 0 and "Downloading" not in said.err


def log_run(metrics: Mapping[str, Any], status: str = "FINISHED", first: int = 0, every: int = 1) -> str:
    """A run by somebody else's hand; its steps begin at `first`."""
    client = MlflowClient(tracking_uri=tracking())
    known = client.get_experiment_by_name("theirs")
    run = client.create_run(known.experiment_id if known else client.create_experiment("theirs"))
    points = [
        Metric(name, float(value), 1000 + i, first + every * i)
        for name, values in metrics.items()
        for i, value in enumerate(values)
    ]
    client.log_batch(run.info.run_id, metrics=points)
    client.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def test_any_run_in_mlflow_is_diagnosed_by_its_curves(
    searcher: Call, workplace: Path, rng: np.random.Generator
) -> None:
    t = np.arange(60)
    noise = rng.normal(0, 0.01, (2, 60))
    train, val = 2 * np.exp(-t / 8) + 0.3 + noise[0], 2 * np.exp(-t / 8) + 0.5 + 0.03 * t + noise[1]
    run = log_run({"training/loss": train, "eval_loss": val, "gpu": [1.0]})
    said = searcher("diagnose", run, "--tracking-uri", tracking())
    assert said.code == 0, said.err
    text = " ".join(said.out.split())
    assert "eval_loss as val_loss" in text and "training/loss as train_loss" in text and "gpu" not in text
    assert "verdict: overfitting" in text and "not judged" in text and "need a Monitor" in text
    data = json.loads(searcher("diagnose", run, "--tracking-uri", tracking(), "--json").out)
    assert data["report"]["verdict"] == "overfitting" and data["metrics"]["val_loss"] == "eval_loss"


@pytest.mark.parametrize("first", [0, 1])
def test_a_run_logged_by_epochs_is_told_in_epochs(
    searcher: Call, workplace: Path, rng: np.random.Generator, first: int
) -> None:
    t = np.arange(40)
    noise = rng.normal(0, 0.01, (2, 40))
    train, val = 2 * np.exp(-t / 8) + 0.3 + noise[0], 2 * np.exp(-t / 8) + 0.5 + 0.03 * t + noise[1]
    run = log_run({"loss": train, "val_loss": val}, first=first)
    text = " ".join(searcher("diagnose", run, "--tracking-uri", tracking()).out.split())
    assert "one value each epoch" in text and "the validation loss was best at epoch " in text
    assert "overfitting at epoch" in text and re.search(r"\bsteps?\b", text) is None
    data = json.loads(searcher("diagnose", run, "--tracking-uri", tracking(), "--json").out)
    assert data["counted"] == "epoch" and data["report"]["statistics"]["steps"] == 40
    assert data["report"]["statistics"]["train_loss_first"] == train[0], "Keras calls it loss"
    assert "infinity" not in text and "inf " not in text, "limits that say nothing are left out"


def test_a_run_logged_by_steps_is_told_in_steps(
    searcher: Call, workplace: Path, rng: np.random.Generator
) -> None:
    x = 2 * np.exp(-np.arange(40) / 8) + 0.3 + rng.normal(0, 0.01, 40)
    of_one_kind = log_run({"loss": x})
    far_apart = log_run({"loss": x, "val_loss": x}, every=100)
    for run in (of_one_kind, far_apart):
        said = searcher("diagnose", run, "--tracking-uri", tracking()).out
        assert "each epoch" not in said and " steps" in said
        data = json.loads(searcher("diagnose", run, "--tracking-uri", tracking(), "--json").out)
        assert data["counted"] == "step"


def test_a_run_that_became_nan(searcher: Call, workplace: Path) -> None:
    run = log_run({"loss": [2.0, 1.9, 1.8, math.nan, math.nan]}, "KILLED")
    data = json.loads(searcher("diagnose", run, "--tracking-uri", tracking(), "--json").out)
    assert data["report"]["verdict"] == "non-finite"


def test_a_run_without_a_loss_is_refused_with_what_it_has(searcher: Call, workplace: Path) -> None:
    said = searcher("diagnose", log_run({"f1": [0.5], "auc": [0.7]}), "--tracking-uri", tracking())
    assert said.code == 2 and "auc, f1" in said.err


def test_of_several_metrics_that_mean_the_same_the_plainest_is_taken() -> None:
    points = [(0, 0, 1.0), (1, 1, 0.5)]
    found = chosen(
        {"eval/loss": points, "val_loss": points[:1], "Train Loss": points, "loss_train": points[:1]}
    )
    assert found == {"val_loss": "val_loss", "train_loss": "Train Loss"}


def test_metrics_logged_without_steps_go_by_time(searcher: Call, workplace: Path) -> None:
    client = MlflowClient(tracking_uri=tracking())
    run = client.create_run(client.create_experiment("timed")).info.run_id
    for i in range(40):
        client.log_metric(run, "loss", 2.0 * 0.9**i, timestamp=1000 + i)
    said = searcher("diagnose", run, "--tracking-uri", tracking(), "--json")
    assert json.loads(said.out)["report"]["statistics"]["steps"] == 40
