"""The saved views as data: what MLflow's pages find in an experiment's tags."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from searcher.spec import StudySpec
from searcher.tracking.views import LONGEST, NAMES, View, link, saved_views, state_of, tag_of

Make = Callable[..., StudySpec]


def views(spec: StudySpec, trained: bool = True) -> dict[str, dict[str, Any]]:
    """The state of each view, by its name."""
    found = saved_views(spec, ["train_loss", "val_loss"], trained)
    return {view.name: state_of(tag_of(view, 1, 2)[1]) for view in found}


def test_there_are_four_views_with_names_and_ids_of_their_own(make_spec: Make) -> None:
    found = saved_views(make_spec(), ["val_loss"], True)
    assert {view.key: view.name for view in found} == NAMES
    assert list(NAMES.values()) == [
        "All trials by objective",
        "Why trials failed",
        "Curves of the best ten",
        "Cost",
    ]
    other = saved_views(make_spec(name="other", space={"y": [1, 2]}), [], False)
    assert [view.key for view in other] == [view.key for view in found], "a study changes its own views"


def test_a_tag_is_an_envelope_as_the_pages_write_it(make_spec: Make) -> None:
    view = saved_views(make_spec(), ["val_loss"], True)[0]
    name, text = tag_of(view, 10, 20)
    envelope = json.loads(text)
    assert name == "mlflow.sharedViewState.searcher-objective"
    assert {k: envelope[k] for k in ("name", "createdAt", "updatedAt")} == {
        "name": "All trials by objective",
        "createdAt": 10,
        "updatedAt": 20,
    }
    assert envelope["state"].startswith("deflate;")
    assert state_of(text) == json.loads(json.dumps(view.state))


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_best_come_first(goal: str, make_spec: Make) -> None:
    found = views(make_spec(metric={"goal": goal}))
    for name in ("All trials by objective", "Curves of the best ten"):
        assert found[name]["orderByKey"] == "metrics.`objective`"
        assert found[name]["orderByAsc"] == (goal == "minimize")
    assert found["Curves of the best ten"]["runsHiddenMode"] == "FIRST_10_RUNS"
    assert found["All trials by objective"]["runsHiddenMode"] == "SHOW_ALL"


def test_the_best_ten_were_trained_to_their_end_where_any_was(make_spec: Make) -> None:
    trained, none = (views(make_spec(), trained) for trained in (True, False))
    ended = "tags.`outcome` = 'completed'"
    assert ended in trained["Curves of the best ten"]["searchFilter"]
    assert ended not in none["Curves of the best ten"]["searchFilter"]
    lines = trained["Curves of the best ten"]["compareRunCharts"]
    assert [chart["metricKey"] for chart in lines] == ["val_loss", "train_loss"]


def test_every_chart_stands_in_a_section_under_an_id_of_its_own(make_spec: Make) -> None:
    for state in views(make_spec()).values():
        sections = [section["uuid"] for section in state["compareRunSections"]]
        charts = state["compareRunCharts"]
        assert charts and {chart["metricSectionId"] for chart in charts} <= set(sections)
        assert len({chart["uuid"] for chart in charts}) == len(charts)
        assert len(set(sections)) == len(sections)


def test_a_large_space_fits_into_a_tag(make_spec: Make) -> None:
    space = {f"a_setting_with_the_number_{n * 7919 % 1000}": {"low": 0.0, "high": 1.0} for n in range(600)}
    curves = [f"val_metric_{n * 7919 % 100}" for n in range(30)]
    for view in saved_views(make_spec(space=space), curves, True):
        _, text = tag_of(view, 1, 2)
        assert len(text) <= LONGEST
        state = state_of(text)
        assert [chart["type"] for chart in state["compareRunCharts"]] == [
            chart["type"] for chart in view.state["compareRunCharts"]
        ]


def test_a_link_names_the_experiment_and_the_view() -> None:
    view = View("searcher-cost", "Cost", {})
    assert link("http://here:5000/", "7", view.key) == (
        "http://here:5000/#/experiments/7/runs?viewStateShareKey=searcher-cost&compareRunsMode=CHART"
        "&workflowType=machine_learning"
    )
