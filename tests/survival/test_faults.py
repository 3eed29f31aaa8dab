"""Whatever goes wrong in one trial or around the study is named, costs no other trial, and is got over."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

STUDY = """
name = "faults"
[train]
{train}
[space]
{space}
[search]
sampler = "{sampler}"
pruner = "none"
seed = {seed}
trials = {trials}
retries = 1
audit = 0.0
[dispatch]
launcher = "{launcher}"
slots = 1
{dispatch}
"""

FINE = ("fine", "fine too", "fine again")
FAULTS = {
    "segfault": ("failed", "crashed", "its worker was killed by SIGSEGV", 1),
    "exit": ("failed", "crashed", "its worker left with exit code 3", 1),
    "exception": ("failed", "crashed", "RuntimeError: the glue came off", 0),
    "hang": ("failed", "hung", "it said nothing for", 1),
    "host memory": ("doomed", "out-of-memory", "", 0),
    "device memory": ("doomed", "out-of-memory", "OutOfMemoryError: tried to allocate 80 GiB", 0),
    "nan": ("doomed", "non-finite", "non-finite at step 2", 0),
}
"""Fault -> the outcome of its trial, its finding, how the reason begins, how often it was retried."""


def study_file(rng: np.random.Generator, trainer: str, space: str, **others: Any) -> str:
    given = {"sampler": "random", "launcher": "inprocess", "dispatch": "", "trials": 4, **others}
    train = trainer if "=" in trainer else f'trainer = "faulty_trainers:{trainer}"'
    return STUDY.format(train=train, space=space, seed=int(rng.integers(1000)), **given)


def by_setting(answer: dict[str, Any], name: str) -> dict[Any, dict[str, Any]]:
    return {trial["params"][name]: trial for trial in answer["trials"]}


def finding_of(trial: dict[str, Any], kind: str) -> str:
    """How grave this finding is; empty when there is none."""
    return dict(map(tuple, trial["findings"])).get(kind, "")


def assert_counts(answer: dict[str, Any], trials: int) -> None:
    """Each trial once, and all of them finished."""
    assert answer["error"] == ""
    assert [trial["number"] for trial in answer["trials"]] == list(range(trials))
    assert {trial["state"] for trial in answer["trials"]} <= {"COMPLETE", "PRUNED", "FAIL"}


@pytest.fixture(scope="module")
def faulty(harness: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A study in which every fault happens in one trial, among others that train."""
    whats = [*FAULTS, *FINE]
    study = study_file(
        np.random.default_rng(),
        "by_fault",
        f"fault = {whats}",
        **{"sampler": "grid", "trials": len(whats), "launcher": "local"},
        dispatch="hang_minutes = 0.05\nmemory_gb = 4",
    )
    folder = harness.folder(tmp_path_factory.mktemp("faults") / "study", study)
    return harness.finish(folder, workers=True)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_one_trial_is_named_and_retried_where_that_may_help(
    faulty: dict[str, Any], fault: str
) -> None:
    outcome, kind, reason, retries = FAULTS[fault]
    trial = by_setting(faulty, "fault")[fault]
    assert trial["told"]["outcome"] == outcome
    assert trial["told"]["reason"].startswith(reason)
    assert trial["told"]["reason"] != ""
    assert finding_of(trial, kind) == "fatal"
    assert len(trial["attempts"]) == retries
    assert all(cause.startswith(reason) for cause in trial["attempts"])


def test_the_other_trials_are_none_the_worse(faulty: dict[str, Any]) -> None:
    assert_counts(faulty, len(FAULTS) + len(FINE))
    for what in FINE:
        trial = by_setting(faulty, "fault")[what]
        assert trial["state"] == "COMPLETE"
        assert trial["values"] == [0.25]
        assert trial["attempts"] == []


