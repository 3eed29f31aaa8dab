"""A study is killed at every point of its way, goes on, and is the study that was never killed.

Points are drawn anew in every run; a test that fails shows its seed, and `TEST_SEED` repeats it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from started import SPACE

from searcher.reprieves import is_audited

KILLED = -9

STUDY = """
name = "kills"
[train]
{train}
[search]
sampler = {{ name = "tpe", n_startup_trials = 2 }}
pruner = "asha"
seed = {seed}
trials = {trials}
[dispatch]
launcher = "{launcher}"
slots = 1
state_seconds = 1e-6
"""
STUDY += SPACE + "{space}\n"

BETA = "beta = { low = 0.0, high = 1.0, when = { width = 8 } }"

DIGITS = """data = "digits"
max_samples = 240
epochs = 2
batch_size = 64"""


def own(trainer: str, seed: int, launcher: str = "inprocess", trials: int = 4) -> str:
    train = f'trainer = "dying_trainers:{trainer}"'
    return STUDY.format(train=train, space=BETA, seed=seed, trials=trials, launcher=launcher)


def digits(seed: int, launcher: str = "inprocess", trials: int = 2, model: str = "mlp") -> str:
    train = f'{DIGITS}\nmodel = "{model}"'
    return STUDY.format(train=train, space="", seed=seed, trials=trials, launcher=launcher)


def numbers(rng: np.random.Generator) -> int:
    return int(rng.integers(1000))


def some_kill(rng: np.random.Generator, passed: dict[str, int], point: str) -> tuple[str, int]:
    return point, int(rng.integers(1, passed[point] + 1))


def assert_whole(answer: dict[str, Any], twin: dict[str, Any], trials: int, attempts: bool = True) -> None:
    """The same trials as in the study that was never killed, all of them finished, each once."""
    assert [trial["number"] for trial in answer["trials"]] == list(range(trials))
    assert {trial["state"] for trial in answer["trials"]} <= {"COMPLETE", "PRUNED", "FAIL"}
    for one, other in zip(answer["trials"], twin["trials"], strict=True):
        drop = () if attempts else ("attempts",)
        assert {k: v for k, v in one.items() if k not in drop} == {
            k: v for k, v in other.items() if k not in drop
        }
    assert answer["differs"] == 0


class Killed:
    """Kills a study at points of its way, and holds what becomes of it against its uninterrupted twin."""

    def __init__(self, harness: Any, folder: Path, study: str, plan: str = "{}", **task: Any) -> None:
        self._harness, self._folder, self._study, self._task = harness, folder, study, task
        self._count = 0
        self._plan = plan
        self.twin = harness.finish(self._fresh("twin"), **task)
        self.passed: dict[str, int] = self.twin["passed"]

    def _fresh(self, name: str) -> Path:
        folder: Path = self._harness.folder(self._folder / name, self._study)
        (folder / "plan.json").write_text(self._plan)
        return folder

    def at(self, rng: np.random.Generator, point: str, attempts: bool = True) -> None:
        """Kill it there, perhaps at one or two other points after that, and see it to its end."""
        self._count += 1
        folder = self._fresh(str(self._count))
        kills = [some_kill(rng, self.passed, point)]
        for other in rng.choice(sorted(self.passed), rng.choice([0, 0, 0, 1, 2])):
            kills.append(some_kill(rng, self.passed, str(other)))
        print("killed at", kills)
        codes = [self._harness.run(folder, kill=kill, **self._task)["code"] for kill in kills]
        assert codes[0] == KILLED, (folder / "run.log").read_text()
        assert set(codes) <= {KILLED, 0}, (folder / "run.log").read_text()
        answer = self._harness.finish(folder, **self._task)
        assert_whole(answer, self.twin, len(self.twin["trials"]), attempts)
        left = [path.name for path in folder.rglob("*") if path.name in ("state.pt", "said.pkl")]
        assert left == [], "the state of a training outlives its trial"


SHARES = 6


@pytest.mark.parametrize("share", range(2))
def test_the_same_trials_are_audited_and_spared_wherever_the_coordinator_was_killed(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    seed = next(seed for seed in iter(lambda: numbers(rng), -1) if is_audited(seed, 0, 0.6))
    text = own("returning", seed, trials=8).replace("[search]", "[search]\naudit = 0.6")
    study = Killed(harness, tmp_path, text)
    let_run = [one["why"] for trial in study.twin["trials"] for one in trial["told"]["reprieves"]]
    print("let run:", let_run)
    assert "audited" in let_run
    points = [p for p in sorted(study.passed) if "heard" in p or "StudyStore" in p or "write_files" in p]
    assert len(points) >= 10
    for point in points[share::2]:
        study.at(rng, point)


@pytest.mark.parametrize("share", range(SHARES))
def test_a_coordinator_killed_at_any_point_goes_on_as_if_it_had_not_been(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    study = Killed(harness, tmp_path, own("mixed", numbers(rng)))
    for point in sorted(study.passed)[share::SHARES]:
        study.at(rng, point)


def test_a_study_of_two_objectives_killed_at_some_points_is_the_one_that_was_not(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    both = '[[metric]]\nname = "val_loss"\n[[metric]]\nname = "width"\n[search]'
    text = own("mixed", numbers(rng), trials=6).replace("[search]", both)
    study = Killed(harness, tmp_path, text.replace("n_startup_trials = 2", "n_startup_trials = 1"))
    assert any(len(trial["values"] or ()) == 2 for trial in study.twin["trials"])
    for point in rng.choice(sorted(study.passed), 3, replace=False):
        study.at(rng, str(point))


@pytest.mark.parametrize("share", range(2))
def test_the_record_agrees_with_the_store_wherever_the_coordinator_was_killed(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    study = Killed(harness, tmp_path, own("mixed", numbers(rng), trials=3), tracking=True)
    points = sorted(point for point in study.passed if "MlflowTracker" in point or "tell" in point)
    for point in points[share::2]:
        study.at(rng, point)


def test_a_training_killed_while_its_state_is_kept_is_continued_and_none_is_the_wiser(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    study = Killed(harness, tmp_path, digits(numbers(rng)))
    points = [point for point in sorted(study.passed) if "Keeper" in point or "torch.save" in point]
    assert len(points) >= 5
    for point in points:
        study.at(rng, point)


def written(plans: list[Any], trials: list[dict[str, Any]]) -> str:
    """What is planned for each trial, by its learning rate."""
    return json.dumps(
        {t["params"]["learning_rate"]: p for t, p in zip(trials, plans, strict=True)}, default=int
    )


def assert_each_died_once(folder: Path, answer: dict[str, Any]) -> None:
    trials = answer["trials"]
    died = sorted(path.name.removeprefix("died-") for path in folder.glob("died-*"))
    assert died == sorted(str(trial["params"]["learning_rate"]) for trial in trials)
    for trial in trials:
        assert trial["attempts"] == ["its worker was killed by SIGKILL"]


@pytest.mark.parametrize("share", range(6))
def test_workers_killed_at_any_message_cost_nothing_but_an_attempt(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    study = own("dying", numbers(rng), "local", trials=6)
    twin = harness.finish(harness.folder(tmp_path / "twin", study), workers=True)
    said = [len(t["curve"]) - (t["state"] != "COMPLETE") for t in twin["trials"]]  # before it is stopped
    plans = [int(rng.integers(0, max(count, 0) + 1)) for count in said]
    print("killed before messages", plans)
    folder = harness.folder(tmp_path / "killed", study)
    (folder / "plan.json").write_text(written(plans, twin["trials"]))
    answer = harness.finish(folder, workers=True)
    assert_whole(answer, twin, trials=6, attempts=False)
    assert_each_died_once(folder, answer)


@pytest.mark.parametrize("share", range(2))
def test_workers_killed_in_a_step_or_while_they_keep_their_state_go_on_exactly(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    study = digits(numbers(rng), "local", trials=4, model="dying_model:build")
    twin = harness.finish(harness.folder(tmp_path / "twin", study), workers=True)
    plans = [("step", rng.integers(1, 4)), ("state", 1), ("state", rng.integers(1, 4)), ("step", 2)]
    print("killed at", plans)
    folder = harness.folder(tmp_path / "killed", study)
    (folder / "plan.json").write_text(written(plans, twin["trials"]))
    answer = harness.finish(folder, workers=True)
    assert_whole(answer, twin, trials=4, attempts=False)
    assert_each_died_once(folder, answer)


def test_a_coordinator_killed_while_it_buries_a_worker_goes_on_too(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    study = own("dying", numbers(rng), "local", trials=3)
    alive = harness.finish(harness.folder(tmp_path / "alive", study), workers=True)
    plan = written([int(rng.integers(0, 2)) for _ in range(3)], alive["trials"])
    killed = Killed(harness, tmp_path, study, plan, workers=True)
    points = [p for p in sorted(killed.passed) if "_bury" in p or "note_attempt" in p or "forget" in p]
    points += [p for p in sorted(killed.passed) if "LocalLauncher.launch" in p]
    assert len(points) >= 8
    for point in points:
        killed.at(rng, point, attempts=False)


def test_a_store_that_is_away_at_any_write_is_waited_for(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    study = own("mixed", numbers(rng))
    twin = harness.finish(harness.folder(tmp_path / "twin", study))
    points = [p for p in sorted(twin["passed"]) if "RDBStorage" in p and "study" not in p]
    assert len(points) >= 10
    for number, point in enumerate(points):
        away = some_kill(rng, twin["passed"], point)
        print("away at", away)
        answer = harness.finish(harness.folder(tmp_path / str(number), study), away=away)
        assert answer["error"] == ""
        assert_whole(answer, twin, len(twin["trials"]))
        assert [note for note in answer["notes"] if note.endswith("the study store is back")]


LISTED = """
[[enqueue]]
learning_rate = 0.125
[[enqueue]]
width = 16
depth = 3
[[enqueue]]
width = 16
depth = 3
"""


class KilledAfterAnother(Killed):
    """The store of each folder holds a study that was finished before."""

    def _fresh(self, name: str) -> Path:
        early = self._folder / "early"
        if not early.exists():
            before = own("mixed", 7, trials=6).replace('name = "kills"', 'name = "early"')
            self._harness.finish(self._harness.folder(early, before))
        folder: Path = shutil.copytree(early, self._folder / name)
        (folder / "study.toml").write_text(self._study)
        return folder


def test_points_are_queued_and_earlier_trials_taken_once_wherever_the_coordinator_was_killed(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    text = own("mixed", numbers(rng), trials=5) + LISTED
    study = KilledAfterAnother(
        harness, tmp_path, text.replace("[search]", '[search]\nwarm_start = ["early"]')
    )
    assert study.twin["trials"][0]["params"]["learning_rate"] == 0.125
    assert [(t["params"]["width"], t["params"]["depth"]) for t in study.twin["trials"]][1:3] == [(16, 3)] * 2
    assert any("guide the sampler" in note for note in study.twin["notes"])
    of_the_beginning = ("create_new_study", "set_study", "_create_new_trial", "requeue_orphans", "ask")
    points = [p for p in sorted(study.passed) if any(place in p for place in of_the_beginning)]
    assert len(points) >= 10
    for point in points:
        study.at(rng, point)
