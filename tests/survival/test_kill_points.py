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
from killed_studies import Killed, assert_whole, digits, numbers, own, some_kill

from searcher.reprieves import is_audited

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


@pytest.mark.parametrize("share", range(3))
def test_the_same_leaders_are_repeated_with_the_same_seeds_wherever_the_coordinator_was_killed(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    text = own("seeded", numbers(rng), trials=5).replace("[search]", "[search]\nconfirm = 3")
    study = Killed(harness, tmp_path, text, tracking=share == 0)
    repeats = [trial for trial in study.twin["trials"] if trial["told"]["settings"].get("seed")]
    assert [trial["number"] for trial in study.twin["trials"][5:]] == [trial["number"] for trial in repeats]
    assert len(repeats) >= 2 and study.twin["differs"] == 0
    places = ("ask", "RDBStorage", "tell", "heard", "MlflowTracker.end", "requeue")
    points = [point for point in sorted(study.passed) if any(place in point for place in places)]
    for point in points[share::3]:
        study.at(rng, point, late=True)


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
    ends_well = "[[enqueue]]\ndepth = 3\nwidth = 8\n"
    both = ends_well + '[[metric]]\nname = "val_loss"\n[[metric]]\nname = "width"\n[search]'
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