def test_a_model_too_large_for_the_device_is_repaired_and_one_that_turns_nan_is_doomed(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    train = 'data = "digits"\nmodel = "faulty_trainers:build"\nmax_samples = 240\nepochs = 3\nbatch_size = 64'
    study = study_file(rng, train, 'fault = ["fine", "memory", "nan"]', sampler="grid", trials=3)
    answer = harness.finish(harness.folder(tmp_path / "study", study))
    assert_counts(answer, 3)
    trials = by_setting(answer, "fault")
    assert [trials[fault]["told"]["outcome"] for fault in ("fine", "memory", "nan")] == [
        *("completed", "completed", "doomed")
    ]
    assert finding_of(trials["memory"], "out-of-memory") == "warning"
    assert finding_of(trials["fine"], "out-of-memory") == ""
    assert trials["memory"]["values"] == pytest.approx(trials["fine"]["values"], rel=1e-2)
    assert "non-finite at step 2" in trials["nan"]["told"]["reason"]


def test_a_trial_that_takes_too_long_counts_by_its_best_value_so_far(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    kinds = 'kind = ["evaluated", "mute", "short"]'
    study = study_file(
        rng,
        "endless",
        kinds,
        **{"sampler": "grid", "trials": 3, "launcher": "local"},
        dispatch="timeout_minutes = 0.05",
    )
    answer = harness.finish(harness.folder(tmp_path / "study", study), workers=True)
    assert_counts(answer, 3)
    trials = by_setting(answer, "kind")
    assert [trials[kind]["told"]["outcome"] for kind in ("evaluated", "mute", "short")] == [
        *("pruned", "doomed", "completed")
    ]
    for kind, severity in (("evaluated", "warning"), ("mute", "fatal"), ("short", "")):
        assert finding_of(trials[kind], "timeout") == severity
        assert trials[kind]["attempts"] == [], "it would take as long again"
    for kind in ("evaluated", "mute"):
        assert trials[kind]["told"]["reason"] == "it took longer than the 3 seconds a trial may take"
    assert 1 < trials["evaluated"]["told"]["value"] < 1.2


SPACE = "x = { low = 0.0, high = 1.0 }"


def test_when_the_disk_is_full_the_study_stops_and_goes_on_once_there_is_room(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    trials = 12
    study = study_file(rng, "steady", SPACE, trials=trials)
    twin = harness.finish(harness.folder(tmp_path / "twin", study))
    folder = harness.folder(tmp_path / "full", study)
    room = (folder / "studies.db").stat().st_size // 1024 + 1
    stopped = harness.finish(folder, file_kb=room, blind=True)
    assert stopped["error"].startswith("the study store sqlite:///studies.db cannot be used: ")
    assert "free some space and run the command again" in stopped["error"]
    assert "What was recorded before is safe" in stopped["error"]
    with sqlite3.connect(folder / "studies.db") as tables:
        done = tables.execute("SELECT count(*) FROM trials WHERE state = 'COMPLETE'").fetchone()[0]
    assert 0 < done < trials
    answer = harness.finish(folder)
    assert_counts(answer, trials)
    assert answer["passed"]["after StudyStore.tell"] == trials - done, (
        "what was recorded is not trained again"
    )
    assert answer["trials"] == twin["trials"]


def test_files_of_a_trial_for_which_there_is_no_room_stop_the_study_too(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    study = study_file(rng, "large", f'{SPACE}\nkind = ["small", "large"]', trials=8)
    twin = harness.finish(harness.folder(tmp_path / "twin", study))
    if "large" not in by_setting(twin, "kind"):
        return  # eight small ones by chance
    folder = harness.folder(tmp_path / "full", study)
    stopped = harness.finish(folder, file_kb=600, blind=True)
    assert "cannot be written to searcher-runs/faults/" in stopped["error"]
    assert "free some disk space" in stopped["error"]
    answer = harness.finish(folder)
    assert_counts(answer, 8)
    assert answer["trials"] == twin["trials"]


@pytest.mark.parametrize("what", ["the study's folder", "the working folder", "the runs"])
def test_a_folder_that_cannot_be_written_is_named_and_made_good_later(
    harness: Any, tmp_path: Path, rng: np.random.Generator, what: str
) -> None:
    folder = harness.folder(tmp_path / "study", study_file(rng, "steady", SPACE, trials=3))
    runs = folder / "searcher-runs"
    if what == "the runs":
        runs.touch()  # a file in their place
    else:
        (runs / "faults").mkdir(parents=True)
    locked = {"the study's folder": [runs / "faults"], "the working folder": [folder, runs / "faults"]}
    for file in ("answer.json", "run.log"):
        (folder / file).touch()
    for place in locked.get(what, []):
        place.chmod(0o555)
    stopped = harness.finish(folder, blind=True, obeys=True)
    for place in locked.get(what, []):
        place.chmod(0o755)
    assert stopped["error"].startswith("the folder searcher-runs/faults cannot be written: ")
    assert "--runs" in stopped["error"]
    if what == "the runs":
        runs.unlink()
    assert_counts(harness.finish(folder), 3)


def test_a_trial_whose_folder_cannot_be_made_stops_the_study_and_is_not_lost(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    study = study_file(rng, "steady", SPACE, trials=4)
    twin = harness.finish(harness.folder(tmp_path / "twin", study))
    folder = harness.folder(tmp_path / "study", study)
    in_the_way = folder / "searcher-runs" / "faults" / "00002"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.touch()
    stopped = harness.finish(folder)
    assert stopped["error"].startswith("the files of trial 2 cannot be written")
    assert [trial["state"] for trial in stopped["trials"]][:2] == ["COMPLETE", "COMPLETE"]
    in_the_way.unlink()
    answer = harness.finish(folder)
    assert_counts(answer, 4)
    assert answer["trials"] == twin["trials"]


def test_a_store_that_another_program_locks_for_half_a_minute_is_waited_for(
    harness: Any, tmp_path: Path, rng: np.random.Generator
) -> None:
    folder = harness.folder(tmp_path / "study", study_file(rng, "steady", SPACE, trials=20))
    answers: list[dict[str, Any]] = []
    run = threading.Thread(target=lambda: answers.append(harness.run(folder)))
    run.start()
    tables = sqlite3.connect(folder / "studies.db", isolation_level=None, timeout=10)
    count = "SELECT count(*) FROM trials WHERE state = 'COMPLETE'"
    while tables.execute(count).fetchone()[0] < 2:
        time.sleep(0.02)
    tables.execute("BEGIN EXCLUSIVE")
    before = tables.execute(count).fetchone()[0]
    time.sleep(31)
    assert run.is_alive(), "it gave up"
    assert tables.execute(count).fetchone()[0] == before
    tables.execute("ROLLBACK")
    run.join()
    assert answers[0]["code"] == 0, (folder / "run.log").read_text()
    assert_counts(answers[0], 20)
    notes = answers[0]["notes"]  # none when SQLite's own patience, 30 seconds of sleeping, was enough
    assert all("is locked" in note and note.endswith("waiting for it") for note in notes[:-1])
    assert notes[-1:] in ([], ["the study store is back"])
