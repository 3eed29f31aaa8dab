"""Stores, servers, folders and disks that cannot be used: what is said, and that nothing recorded is lost."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import sqlalchemy

Begun = Any  # the fixtures `table` and `own` in conftest.py
NOWHERE = "http://127.0.0.1:9"


def states(name: str) -> list[str]:
    return [
        trial.state.name
        for trial in optuna.load_study(study_name=name, storage="sqlite:///studies.db").trials
    ]


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        (
            "sqlite:////proc/studies.db",
            ("unable to open database file", "its folder must exist and be writable"),
        ),
        ("sqlite:///no/such/folder/s.db", ("unable to open database file", "its folder must exist")),
        ("sqlite:///file:studies.db?mode=ro&uri=true", ("readonly database", "make it writable")),
        ("sqlite:///study.toml", ("file is not a database",)),
        ("stdies.db", ("Could not parse SQLAlchemy URL",)),
    ],
)
def test_a_study_store_that_cannot_be_used(own: Begun, url: str, parts: tuple[str, ...]) -> None:
    said = own.run("--storage", url)
    own.assert_refused(
        said, "the study store ", "cannot be used: ", *parts, "--storage", "recorded before is safe"
    )
    own.assert_goes_on()


def test_an_unreachable_storage_server(own: Begun) -> None:
    """Without its driver installed the message says how to get it."""
    said = own.run("--storage", "postgresql+psycopg://me:secret@127.0.0.1:9/studies")
    own.assert_refused(
        said, "the study store postgresql+psycopg://me:***@127.0.0.1:9/studies cannot be used: "
    )
    assert "secret" not in said.err
    try:
        import psycopg  # noqa: F401
    except ImportError:
        assert "pip install 'searcher[postgresql]'" in said.err
    else:
        assert "check the address and that the server is running" in said.err
    own.assert_goes_on()


@pytest.mark.timeout(60)  # left to itself MLflow tries for 100 seconds to write where nothing can be written
@pytest.mark.parametrize("uri", [NOWHERE, "sqlite:////proc/mlflow.db", "carrier-pigeon://home"])
def test_an_unreachable_tracking_server(
    own: Begun, searcher: Callable[..., Any], uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trials trained before that was known stay in the study store; those that ran are queued again."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    before = own.recorded()
    said = searcher("run", "study.toml", "--tracking-uri", uri, "--trials", "3")
    assert said.code == 2, said
    assert said.err.startswith(f"searcher: the MLflow record at {uri} cannot be written: ")
    assert "--tracking-uri" in said.err and "Trials are safe in the study store" in said.err
    assert own.recorded()[:2] == before and "RUNNING" not in states("own")
    said = own.run()
    assert said.code == 0 and own.recorded()[:2] == before
    assert states("own") == ["COMPLETE"] * 4


@pytest.mark.parametrize("place", ["/proc/runs", "/sys/runs", "study.toml"])
def test_a_folder_of_files_that_cannot_be_written(own: Begun, place: str) -> None:
    said = own.run("--runs", place)
    own.assert_refused(said, f"the folder {place}/own cannot be written: ", "name one with --runs")
    own.assert_goes_on()


def test_weights_that_cannot_be_saved(table: Begun, searcher: Callable[..., Any], tmp_path: Path) -> None:
    said = searcher("best", "table", "--model", "/proc/best.pt")
    table.assert_refused(said, "the weights cannot be saved to /proc/best.pt: ")
    said = searcher("best", "table", "--model", "best.pt", "--runs", "elsewhere")
    table.assert_refused(said, "the weights of trial ", "are not at elsewhere/table/", "--runs")
    assert searcher("best", "table", "--model", "best.pt").code == 0
    assert Path("best.pt").stat().st_size > 0
    table.assert_goes_on()


@pytest.fixture
def spare_pages() -> Iterator[dict[str, int]]:
    """How many pages every SQLite file opened from now on may grow by; with 0 the disk is full."""
    spare = {"pages": 1 << 20}

    def limit(connection: Any, _record: Any) -> None:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {used + spare['pages']}")

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "connect", limit)
    yield spare
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "connect", limit)


@pytest.mark.parametrize("pages", [0, 1, 2, 3])
def test_a_full_disk_under_the_study_store(own: Begun, spare_pages: dict[str, int], pages: int) -> None:
    """Real errors of SQLite, wherever in a trial the last page is used up."""
    before = own.recorded()
    spare_pages["pages"], own.trials = pages, 400
    said = own.run()
    assert said.code == 2 and "Traceback" not in said.err, said.err
    assert "database or disk is full" in said.err
    assert "free some disk space and run the same command again" in said.err
    done = own.recorded()
    assert done[:2] == before
    spare_pages["pages"], own.trials = 1 << 20, len(done) + 3
    said = own.run()
    assert said.code == 0, said.err
    assert own.recorded()[: len(done)] == done and states("own") == ["COMPLETE"] * (len(done) + 3)


def in_a_process(*argv: str, largest_file: int | None = None) -> SimpleNamespace:
    """The console command, able to write files of at most so many bytes."""

    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    command = [str(Path(sys.executable).with_name("searcher")), *argv]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    left = subprocess.run(
        command, preexec_fn=limit, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    return SimpleNamespace(code=left.returncode, out=left.stdout, err=left.stderr)


def test_a_full_disk_under_the_files_of_trials(own: Begun) -> None:
    """A trial whose signals do not fit any more: no traceback, no trial left running, none lost."""
    before, good = own.recorded(), Path("mine.py").read_text()
    Path("mine.py").write_text(good + "\ntrain = large\n")
    options = ("run", "study.toml", "--no-tracking", "--trials", "4")
    said = in_a_process(*options, largest_file=400_000)
    assert said.code == 2, said.err
    assert said.err.startswith("searcher: ") and "Traceback" not in said.err
    assert "File too large" in said.err and "searcher-runs/own/00002" in said.err
    assert own.recorded() == before and states("own") == ["COMPLETE"] * 2 + ["WAITING"]
    said = in_a_process(*options)
    assert said.code == 0, said.err
    assert own.recorded()[:2] == before and states("own") == ["COMPLETE"] * 4


def test_the_console_command_says_the_same(own: Begun) -> None:
    said = in_a_process("run", "study.toml", "--no-tracking", "--set", "trainer=mine:trian")
    assert said.out == ""
    own.assert_refused(said, "searcher: trainer: in module 'mine'", "there is no 'trian'")
    said = in_a_process("run", "study.toml", "--no-tracking", "--storage", "sqlite:////proc/s.db")
    own.assert_refused(said, "searcher: the study store sqlite:////proc/s.db cannot be used")
    own.assert_goes_on()
