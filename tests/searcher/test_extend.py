"""Promising trials that still improve at their end go on, up to a multiple of their epochs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_study import made_up_study, never
from mlflow import MlflowClient

from diagnostics import Report, Signals, Verdict
from searcher.checks import check
from searcher.errors import SpecError
from searcher.extending import Extension, extension_of, reachable
from searcher.opening import load_study
from searcher.report.numbers.study_file import study_file
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult, ranked, searched
from trainers.progress import Progress

Make = Callable[..., StudySpec]
LOSS = Metric(name="val_loss")
STORE = "sqlite:///studies.db"


def study(*values: float, extend: float = 2.0) -> tuple[StudySpec, list[TrialResult]]:
    """A study of `val_loss` in which so many trials have ended with these values."""
    spec, results = made_up_study(len(values), 1, never, pruned=0.0)
    search = spec.search.model_copy(update={"extend": extend})
    spec = spec.model_copy(update={"search": search, "metric": LOSS})
    return spec, [
        replace(r, value=v, outcome=Outcome.COMPLETED) for r, v in zip(results, values, strict=True)
    ]


def course_of(curve: np.ndarray) -> TrialCourse:
    """A training with this validation loss, evaluated once in ten steps."""
    course = TrialCourse(LOSS)
    for epoch, value in enumerate(curve, start=1):
        course.add(Progress(10 * epoch, epoch, len(curve), {"val_loss": float(value)}))
    return course


def decided(
    spec: StudySpec, results: list[TrialResult], curve: np.ndarray, **changes: Any
) -> Extension | None:
    settings = {"epochs": 10, "schedule": "constant", **changes.pop("settings", {})}
    verdict = changes.pop("verdict", Verdict.IMPROVING)
    report = replace(Report(Verdict.IMPROVING, (), ()), verdict=verdict)
    return extension_of(spec, settings, course_of(curve), report, results)


def test_a_trial_goes_on_when_it_may_come_up_to_the_best(rng: np.random.Generator) -> None:
    spec, results = study(0.3, 0.9, 1.0, 1.1, 1.2)
    falling = np.linspace(2.0, 0.8, 12) + rng.normal(0, 1e-3, 12)
    found = decided(spec, results, falling)
    assert found is not None and (found.planned, found.epochs) == (10, 20)
    assert "still improving" in found.because and "may come up to the best, 0.3" in found.because
    assert found.text.startswith("goes on from 10 to 20 epochs: ")
    slow = 0.8 + 0.4 * np.arange(1, 31) ** -1.0
    assert decided(spec, results, slow) is None, "its law leads nowhere near the best"
    assert decided(spec, results, falling + 0.6) is None, "it is in the worse half"
    best = decided(spec, results, falling - 0.6)
    assert best is not None and "is the best so far" in best.because


def test_what_does_not_improve_or_cannot_go_on_ends() -> None:
    spec, results = study(0.3, 0.9, 1.0, 1.1, 1.2)
    falling = np.linspace(2.0, 0.8, 12)
    assert decided(spec, results, falling) is not None
    assert decided(spec, results, falling, verdict=Verdict.CONVERGED) is None
    assert decided(spec, results[:3], falling) is None, "too few trials to say what is promising"
    for schedule in ("cosine", "one_cycle"):
        assert decided(spec, results, falling, settings={"schedule": schedule}) is None
    off, _ = study(0.3, 0.9, 1.0, 1.1, 1.2, extend=1.0)
    assert decided(off, results, falling) is None


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_the_forecast_is_that_of_the_metric_in_its_own_direction(goal: Any) -> None:
    metric = Metric(name="score", goal=goal)
    sign = 1.0 if goal == "minimize" else -1.0
    t = np.arange(1, 41)
    curve = sign * (0.5 + 2.0 * t**-0.7)
    signals = Signals.of({"score": (10 * t - 1, curve)})
    reach = reachable(metric, signals, 2.0)
    assert reach is not None
    truth = sign * (0.5 + 2.0 * 80**-0.7)
    assert abs(reach - truth) < 0.02 and metric.is_better(reach, float(curve[-1]))
    assert reachable(metric, Signals.of({"score": (10 * t[:3], curve[:3])}), 2.0) is None
    assert reachable(metric, Signals.of({"score": (10 * t - 1, curve[::-1])}), 2.0) is None


STUDY = """
name = "own"
[train]
data = "digits"
max_samples = 240
epochs = 6
batch_size = 32
width = 16
[metric]
name = "val_loss"
[space]
learning_rate = { low = 1e-4, high = 0.1, log = true }
[[enqueue]]
learning_rate = 0.0001
[[enqueue]]
learning_rate = 0.0002
[[enqueue]]
learning_rate = 0.001
[[enqueue]]
learning_rate = 0.04
[[enqueue]]
learning_rate = 0.005
[search]
sampler = "random"
pruner = "none"
trials = 5
extend = 2.0
confirm = 1
[dispatch]
launcher = "inprocess"
"""


def test_a_trial_that_goes_on_stays_one_trial_and_its_settings_say_so(
    searcher: Callable[..., Any], workplace: Path
) -> None:
    (workplace / "study.toml").write_text(STUDY)
    said = searcher("run", "study.toml")
    assert said.code == 0, said.err
    results = load_study("own", STORE).results()
    longer = [result for result in searched(results) if result.extended]
    assert [result.number for result in longer] == [4], said.out
    (one,) = longer
    assert (one.settings["epochs"], one.epochs, len(one.values)) == (12, 12.0, 12)
    assert {r.epochs for r in searched(results) if r is not one} == {6.0}
    assert "trial 4 goes on from 6 to 12 epochs: it was still improving" in said.out
    for result in results:
        if result.confirms == 4:
            assert result.epochs == 12.0 and "as trial 4 did" in result.extended
    assert "goes on from 6 to 12 epochs" in " ".join(searcher("show", "own").out.split())
    assert searcher("verify", "own").code == 0
    client = MlflowClient(tracking_uri=f"sqlite:///{workplace}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    (run,) = (run for run in runs if run.data.tags.get("optuna.trial_number") == "4")
    assert run.data.tags["extended"] == one.extended and run.data.params["epochs"] == "12"
    assert len(client.get_metric_history(run.info.run_id, "val_loss")) == 12
    best = ranked(LOSS, results)[0]
    assert f"epochs = {best.settings['epochs']}" in searcher("best", "own").out or best is not one
    assert not list((workplace / "searcher-runs").rglob("state.pt"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"trainer": "own_trainers:quick"}}, "is for the trainer that comes along"),
        ({"train": {"schedule": "cosine"}}, "no trial can go on under the schedule cosine"),
        ({"space": {"schedule": ["cosine", "one_cycle"]}}, "under the schedule cosine, one_cycle"),
        ({"space": {"epochs": {"low": 3, "high": 9}}}, "[space] searches epochs"),
    ],
)
def test_where_no_trial_can_go_on_the_study_file_is_refused(
    changes: dict[str, Any], message: str, make_spec: Make
) -> None:
    spec = make_spec(search={"extend": 2.0}, space=changes.get("space", {"dropout": [0.0, 0.1]}))
    spec = spec.model_copy(update={"train": changes.get("train", {})})
    with pytest.raises(SpecError) as caught:
        check(spec, "study.toml")
    (mistake,) = [mistake for mistake in caught.value.mistakes if mistake.place == "search.extend"]
    assert message in mistake.message
    assert "extend = 2.0" in study_file(spec)
