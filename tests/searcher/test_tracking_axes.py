"""Values for parallel coordinates: by the rule of MLflow's own pages, no trial may be left out."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from mlflow.utils.validation import _validate_metric_name, _validate_param_name

from diagnostics import Report, Verdict
from searcher.settings import refused_settings
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.tracking.axes import (
    MOST_CURVES,
    ONCE,
    admitted,
    axes_of,
    curve_name,
    name_in_record,
    numeric_axes,
    value_on_axis,
)
from searcher.tracking.entries import once_per_run, trial_params
from searcher.trial import Outcome, TrialResult

Make = Callable[..., StudySpec]


def drawn(rows: Sequence[Mapping[str, str | float]]) -> int:
    """How many rows MLflow 3.17 draws: what its pages do with the columns of the plot, in Python.

    In mlflow/server/js/build/static/js, module 57990 (`processParallelCoordinateData`): on each axis only
    the numbers stay where at least half are numbers, else only the texts, and of these the first 30.
    """
    left = list(rows)
    for name in rows[0]:
        numbers = [row for row in left if _is_number(row[name])]
        if len(numbers) >= len(left) / 2:
            left = numbers
            continue
        texts: list[str] = []
        kept = []
        for row in left:
            text = str(row[name])
            if not _is_number(text) and (text in texts or len(texts) < 30):
                texts = texts if text in texts else [*texts, text]
                kept.append(row)
        left = kept
    return len(left)


def _is_number(value: str | float) -> bool:
    try:
        return not math.isnan(float(value))
    except ValueError:
        return value == ""


def result(spec: StudySpec, sampled: Mapping[str, Any], inactive: Sequence[str]) -> TrialResult:
    """A trial that ended before anything was known of it, with the settings an own trainer gets."""
    from searcher.settings import settings_of

    settings = settings_of(spec, Point(sampled, tuple(inactive)))
    report = Report(Verdict.FAILED, ())
    return TrialResult(0, settings, tuple(sampled), tuple(inactive), Outcome.FAILED, report)


SPACE: dict[str, Any] = {
    "rate": {"low": 1e-5, "high": 1.0, "log": True},
    "width": [8, 16, 32],
    "norm": ["none", "batch"],
    "on": [True, False],
    "power": {"low": 0.5, "high": 2.0, "when": {"norm": ["batch"]}},
    "decay": {"low": 1e-6, "high": 1e-2, "log": True, "when": {"norm": ["batch"]}},
    "depth": {"low": 1, "high": 4, "when": {"norm": ["none"]}},
    "size": {"choices": [3, 5], "when": {"norm": ["none"]}},
    "kind": {"choices": ["big", "small"], "when": {"norm": ["none"]}},
    "figures": {"choices": ["1", "2"], "when": {"norm": ["batch"]}},
    "both": ["none", 3],
}


def random_trials(spec: StudySpec, rng: np.random.Generator, count: int) -> list[TrialResult]:
    share, found = rng.uniform(), []
    for _ in range(count):
        norm = "batch" if rng.uniform() < share else "none"
        off = [name for name, raw in SPACE.items() if isinstance(raw, dict) and "when" in raw]
        off = [name for name in off if norm not in SPACE[name]["when"]["norm"]]
        sampled: dict[str, Any] = {"norm": norm}
        for name, setting in spec.space.items():
            if name not in off and name != "norm":
                examples = setting.examples
                sampled[name] = examples[int(rng.integers(len(examples)))]
        found.append(result(spec, {name: sampled[name] for name in spec.space if name in sampled}, off))
    return found


def test_no_trial_is_left_out_of_the_plot(make_spec: Make, rng: np.random.Generator) -> None:
    spec = make_spec(space=SPACE)
    for _ in range(20):
        results = random_trials(spec, rng, 40)
        params = [trial_params(spec, one) for one in results]
        metrics = [once_per_run(one) for one in results]
        axes, figures = axes_of(spec), list(ONCE)
        rows = [
            {**{name: p[name] for name in axes}, **{name: m[name] for name in figures}}
            for p, m in zip(params, metrics, strict=True)
        ]
        assert drawn(rows) == len(results)
        assert all(math.isfinite(value) for row in metrics for value in row.values())


def test_the_rule_of_the_pages_would_leave_some_out() -> None:
    """What the axes are for: without a value of the axis' kind runs are lost."""
    numbers = [{"x": str(n)} for n in range(7)]
    assert drawn([*numbers, *[{"x": "none"}] * 3]) == 7
    assert drawn([*numbers[:3], *[{"x": "none"}] * 7]) == 7
    assert drawn([{"x": f"text {n}"} for n in range(50)]) == 30


