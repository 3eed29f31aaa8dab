"""What people tell a running study from another terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from searcher.cli import main

Write = Callable[..., Path]
Start = Callable[..., Any]


def tell(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """One command beside the run."""
    paths = (Path(__file__).parents[2], Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, "-m", "searcher.cli", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def told(folder: Path, *words: str) -> str:
    """What a command that worked has printed."""
    done = tell(folder, *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def trials_of(folder: Path) -> list[optuna.trial.FrozenTrial]:
    """The recorded trials."""
    return optuna.load_study(study_name="kills", storage=f"sqlite:///{folder}/studies.db").trials


def await_trials(folder: Path, ready: Callable[[list[optuna.trial.FrozenTrial]], bool]) -> None:
    """Wait until the trials are as they should be."""
    until = time.monotonic() + 60
    while not ready(trials_of(folder)):
        assert time.monotonic() < until, [trial.state for trial in trials_of(folder)]
        time.sleep(0.1)


def test_pause_resume_and_stop(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="slow", trials=50, pruner="none")
    run = start(folder, "--slots", "1", "--no-tracking")
    events = run.events()
    next(event for event in events if event["event"] == "trial_evaluated")
    assert "searcher resume kills" in told(folder, "pause", "kills")
    await_trials(folder, lambda trials: all(trial.state.is_finished() for trial in trials))
    paused = len(trials_of(folder))
    time.sleep(1.5)
    assert len(trials_of(folder)) == paused < 50, "no trial began meanwhile"
    assert run.process.poll() is None, "a paused study is not left"
    assert "goes on" in told(folder, "resume", "kills")
    await_trials(folder, lambda trials: len(trials) > paused)
    assert "searcher run" in told(folder, "stop", "kills")
    last = list(events)[-1]
    assert run.process.wait(timeout=30) == 0
    assert last["event"] == "study_left" and last["why"] == "it was told to stop"
    assert all(trial.state.is_finished() for trial in trials_of(folder)), "what ran was finished"


def test_stop_now_puts_back_what_runs_and_the_next_run_goes_on(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="lingering", trials=3, pruner="none")
    run = start(folder, "--slots", "1", "--no-tracking")
    events = run.events()
    next(event for event in events if event["event"] == "trial_evaluated")
    assert "queue" in told(folder, "stop", "kills", "--now")
    list(events)
    assert run.process.wait(timeout=30) == 0
    assert trials_of(folder)[-1].state is TrialState.WAITING
    assert start(folder, "--slots", "1", "--no-tracking").finish()[-1]["trials"] == 3


def test_one_trial_is_ended_and_what_it_reached_counts(write_study: Write, start: Start) -> None:
    folder = write_study(trainer="lingering", trials=2, pruner="none")
    run = start(folder, "--slots", "1", "--no-tracking")
    events = run.events()
    next(event for event in events if event["event"] == "trial_evaluated")
    wrong = tell(folder, "stop", "kills", "--trial", "7")
    assert wrong.returncode == 2 and "trial 7 of 'kills' is not running; running: 0" in wrong.stderr
    told(folder, "stop", "kills", "--trial", "0")
    ended = next(event for event in events if event["event"] == "trial_ended")
    assert ended["outcome"] == "pruned" and "ended by" in str(ended["reason"])
    list(events)
    assert run.process.wait(timeout=60) == 0
    first, second = trials_of(folder)
    assert first.state is TrialState.PRUNED and first.intermediate_values
    assert second.state is TrialState.COMPLETE


def test_queued_points_are_tried_next(write_study: Write, start: Start) -> None:
    folder = write_study(trials=2)
    start(folder, "--slots", "1", "--no-tracking").finish()
    assert "1 in all" in told(folder, "enqueue", "kills", "learning_rate=0.5", "width=8", "beta=0.25")
    told(folder, "enqueue", "kills", "depth=3")
    start(folder, "--slots", "1", "--no-tracking", "--trials", "4").finish()
    third, fourth = trials_of(folder)[2:]
    assert {"learning_rate": 0.5, "width": 8, "beta": 0.25}.items() <= third.params.items()
    assert fourth.params["depth"] == 3 and set(fourth.params) >= {"learning_rate", "width"}


WRONG = (
    ("enqueue kills depth=9", "depth has to be from 1 to 4, but got 9"),
    ("enqueue kills width=9", "width has to be one of [8, 16, 32], but got 9"),
    ("enqueue kills wdith=8", "did you mean 'width'"),
    ("enqueue kills width=16 beta=0.5", "beta is only for width in [8], but got width = 16"),
    ("enqueue kills beta=0.5", "but got no width"),
    ("enqueue kills depth", "enqueue takes NAME=VALUE"),
    ("pause kills", "nobody runs study 'kills' now"),
    ("stop kills --trial 0", "nobody runs study 'kills' now"),
    ("resume other", "no study 'other' is recorded"),
)


def test_orders_that_cannot_be_followed(
    write_study: Write, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_study(trials=1)
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(Path(__file__).parent)
    assert main(["run", "study.toml", "--launcher", "inprocess", "--no-tracking"]) == 0
    for words, sentence in WRONG:
        capsys.readouterr()
        assert main(words.split()) == 2, words
        assert sentence in capsys.readouterr().err, words
    assert len(trials_of(folder)) == 1
