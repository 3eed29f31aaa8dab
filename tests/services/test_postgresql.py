"""Several coordinators share a study on a real PostgreSQL server, and the server or one of them goes away."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
from mlflow import MlflowClient
from optuna.trial import TrialState
from servers import MlflowServer, PostgreSQL
from started import SPACE, Event, Run

from searcher.cli import main

STUDY = """
name = "{name}"

[train]
trainer = "quick_trainers:{trainer}"

[metric]
name = "val_loss"

[search]
pruner = "none"
seed = {seed}
trials = {trials}

[dispatch]
slots = 2
grace_seconds = {grace}
"""
STUDY += SPACE

GRACE = 5.0
"""Seconds until a silent coordinator counts as dead."""


class Study:
    """A study on a server, run by as many coordinators as are begun."""

    def __init__(self, folder: Path, storage: str, tracking: str | None) -> None:
        self.name = f"shared-{random.randrange(10**9)}"
        self.folder = folder
        self.storage = storage
        self.tracking = tracking

    def write(self, trials: int, trainer: str = "gated", grace: float = GRACE) -> None:
        seed = random.randrange(1000)
        text = STUDY.format(name=self.name, trainer=trainer, seed=seed, trials=trials, grace=grace)
        (self.folder / "study.toml").write_text(text)

    def begin(self) -> Run:
        record = ("--tracking-uri", self.tracking) if self.tracking else ("--no-tracking",)
        return Run(self.folder, "--storage", self.storage, *record)

    def check(self, trials: int) -> None:
        """It ended with exact counts, and the record agrees."""
        recorded = optuna.load_study(study_name=self.name, storage=self.storage).trials
        assert [trial.number for trial in recorded] == list(range(trials))
        assert {trial.state for trial in recorded} == {TrialState.COMPLETE}
        assert len({trial.params["learning_rate"] for trial in recorded}) == trials
        if self.tracking is None:
            return
        places = ["--storage", self.storage, "--tracking-uri", self.tracking]
        assert main(["verify", self.name, *places, "--runs", str(self.folder / "searcher-runs")]) == 0
        client = MlflowClient(tracking_uri=self.tracking)
        experiment = client.get_experiment_by_name(self.name)
        runs = client.search_runs([experiment.experiment_id])
        kinds = Counter(run.data.tags["searcher.kind"] for run in runs)
        assert kinds == {"study": 1, "trial": trials}
        assert {run.info.status for run in runs} == {"FINISHED"}
        numbers = {int(run.data.tags.get("optuna.trial_number", -1)) for run in runs}
        assert numbers == {-1, *range(trials)}

    def begun(self) -> int:
        """How many trainings were begun."""
        return len((self.folder / "begun").read_text().splitlines())

    def close_gate(self) -> None:
        """From now on every training waits in its middle."""
        (self.folder / "gate").touch()

    def open_gate(self) -> None:
        """Let the trainings go on."""
        (self.folder / "gate").unlink()


def has_ended(event: Event) -> bool:
    return event["event"] == "trial_ended"


def has_started(event: Event) -> bool:
    return event["event"] == "trial_started"


def numbers(run: Run, kind: Callable[[Event], bool]) -> list[object]:
    """The trials of these events, in order."""
    return [event["trial"] for event in run.seen if kind(event)]


@pytest.fixture
def study(tmp_path: Path, storage: str) -> Study:
    return Study(tmp_path, storage, None)


@pytest.fixture
def recorded_study(tmp_path: Path, storage: str, mlflow_server: MlflowServer) -> Study:
    return Study(tmp_path, storage, mlflow_server.address)


def begin_both(study: Study) -> list[Run]:
    """Two coordinators that have filled their slots with trials, which wait."""
    study.close_gate()
    runs = [study.begin(), study.begin()]
    for run in runs:
        run.wait_for(has_started, times=2)
    return runs


def test_two_coordinators_with_two_workers_each_share_a_study(recorded_study: Study) -> None:
    recorded_study.write(trials=24)
    runs = begin_both(recorded_study)
    recorded_study.open_gate()
    for run in runs:
        assert run.finish()[-1]["trials"] == 24
        assert sorted(numbers(run, has_ended)) == list(range(24)), "each hears of every trial once"
    recorded_study.check(24)
    assert recorded_study.begun() == 24
    assert sorted(numbers(runs[0], has_started) + numbers(runs[1], has_started)) == list(range(24))


def test_the_trials_and_the_record_of_a_killed_coordinator_are_taken_over(recorded_study: Study) -> None:
    recorded_study.write(trials=12)
    first = recorded_study.begin()
    first.wait_for(has_ended)  # it keeps the record
    recorded_study.close_gate()
    second = recorded_study.begin()
    second.wait_for(has_started, times=2)
    first.kill()
    recorded_study.open_gate()
    assert second.finish()[-1]["trials"] == 12
    recorded_study.check(12)
    assert 12 <= recorded_study.begun() <= 12 + 2


def test_leaders_are_repeated_once_each_by_several_coordinators_one_of_which_is_killed(
    recorded_study: Study,
) -> None:
    recorded_study.write(trials=5)
    file = recorded_study.folder / "study.toml"
    file.write_text(file.read_text().replace("[search]", "[search]\nconfirm = 3"))
    first, second = recorded_study.begin(), recorded_study.begin()
    first.wait_for(lambda event: has_started(event) and event["confirms"] is not None)
    recorded_study.close_gate()
    first.kill()
    recorded_study.open_gate()
    end = second.finish()[-1]
    assert (end["trials"], end["repeats"]) == (5, 9)
    trials = optuna.load_study(study_name=recorded_study.name, storage=recorded_study.storage).trials
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    told = [trial.user_attrs["searcher:confirms"] for trial in trials[5:]]
    assert sorted((one["trial"], one["seed"]) for one in told) == sorted(
        {(one["trial"], seed) for one in told for seed in (1, 2, 3)}
    )
    places = ["--storage", recorded_study.storage, "--tracking-uri", str(recorded_study.tracking)]
    runs = str(recorded_study.folder / "searcher-runs")
    assert main(["verify", recorded_study.name, *places, "--runs", runs]) == 0


def test_a_server_that_is_started_again_is_waited_for(study: Study, postgresql: PostgreSQL) -> None:
    study.write(trials=10)
    study.close_gate()
    run = study.begin()
    for times, mode in enumerate(("fast", "immediate"), start=1):
        run.wait_for(has_started, times=2 * times)
        postgresql.stop(mode)
        study.open_gate()  # trials end meanwhile
        time.sleep(GRACE if times == 1 else 0.5)
        study.close_gate()
        postgresql.start()
        run.wait_for(lambda event: "the study store is back" in str(event.get("text")), times)
    study.open_gate()
    assert run.finish()[-1]["trials"] == 10
    study.check(10)
    assert study.begun() == 10


def test_nobody_is_thought_dead_because_the_server_was_away(
    recorded_study: Study, postgresql: PostgreSQL
) -> None:
    recorded_study.write(trials=12)
    runs = begin_both(recorded_study)
    postgresql.stop("immediate")
    time.sleep(GRACE + 1)  # every trial has been silent for too long
    postgresql.start()
    recorded_study.open_gate()
    for run in runs:
        assert run.finish()[-1]["trials"] == 12
        assert sorted(numbers(run, has_ended)) == list(range(12))
    recorded_study.check(12)
    assert recorded_study.begun() == 12, "nothing was trained twice"


def test_a_coordinator_that_comes_back_from_the_dead_counts_nothing_twice(recorded_study: Study) -> None:
    recorded_study.write(trials=8)
    frozen, other = begin_both(recorded_study)
    taken = set(numbers(frozen, has_started))
    os.kill(frozen.process.pid, signal.SIGSTOP)
    recorded_study.open_gate()
    other.wait_for(lambda event: has_started(event) and event["trial"] in taken, times=2)
    os.kill(frozen.process.pid, signal.SIGCONT)
    for run in (frozen, other):
        assert run.finish()[-1]["trials"] == 8
        assert sorted(numbers(run, has_ended)) == list(range(8))
    assert sum("taken over by another coordinator" in str(event.get("text")) for event in frozen.seen) == 2
    recorded_study.check(8)
    assert recorded_study.begun() == 8 + 2
