"""The saved views of a study on MLflow's pages, as the pages themselves write them. Pure.

A saved view is a tag of the experiment, `mlflow.sharedViewState.ID`, with an envelope in JSON: its name, when
it was made and changed, and the state of the page, deflated. The format is not documented: it is what MLflow
3.17 writes on "Save as new view", and tests/services/test_mlflow_pages.py opens each view in a browser.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from searcher.spec import StudySpec
from searcher.tracking.axes import axes_of, name_in_record, numeric_axes, objective_names

VIEW_TAG = "mlflow.sharedViewState."

LONGEST = 5000
"""Characters of an experiment's tag that every MLflow 3 takes."""

TRIALS = "tags.`searcher.kind` = 'trial'"

Part = dict[str, Any]


@dataclass(frozen=True)
class View:
    """A saved view: the id in its link, its name for people, the state of the page."""

    key: str
    name: str
    state: Mapping[str, Any]


OBJECTIVE, FAILED, CURVES, COST = (
    "searcher-objective",
    "searcher-failures",
    "searcher-curves",
    "searcher-cost",
)
"""The ids of the views: the same for every study, so that a study that goes on changes its own views."""

NAMES = {
    OBJECTIVE: "All trials by objective",
    FAILED: "Why trials failed",
    CURVES: "Curves of the best ten",
    COST: "Cost",
}


def saved_views(spec: StudySpec, curves: Sequence[str], trained: bool) -> list[View]:
    """The views of a study whose trials have these curves; whether any was `trained` to its end."""
    made = [
        _by_objective(spec),
        _why_failed(spec),
        _best_ten(spec, curves, trained),
        _cost(spec),
    ]
    return [View(key, NAMES[key], state) for key, state in made]


def tag_of(view: View, created: int, updated: int) -> tuple[str, str]:
    """The tag that keeps a view: its name and text; times in milliseconds.

    Where a space is too large for the tag, the plots of the view lose their last axes.
    """
    state = view.state
    text = _envelope(view.name, state, created, updated)
    while len(text) > LONGEST and state["selectedColumns"]:
        state = _with_fewer_axes(state)
        text = _envelope(view.name, state, created, updated)
    return f"{VIEW_TAG}{view.key}", text


def state_of(text: str) -> dict[str, Any]:
    """The state of the page in the text of a view's tag."""
    state = json.loads(text)["state"].removeprefix("deflate;")
    found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(state)))
    return found


def link(address: str, experiment: str, key: str) -> str:
    """The link that opens a view on the pages at `address`."""
    place = f"{address.rstrip('/')}/#/experiments/{experiment}/runs"
    return f"{place}?viewStateShareKey={key}&compareRunsMode=CHART&workflowType=machine_learning"


def _envelope(name: str, state: Mapping[str, Any], created: int, updated: int) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode(), 9)).decode()
    envelope = {"name": name, "createdAt": created, "updatedAt": updated, "state": f"deflate;{packed}"}
    return json.dumps(envelope, separators=(",", ":"))


