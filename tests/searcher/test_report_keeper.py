"""The report that a study keeps by itself: while it runs, when it is left, and in its run in MLflow."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from made_up_study import made_up_study
from mlflow import MlflowClient

from searcher.records import REPORTS
from searcher.report import FILES, RENDERERS
from searcher.report.keeper import ReportKeeper
from searcher.spec import StudySpec
from searcher.study import Places, run_study

Call = Callable[..., Any]


class Published:
    """The reports that were published, as their numbers, and a way to wait for the next one."""

    def __init__(self) -> None:
        self.trials: list[int] = []
        self.ended: list[str] = []
        self._there = threading.Semaphore(0)

    def __call__(self, files: Sequence[Path]) -> None:
        assert [file.name for file in files] == list(REPORTS)
        numbers = json.loads(files[-1].read_text())
        self.trials.append(numbers["headline"]["trials"])
        self.ended.append(numbers["ended"])
        self._there.release()

    def wait(self) -> None:
        assert self._there.acquire(timeout=60), "a report came"


def test_a_report_has_a_file_for_every_renderer() -> None:
    assert set(FILES) == set(RENDERERS)


def test_a_report_is_written_when_it_is_due_and_at_the_end(tmp_path: Path) -> None:
    spec, results = made_up_study(6)
    published = Published()
    keeper = ReportKeeper(spec, tmp_path, published, lambda: {"Cost": "http://there/cost"}, every=0.0)
    keeper.keep(results[:4])
    published.wait()
    keeper.close(results, "all trials are done")
    assert published.trials == [4, 6] and published.ended == ["", "all trials are done"]
    assert 'href="http://there/cost"' in (tmp_path / "report.html").read_text()
    assert keeper.trouble == ""


def test_what_is_not_due_is_not_written_and_nothing_has_no_report(tmp_path: Path) -> None:
    spec, results = made_up_study(3)
    published = Published()
    keeper = ReportKeeper(spec, tmp_path, published)
    keeper.keep(results)
    keeper.close([], "it was stopped")
    assert published.trials == [] and list(tmp_path.iterdir()) == []


def test_a_report_that_cannot_be_written_costs_no_study(
    make_spec: Callable[..., StudySpec], workplace: Path
) -> None:
    runs = workplace / "runs"
    (runs / "own" / "report.html").mkdir(parents=True)
    said: list[Any] = []
    results = run_study(make_spec(), Places(f"sqlite:///{workplace / 'studies.db'}", None, runs), said.append)
    assert len(results) == 4
    assert "the report could not be written" in said[-1].text and "searcher report own" in said[-1].text


@pytest.mark.usefixtures("mixed")
def test_a_study_that_was_run_has_its_report_beside_it_and_in_its_record(searcher: Call) -> None:
    folder = Path("searcher-runs/mixed")
    numbers = json.loads((folder / "report.json").read_text())
    assert len(numbers["views"]) == 4 and all(
        "viewStateShareKey=" in link for link in numbers["views"].values()
    )
    assert numbers["headline"]["trials"] == 7 and numbers["ended"] == "all 7 trials of the budget are done"
    client = MlflowClient(tracking_uri=f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("mixed").experiment_id
    (parent,) = client.search_runs([experiment], "tags.`searcher.kind` = 'study'")
    kept = [file.path for file in client.list_artifacts(parent.info.run_id, "report")]
    assert sorted(kept) == sorted(f"report/{name}" for name in REPORTS)
    said = searcher("run", "study.toml", "--tracking-uri", f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    assert said.code == 0 and "searcher report mixed --open" in said.out
