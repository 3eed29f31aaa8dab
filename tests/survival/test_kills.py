"""After a kill nothing is lost, counted twice or left running, and MLflow agrees with Optuna."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import psutil
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState

Write = Callable[..., Path]
Start = Callable[..., Any]

STATUS = {TrialState.COMPLETE: "FINISHED", TrialState.PRUNED: "KILLED", TrialState.FAIL: "FAILED"}


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    return optuna.load_study(study_name="kills", storage=f"sqlite:///{folder}/studies.db").trials


def essence(folder: Path) -> list[tuple[object, ...]]:
    """Everything about the trials that does not depend on the clock."""
    return [
        (t.number, t.state, t.values, t.params, t.intermediate_values, t.constraints)
        for t in trials_of(folder)
    ]


def assert_mlflow_agrees(folder: Path) -> None:
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    experiment = client.get_experiment_by_name("kills")
    runs = client.search_runs([experiment.experiment_id])
    parents = [run for run in runs if run.data.tags["searcher.kind"] == "study"]
    children = [run for run in runs if run.data.tags["searcher.kind"] == "trial"]
    assert [run.info.status for run in parents] == ["FINISHED"]
    by_number = {int(run.data.tags["optuna.trial_number"]): run for run in children}
    trials = trials_of(folder)
    assert len(children) == len(by_number) == len(trials)
    for trial in trials:
        run = by_number[trial.number]
        assert run.info.status == STATUS[trial.state]
        assert {name: run.data.params[name] for name in trial.params} == {
            name: str(value) for name, value in trial.params.items()
        }
        points = client.get_metric_history(run.info.run_id, "val_loss")
        steps = [point.step for point in points]
        assert len(steps) == len(set(steps)) == len(trial.intermediate_values)


@pytest.mark.timeout(300)
def test_a_killed_coordinator_loses_nothing_and_goes_on_as_if_nothing_had_happened(
    write_study: Write, start: Start
) -> None:
    seed = random.randrange(1000)
    whole = write_study("whole", "slow", seed)
    start(whole, "--slots", "1", "--no-tracking").finish()
    broken = write_study("broken", "slow", seed)
    for _ in range(3):
        run = start(broken, "--slots", "1")
        kill_after = random.randrange(2, 15)
        for seen, event in enumerate(run.events()):
            if seen >= kill_after and event["event"] != "study_left":
                children = psutil.Process(run.process.pid).children(recursive=True)
                run.process.kill()
                break
        run.process.communicate()
        _, alive = psutil.wait_procs(children, timeout=20)
        assert not alive, "workers outlive their coordinator"
    events = start(broken, "--slots", "1").finish()
    assert events[-1]["trials"] == 8
    assert {trial.state for trial in trials_of(broken)} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert essence(broken) == essence(whole)
    assert_mlflow_agrees(broken)


def test_a_killed_worker_takes_nothing_with_it(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="kills_its_worker_once", trials=4, pruner="none")
    events = start(folder, "--slots", "2").finish()
    assert sum("SIGKILL" in str(event.get("text")) for event in events) == 4
    trials = trials_of(folder)
    assert len(trials) == 4
    assert {trial.state for trial in trials} <= {TrialState.COMPLETE, TrialState.PRUNED}
    assert_mlflow_agrees(folder)


def test_a_trial_that_kills_every_worker_fails_after_its_retries(write_study: Write, start: Start) -> None:
    folder = write_study(
        trainer="kills_its_worker_always", trials=8, seed=random.randrange(1000), pruner="none"
    )
    ended = [
        e for e in start(folder, "--slots", "2", "--no-tracking").finish() if e["event"] == "trial_ended"
    ]
    trials = trials_of(folder)
    assert len(trials) == len(ended) == 8
    for trial in trials:
        assert (trial.state is TrialState.FAIL) == (trial.params["depth"] == 4)
    for event in ended:
        if event["outcome"] == "failed":
            assert "killed by SIGKILL" in str(event["reason"])
            assert event["report"]["verdict"] == "failed"
            assert event["report"]["findings"][0]["kind"] == "crashed"


def test_a_worker_killed_from_outside_is_replaced(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="slow", trials=3)
    run = start(folder, "--slots", "1", "--no-tracking")
    killed = False
    for event in run.events():
        if event["event"] == "trial_evaluated" and not killed:
            killed = True
            for child in psutil.Process(run.process.pid).children():
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
    run.process.communicate()
    assert run.process.returncode == 0
    assert [trial.state.is_finished() for trial in trials_of(folder)] == [True] * 3


@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_parks_cleanly(write_study: Write, start: Start, presses: int) -> None:
    folder = write_study(trainer="slow", trials=6)
    run = start(folder, "--slots", "1")
    pressed = False
    for event in run.events():
        if event["event"] == "trial_evaluated" and not pressed:
            pressed = True
            for _ in range(presses):
                os.kill(run.process.pid, signal.SIGINT)
                time.sleep(0.15)
            asked = time.monotonic()
        if str(event.get("text", "")).startswith("parking") and presses == 1:
            assert time.monotonic() - asked < 1.0, "the person is left without an answer"
    run.process.communicate()
    assert run.process.returncode == 0
    states = [trial.state for trial in trials_of(folder)]
    assert len(states) == 1
    assert (states[0] is TrialState.WAITING) == (presses == 2)
    events = start(folder, "--slots", "1").finish()
    assert events[-1]["trials"] == len(trials_of(folder)) == 6
    assert_mlflow_agrees(folder)


def test_a_second_coordinator_is_refused(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="slow", trials=3)
    first = start(folder, "--slots", "1", "--no-tracking")
    next(first.events())
    second = start(folder, "--slots", "1", "--no-tracking")
    _, errors = second.process.communicate(timeout=60)
    assert second.process.returncode == 2
    assert "being run by another process" in errors
    first.finish()
    assert len(trials_of(folder)) == 3


def test_two_studies_begun_at_once_in_one_folder_are_both_recorded(write_study: Write, start: Start) -> None:
    folder = write_study(trials=4)
    text = (folder / "study.toml").read_text()
    (folder / "other.toml").write_text(text.replace('name = "kills"', 'name = "other"'))
    runs = [start(folder, "--slots", "1", study=study) for study in ("study.toml", "other.toml")]
    for run in runs:
        assert run.finish()[-1]["trials"] == 4
    assert_mlflow_agrees(folder)
    client = MlflowClient(tracking_uri=f"sqlite:///{folder}/mlflow.db")
    other = client.get_experiment_by_name("other")
    assert len(client.search_runs([other.experiment_id])) == 5
