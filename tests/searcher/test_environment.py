"""Where a study runs: what is kept of it, and that no password is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from searcher.addresses import hide_passwords, without_user
from searcher.environment import FILE, environment, environment_of


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("sqlite:///studies.db", "sqlite:///studies.db"),
        ("postgresql://me:s3:cr@t.example/db".replace("@t", "t@h"), "postgresql://me:***@h.example/db"),
        ("postgresql+psycopg://me@host/db", "postgresql+psycopg://me@host/db"),
        ("run x --storage=mysql://a:b@c/d --name e@f", "run x --storage=mysql://a:***@c/d --name e@f"),
        ("http://host:5000/#/a:b@c", "http://host:5000/#/a:b@c"),
    ],
)
def test_passwords_are_hidden_wherever_they_stand(text: str, shown: str) -> None:
    assert hide_passwords(text) == shown


def test_links_name_no_user() -> None:
    assert without_user("http://me:secret@host:5000") == without_user("http://me@host:5000")
    assert without_user("http://host:5000") == "http://host:5000"


def test_a_study_knows_where_it_was_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["searcher", "run", "--storage", "postgresql://me:secret@host/db"])
    here = environment()
    assert here.versions["python"] == ".".join(map(str, sys.version_info[:3]))
    assert {"searcher", "torch", "optuna", "numpy"} <= here.versions.keys()
    here.keep(tmp_path / "study")
    monkeypatch.setattr(sys, "argv", ["searcher", "report"])
    assert environment_of(tmp_path / "study") == here
    assert "secret" not in (tmp_path / "study" / FILE).read_text()
    (tmp_path / "study" / FILE).write_text("{")
    assert environment_of(tmp_path / "study").command == "searcher report"


def test_the_commit_of_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert environment().git_commit == ""
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for arguments in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "one"]):
        subprocess.run(["git", *arguments], check=True)
    assert len(environment().git_commit) == 40
    (tmp_path / "new.txt").write_text("x")
    subprocess.run(["git", "add", "new.txt"], check=True)
    assert environment().git_commit.endswith(" (with changes)")