def _with_fewer_axes(state: Mapping[str, Any]) -> dict[str, Any]:
    charts = [
        {**chart, "selectedParams": chart["selectedParams"][: len(chart["selectedParams"]) // 2]}
        if chart["type"] == "PARALLEL"
        else chart
        for chart in state["compareRunCharts"]
    ]
    columns = state["selectedColumns"]
    return {**state, "compareRunCharts": charts, "selectedColumns": columns[: len(columns) // 2]}


def _by_objective(spec: StudySpec) -> tuple[str, dict[str, Any]]:
    settings = numeric_axes(spec)[:3]
    further = objective_names(spec)[1:]
    plots = [_scatter(("METRIC", name), "objective") for name in (*further, "trial")]
    plots += [_scatter(("PARAM", name), "objective") for name in settings]
    top = [_parallel(axes_of(spec), ["epochs_used", *further, "objective"])]
    return OBJECTIVE, _state(spec, top, plots, order=("objective", spec.metric.goal == "minimize"))


def _why_failed(spec: StudySpec) -> tuple[str, dict[str, Any]]:
    settings = numeric_axes(spec)[:3]
    plots = [_scatter(("METRIC", "onset_step"), "verdict_code")]
    plots += [_scatter(("PARAM", name), "verdict_code") for name in settings]
    top = [_parallel(axes_of(spec), ["onset_step", "verdict_code"])]
    return FAILED, _state(spec, top, plots, order=("onset_step", False))


def _best_ten(spec: StudySpec, curves: Sequence[str], trained: bool) -> tuple[str, dict[str, Any]]:
    """Those that were trained to their end, by objective; the page shows the first ten of them."""
    first = [name for name in curves if name.startswith("val_")]
    ordered = [*first, *(name for name in curves if name not in first)]
    state = _state(
        spec,
        [],
        [_lines(name) for name in ordered],
        order=("objective", spec.metric.goal == "minimize"),
        only=f"{TRIALS} and tags.`outcome` = 'completed'" if trained else TRIALS,
        below="Curves",
    )
    return CURVES, {**state, "runsHiddenMode": "FIRST_10_RUNS"}


def _cost(spec: StudySpec) -> tuple[str, dict[str, Any]]:
    plots = [
        _scatter(("METRIC", "seconds"), "objective"),
        _scatter(("METRIC", "epochs_used"), "objective"),
        _scatter(("METRIC", "peak_memory_mb"), "step_time"),
        _scatter(("METRIC", "trial"), "seconds"),
    ]
    top = [_parallel(axes_of(spec), ["step_time", "peak_memory_mb", "epochs_used", "seconds"])]
    return COST, _state(spec, top, plots, order=("seconds", False))


ABOVE, BELOW, REST = "searcher-above", "searcher-below", "searcher-rest"
"""The ids of a page's sections: one wide plot, several small ones, and all that MLflow adds by itself."""


def _state(
    spec: StudySpec,
    wide: Sequence[Part],
    small: Sequence[Part],
    order: tuple[str, bool],
    only: str = TRIALS,
    below: str = "In detail",
) -> dict[str, Any]:
    """The state of the page: which runs, in which order, and the plots in their sections."""
    sections = [
        *([_section(ABOVE, "Settings and results", columns=1, height=460)] if wide else []),
        _section(BELOW, below, columns=2, height=380),
        _section(REST, "Model metrics", shown=False),
    ]
    charts = [*_numbered(wide, ABOVE), *_numbered(small, BELOW)]
    columns = [
        *(f"metrics.`{name}`" for name in (*objective_names(spec), "epochs_used", "onset_step", "seconds")),
        *(["tags.`pareto`"] if spec.is_several else []),
        *(f"tags.`{name}`" for name in ("verdict", "outcome", "first_cause", "reason")),
        *(f"params.`{name_in_record(name)}`" for name in spec.space),
    ]
    return {
        "searchFilter": only,
        "orderByKey": f"metrics.`{order[0]}`",
        "orderByAsc": order[1],
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "runsHiddenMode": "SHOW_ALL",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
        "viewMaximized": False,
        "runListHidden": False,
        "hideEmptyCharts": True,
        "groupBy": None,
    }


def _section(key: str, name: str, shown: bool = True, columns: int = 3, height: int = 360) -> Part:
    return {
        "uuid": key,
        "name": name,
        "display": shown,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
        "columns": columns,
        "cardHeight": height,
    }


def _numbered(charts: Sequence[Part], section: str) -> list[Part]:
    fixed = {"metricSectionId": section, "deleted": False, "isGenerated": False}
    return [{**fixed, "uuid": f"{section}-{place}", **chart} for place, chart in enumerate(charts)]


def _parallel(params: Sequence[str], metrics: Sequence[str]) -> Part:
    """All runs across the settings; the pages colour the lines by the last metric."""
    return {
        "type": "PARALLEL",
        "selectedParams": list(params),
        "selectedMetrics": list(metrics),
        "showAllRuns": True,
    }


def _scatter(x: tuple[str, str], y: str) -> Part:
    """A point for every run, in the colour of its verdict."""
    return {
        "type": "SCATTER",
        "xaxis": {"type": x[0], "key": x[1]},
        "yaxis": {"type": "METRIC", "key": y},
        "runsCountToCompare": 100,
    }


def _lines(metric: str) -> Part:
    """A line for every run, in the colour of its verdict."""
    return {
        "type": "LINE",
        "metricKey": metric,
        "selectedMetricKeys": [metric],
        "displayName": metric,
        "runsCountToCompare": 10,
        "xAxisKey": "step",
        "xAxisScaleType": "linear",
        "scaleType": "linear",
        "lineSmoothness": 0,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "selectedXAxisMetricKey": "",
        "ignoreOutliers": False,
        "range": {},
    }
