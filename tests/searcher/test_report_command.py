"""`searcher report`: a recorded study, its report in files."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from searcher.errors import SearcherError
from searcher.report import RENDERERS
from searcher.report.command import chosen_formats

Call = Any  # the fixture `searcher` in conftest.py
Begun = Any  # the fixture `own` in conftest.py


def test_formats_by_name() -> None:
    assert chosen_formats("md, html,md") == ["md", "html"]
    assert chosen_formats(",".join(RENDERERS)) == list(RENDERERS)
    with pytest.raises(SearcherError, match="'pdf'"):
        chosen_formats("html,pdf")
    with pytest.raises(SearcherError, match="html, md, json"):
        chosen_formats(" , ")


def test_the_command_writes_the_report_and_says_where(own: Begun) -> None:
    said = own.call("report", "own")
    assert said.code == 0 and said.err == ""
    files = [Path("searcher-runs/own") / f"report.{format_}" for format_ in RENDERERS]
    assert all(f"{file} " in said.out and file.is_file() for file in files)
    assert "2 trials" in said.out
    text = files[1].read_text()
    assert "Its budget is not used up" not in text and "All 2 trials of the budget are done." in text


@pytest.mark.usefixtures("mixed")
def test_the_command_links_the_record_and_keeps_the_report_there(searcher: Call) -> None:
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    said = searcher("report", "mixed", "--tracking-uri", uri, "--format", "md", "--out", "elsewhere")
    assert said.code == 0 and "Why trials failed: http://127.0.0.1:5000/#/experiments/1/runs?" in said.out
    client = MlflowClient(tracking_uri=uri)
    (parent,) = client.search_runs(["1"], "tags.`searcher.kind` = 'study'")
    kept = client.download_artifacts(parent.info.run_id, "report/report.md", ".")
    assert Path(kept).read_text() == Path("elsewhere/report.md").read_text()


def test_the_command_takes_a_study_file_formats_and_a_folder(own: Begun, tmp_path: Path) -> None:
    said = own.call("report", "study.toml", "--format", "md", "--out", str(tmp_path / "out"))
    assert said.code == 0 and [path.name for path in (tmp_path / "out").iterdir()] == ["report.md"]


def test_the_command_opens_the_page(own: Begun, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: shown.append(address) or False)
    said = own.call("report", "own", "--open", "--format", "html")
    assert said.code == 0 and "no browser could be opened" in said.out
    assert shown == [Path("searcher-runs/own/report.html").resolve().as_uri()]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["nothing-there"], "no study 'nothing-there'"),
        (["own", "--format", "html,word"], "'word'"),
        (["own", "--format", "md", "--open"], "--open"),
        (["own", "--out", "study.toml"], "cannot be written"),
    ],
)
def test_what_the_command_cannot_do_is_told(own: Begun, options: list[str], says: str) -> None:
    own.assert_refused(own.call("report", *options), says)
