"""What becomes of trials that end badly: in Optuna, in MLflow, for the trials after them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import FrozenTrial, TrialState

from diagnostics.causes import flatten
from diagnostics.report import from_dict

STUDY = """
name = "own"
[train]
trainer = "outcome_trainers:{trainer}"
[space]
x = [0.1, 0.3, 0.5, 0.7, 0.9]
unused = {{ low = 1, high = 3, when = {{ x = 0.7 }} }}
[search]
sampler = "grid"
pruner = "none"
seed = {seed}
trials = {trials}
[dispatch]
launcher = "inprocess"
"""

Call = Callable[..., Any]


def write(trainer: str, trials: int = 15, seed: int = 0) -> None:
    Path("study.toml").write_text(STUDY.format(trainer=trainer, trials=trials, seed=seed))


def tracking() -> str:
    return f"sqlite:///{Path.cwd()}/mlflow.db"  # in full: MLflow remembers stores by their address


def trials() -> list[FrozenTrial]:
    return optuna.load_study(study_name="own", storage="sqlite:///studies.db").trials


def kind_of(trial: FrozenTrial) -> str:
    x = trial.params["x"]
    return "nan" if x < 0.2 else "memory" if x < 0.4 else "error" if x < 0.6 else "well"


NUMBER = "optuna.trial_number"

FINDINGS = {
    "nan": ["learning-rate-too-high", "non-finite"],
    "memory": ["out-of-memory"],
    "error": ["crashed"],
    "well": [],
}
"""All that is found, remarks too: a loss that is no longer finite is most likely that of steps too long."""

STATES = {
    "nan": TrialState.PRUNED,
    "memory": TrialState.PRUNED,
    "error": TrialState.FAIL,
    "well": TrialState.COMPLETE,
}


def test_optuna_learns_what_each_end_means(searcher: Call) -> None:
    write("of_all_kinds")
    assert searcher("run", "study.toml", "--no-tracking", "--json").code == 0
    for trial in trials():
        kind = kind_of(trial)
        assert trial.state is STATES[kind]
        expected = {"nan": {"non-finite": 1.0}, "memory": {"out-of-memory": 1.0}}.get(kind, {})
        assert trial.constraints == expected
        if trial.state is TrialState.PRUNED:
            assert math.isfinite(trial.value)
            known = [t.value for t in trials() if t.number <= trial.number and t.value is not None]
            assert trial.value == max(known), "a doomed trial counts as the worst so far"
    study = optuna.load_study(study_name="own", storage="sqlite:///studies.db")
    assert kind_of(study.best_trial) == "well"


def test_every_stop_has_its_sentence(searcher: Call) -> None:
    write("of_all_kinds")
    said = searcher("run", "study.toml", "--no-tracking", "--json")
    events = [json.loads(line) for line in said.out.splitlines()]
    by_number = {trial.number: kind_of(trial) for trial in trials()}
    reasons = {
        "nan": "non-finite at step 1",
        "memory": "OutOfMemoryError: tried to allocate 80 GiB",
        "error": "RuntimeError: the glue came off",
        "well": "",
    }
    for event in (event for event in events if event["event"] == "trial_ended"):
        kind = by_number[event["trial"]]
        assert event["reason"].startswith(reasons[kind]) if reasons[kind] else event["reason"] == ""
        found = [finding.kind for finding in flatten(from_dict(event["report"]).findings)]
        assert sorted(found) == FINDINGS[kind]
    shown = " ".join(searcher("show", "own").out.split())
    assert "the glue came off" in shown
    assert "tried to allocate 80 GiB" in shown


def test_mlflow_mirrors_each_end(searcher: Call) -> None:
    write("of_all_kinds")
    assert searcher("run", "study.toml", "--tracking-uri", tracking()).code == 0
    client = MlflowClient(tracking_uri=tracking())
    experiment = client.get_experiment_by_name("own")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags["searcher.kind"] == "study"]
    children = {
        int(r.data.tags["optuna.trial_number"]): r for r in runs if "optuna.trial_number" in r.data.tags
    }
    assert len(parents) == 1
    assert len(children) == len(runs) - 1 == 15
    status = {"nan": ("KILLED", "doomed"), "memory": ("KILLED", "doomed"), "error": ("FAILED", "failed")}
    for trial in trials():
        run, kind = children[trial.number], kind_of(trial)
        tags, metrics = run.data.tags, run.data.metrics
        assert (run.info.status, tags["outcome"]) == status.get(kind, ("FINISHED", "completed"))
        assert tags["mlflow.parentRunId"] == parents[0].info.run_id
        assert run.data.params["x"] == str(trial.params["x"])
        assert run.data.params["unused"] == str(trial.params.get("unused", 0.8))  # off: below its range
        assert all(math.isfinite(value) for value in metrics.values())
        assert {"objective", "verdict_code", "trial", "epochs_used", "seconds", "val_loss"} <= metrics.keys()
        assert ("finding.non-finite" in tags) == (kind == "nan")
        assert ("cause" in tags) == (kind == "error")
        assert tags["verdict"] in tags["mlflow.note.content"]
        assert {file.path for file in client.list_artifacts(run.info.run_id)} >= {
            "findings.json",
            "signals.npz",
        }
    best = client.get_metric_history(parents[0].info.run_id, "best_so_far")
    completed = [trial for trial in trials() if trial.state is TrialState.COMPLETE]
    assert [(point.step, point.value) for point in best] == [
        (t.number + 1, min(other.value for other in completed if other.number <= t.number)) for t in completed
    ]


def test_a_mistake_of_one_point_is_shown_once_and_then_passed_over(searcher: Call) -> None:
    write("refuses_the_first", trials=5)
    text = Path("study.toml").read_text().replace('sampler = "grid"', 'sampler = "random"')
    Path("study.toml").write_text(
        text.replace("x = [0.1, 0.3, 0.5, 0.7, 0.9]", "x = { low = 0.0, high = 1.0 }")
    )
    first = searcher("run", "study.toml", "--no-tracking")
    assert first.code == 2
    assert "x: does not fit the rest" in first.err
    assert [trial.state for trial in trials()] == [TrialState.WAITING]
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    assert [trial.state for trial in trials()] == [TrialState.FAIL] + 4 * [TrialState.COMPLETE]


def test_an_objective_that_is_never_finite_dooms_its_trial(searcher: Call) -> None:
    write("never_finite", trials=3)
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    assert {trial.state for trial in trials()} == {TrialState.PRUNED}
    shown = " ".join(searcher("show", "own").out.split())
    assert "val_loss was not finite at any evaluation" in shown
    said = searcher("best", "own")
    assert said.code == 2
    assert "none yet: all 3 trials ended before their time" in said.err


@pytest.mark.parametrize("deleted", ["a child", "a finished child's status", "everything"])
def test_the_record_is_brought_up_to_the_store(searcher: Call, deleted: str) -> None:
    write("of_all_kinds", trials=6)
    searcher("run", "study.toml", "--tracking-uri", tracking())
    client = MlflowClient(tracking_uri=tracking())
    experiment = client.get_experiment_by_name("own").experiment_id
    before = essence(client, experiment)
    children = client.search_runs([experiment], "tags.`searcher.kind` = 'trial'")
    if deleted == "a child":
        client.delete_run(children[2].info.run_id)
    elif deleted == "everything":
        for run in client.search_runs([experiment]):
            client.delete_run(run.info.run_id)
    else:
        client.update_run(children[2].info.run_id, status="RUNNING")
    assert essence(client, experiment) != before
    searcher("run", "study.toml", "--tracking-uri", tracking())
    assert essence(client, experiment) == before


def essence(client: MlflowClient, experiment: str) -> dict[str, Any]:
    """All that is recorded of the trials, but for times and ids."""
    found: dict[str, Any] = {}
    for run in client.search_runs([experiment]):
        names = [name for name in run.data.metrics if name not in ("seconds",)]
        points = {
            name: sorted((p.step, p.value) for p in client.get_metric_history(run.info.run_id, name))
            for name in names
        }
        tags = {name: value for name, value in run.data.tags.items() if name != "mlflow.parentRunId"}
        files = sorted(file.path for file in client.list_artifacts(run.info.run_id))
        key = run.data.tags.get(NUMBER, "study")
        assert key not in found
        found[key] = (run.info.status, run.data.params, points, tags, files)
    return found