def test_axes_are_those_that_hold_every_trial(make_spec: Make) -> None:
    spec = make_spec(space=SPACE)
    axes = axes_of(spec)
    assert axes == [
        "rate.log10",
        *("width", "norm", "on", "power", "decay.log10", "depth", "size", "kind", "figures"),
    ], "a setting of numbers and texts is none"
    assert numeric_axes(spec) == [name for name in axes if name not in ("norm", "on", "kind")]


def test_a_setting_that_is_off_keeps_its_default_where_it_has_one(make_spec: Make) -> None:
    """Then that is what the training got; else it stands apart, a tenth of the range below it."""
    spec = make_spec(space=SPACE)
    assert value_on_axis(spec.space["power"], 0.0, inactive=True) == 0.0
    assert value_on_axis(spec.space["power"], "none", inactive=True) == 0.35
    assert value_on_axis(spec.space["size"], "none", inactive=True) == 2.8
    assert value_on_axis(spec.space["kind"], "none", inactive=True) == "none"
    assert value_on_axis(spec.space["power"], 1.25, inactive=False) == 1.25
    constant = make_spec(space={"x": {"low": 3, "high": 3}})
    assert value_on_axis(constant.space["x"], "none", inactive=True) == 2


def test_stand_ins_lie_below_their_range(make_spec: Make, rng: np.random.Generator) -> None:
    for _ in range(200):
        low = float(rng.normal()) * 10.0 ** rng.integers(-6, 6)
        high = low + float(rng.uniform()) * 10.0 ** rng.integers(-6, 6)
        spec = make_spec(space={"x": {"low": low, "high": high}})
        assert value_on_axis(spec.space["x"], "none", inactive=True) < low


def test_logarithms_stand_beside_settings_with_a_log_range(make_spec: Make, rng: np.random.Generator) -> None:
    spec = make_spec(space=SPACE)
    for one in random_trials(spec, rng, 30):
        params = trial_params(spec, one)
        assert float(params["rate.log10"]) == pytest.approx(math.log10(one.settings["rate"]), abs=1e-6)
        if "decay" in one.inactive:
            assert float(params["decay.log10"]) == pytest.approx(-6.4)


def test_refused_settings_have_all_axes_too(make_spec: Make) -> None:
    """Settings that do not fit each other have no defaults filled in, and still every axis a value."""
    space = {
        "norm": ["none", "batch"],
        "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True, "when": {"norm": ["none"]}},
        "power": {"low": 0.5, "high": 2.0, "when": {"norm": ["none"]}},
    }
    spec = make_spec(space=space, train={"device": "cpu"})
    point = Point({"norm": "batch"}, ("learning_rate", "power"))
    settings = refused_settings(spec, point)
    assert settings["learning_rate"] == 1e-3 and "device" not in settings
    for known in (settings, {"norm": "batch"}):  # the second as older records have it
        report = Report(Verdict.FAILED, ())
        one = TrialResult(0, known, ("norm",), point.inactive, Outcome.FAILED, report)
        params = trial_params(spec, one)
        assert params["learning_rate"] == "0.001" and params["learning_rate.log10"] == "-3.0"
        assert params["power"] == "0.35" and set(axes_of(spec)) <= params.keys()


def test_what_is_not_known_has_a_finite_figure(make_spec: Make) -> None:
    figures = once_per_run(result(make_spec(), {"x": 0.5}, ()))
    assert tuple(figures) == ONCE
    assert figures["onset_step"] == -1 and figures["objective"] == figures["step_time"] == 0


def test_there_is_room_for_so_many_curves(rng: np.random.Generator) -> None:
    known: list[str] = []
    for _ in range(30):
        metrics = [f"metric {n}" for n in rng.integers(0, 200, size=5)]
        after = admitted(known, metrics)
        assert after[: len(known)] == known, "what has a curve keeps it"
        known = after
    assert len(known) == len(set(known)) == MOST_CURVES


@pytest.mark.parametrize(
    "name",
    [
        "acc@5",
        "val/acc",
        "a//b",
        "/a",
        "a/",
        "../a",
        "a b",
        "größe",
        "x" * 400,
        "loss (mean)",
        "a/./b",
        "",
        ".",
    ],
)
def test_mlflow_takes_every_name(name: str) -> None:
    _validate_metric_name(name_in_record(name))
    _validate_param_name(name_in_record(name))


def test_a_metric_does_not_hide_a_figure() -> None:
    assert curve_name("val_loss") == "val_loss"
    assert curve_name("seconds") == "seconds_curve"
    assert not {curve_name(name) for name in ONCE} & set(ONCE)
