"""What MLflow and the report hold of a study with several objectives."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from two_objectives import STUDY, TRAINER

from searcher.fronts import pareto_front
from searcher.opening import load_study
from searcher.report.numbers.build import build
from searcher.report.pages.markdown import to_markdown
from searcher.report.pages.sections import page_of
from searcher.spec import StudySpec, read_spec
from searcher.tracking.axes import MOST_CURVES, admitted
from searcher.tracking.views import OBJECTIVE, saved_views
from searcher.trial import Outcome, TrialResult

Call = Callable[..., Any]


@pytest.fixture
def record(searcher: Call, workplace: Path) -> tuple[str, str]:
    """A study with completed, pruned and doomed trials, recorded in MLflow: its store and tags to read by."""
    sys.modules.pop("front", None)
    (workplace / "front.py").write_text(TRAINER)
    given = {"sampler": "random", "pruner": "asha", "trials": 14, "trainer": "falls", "second": "parameters"}
    (workplace / "two.toml").write_text(STUDY.format(**given))
    uri = f"sqlite:///{workplace / 'mlflow.db'}"
    said = searcher("run", "two.toml", "--tracking-uri", uri)
    assert said.code == 0, said.err
    return uri, said.out


def runs(uri: str) -> dict[int, Any]:
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("two")
    found = client.search_runs([experiment.experiment_id], "tags.`searcher.kind` = 'trial'")
    return {int(run.data.tags["optuna.trial_number"]): run for run in found}


def results() -> tuple[StudySpec, list[TrialResult]]:
    store = load_study("two", "sqlite:///studies.db")
    return store.spec, store.results()


def test_every_objective_is_an_axis_and_the_front_a_tag(record: tuple[str, str], searcher: Call) -> None:
    uri, _ = record
    spec, found = results()
    assert {result.outcome for result in found} >= {Outcome.COMPLETED, Outcome.DOOMED}
    front = {result.number for result in pareto_front(spec.metrics, found)}
    for number, run in runs(uri).items():
        figures, told = run.data.metrics, found[number].objectives
        assert figures["objective"] == told["val_accuracy"]
        assert figures["objective.parameters"] == told["parameters"] and math.isfinite(told["parameters"])
        assert run.data.tags["pareto"] == ("yes" if number in front else "no")
    assert searcher("verify", "two", "--tracking-uri", uri).code == 0
    client = mlflow.MlflowClient(uri)
    wrong = runs(uri)[min(front)].info.run_id
    client.set_tag(wrong, "pareto", "no")
    client.delete_run(runs(uri)[max(front)].info.run_id)
    said = searcher("verify", "two", "--tracking-uri", uri)
    assert said.code == 1 and f"trial {min(front)}: tag pareto: expected yes, found no" in said.out
    assert searcher("repair", "two", "--tracking-uri", uri).code == 0
    assert searcher("verify", "two", "--tracking-uri", uri).code == 0
    assert {number for number, run in runs(uri).items() if run.data.tags["pareto"] == "yes"} == front


def test_a_study_that_goes_on_moves_its_front(record: tuple[str, str], searcher: Call) -> None:
    uri, _ = record
    assert searcher("run", "two.toml", "--tracking-uri", uri, "--trials", "24").code == 0
    spec, found = results()
    front = {result.number for result in pareto_front(spec.metrics, found)}
    assert {number for number, run in runs(uri).items() if run.data.tags["pareto"] == "yes"} == front
    assert searcher("verify", "two", "--tracking-uri", uri).code == 0


def test_the_report_shows_the_front_and_names_no_winner(record: tuple[str, str], workplace: Path) -> None:
    spec, found = results()
    report = build(spec, found, workplace / "searcher-runs" / "two")
    front = [result.number for result in pareto_front(spec.metrics, found)]
    assert report.pareto is not None and [one.trial for one in report.pareto.front] == front
    shown = {one.trial for one in (*report.pareto.front, *report.pareto.others)}
    assert shown == {result.number for result in found if result.outcome is Outcome.COMPLETED}
    assert "The best is trial" not in report.headline.text and "Pareto front" in report.headline.text
    assert [section.anchor for section in page_of(report).sections][:2] == ["summary", "front"]
    text = to_markdown(report)
    for number in front:
        assert f"| {number} |" in text.split("**The Pareto front**")[1]
    assert "looks at val_accuracy alone, the first metric of the study" in " ".join(text.split())
    assert json.loads((workplace / "searcher-runs" / "two" / "report.json").read_text())["pareto"]["front"]
    (workplace / "next.toml").write_text(report.next.study_file)
    assert read_spec(workplace / "next.toml").metrics == spec.metrics


def test_a_trial_that_a_person_ended_before_it_was_evaluated_spoils_no_report(
    record: tuple[str, str], workplace: Path
) -> None:
    spec, found = results()
    ended = replace(
        found[0], outcome=Outcome.PRUNED, value=None, values={}, vectors={}, objectives={}, best=None
    )
    for many in (found[1:], []):
        report = build(spec, [ended, *many], workplace / "nowhere")
        assert report.pareto is not None and len(report.pareto.front) == len(pareto_front(spec.metrics, many))
        assert to_markdown(report)
    assert "there is no Pareto front" in report.headline.text


def test_the_pages_of_the_record_set_the_objectives_against_each_other(record: tuple[str, str]) -> None:
    spec, _ = results()
    view = next(view for view in saved_views(spec, ["val_accuracy"], True) if view.key == OBJECTIVE)
    top, first, *_ = view.state["compareRunCharts"]
    assert top["selectedMetrics"][-2:] == ["objective.parameters", "objective"]
    assert (first["xaxis"]["key"], first["yaxis"]["key"]) == ("objective.parameters", "objective")
    assert "tags.`pareto`" in view.state["selectedColumns"]


def test_objectives_take_the_room_of_curves() -> None:
    names = [f"metric{n}" for n in range(90)]
    assert len(admitted([], names)) == MOST_CURVES and len(admitted([], names, 3)) == MOST_CURVES - 2
