"""Constraints of a study file: how they are read, what keeps them, and what becomes of trials that do not."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import optuna
import pytest

from diagnostics import Signals, diagnose
from searcher.checks import check
from searcher.constraints import parse_constraint
from searcher.errors import SpecError
from searcher.feasibility import broken_early, settled
from searcher.opening import load_study
from searcher.spec import StudySpec
from searcher.trial import Evaluation, Outcome, TrialResult

Make = Callable[..., StudySpec]

REPORT = diagnose(Signals())

STUDY = """
name = "small"
[train]
trainer = "bounded:train"
[space]
x = {{ low = 0.0, high = 1.0 }}
[search]
sampler = "{sampler}"
pruner = "none"
trials = {trials}
constraints = {constraints}
[dispatch]
launcher = "inprocess"
"""

TRAINER = """
from trainers.progress import Progress

def train(settings):
    facts = {"parameters": int(1e6 * settings["x"]), "step_seconds": 0.5}
    yield Progress(0, 0, 2, facts=facts)
    for epoch in (1, 2):
        facts = {"step_seconds": 0.1 * epoch + settings["x"], "steps_seen": epoch}
        yield Progress(epoch, epoch, 2, {"val_loss": 1 - settings["x"] + 1 / epoch}, facts=facts)
"""


@pytest.fixture
def run(searcher: Callable[..., object], workplace: Path) -> Callable[..., object]:
    """Runs the study with these constraints."""

    def call(constraints: list[str], trials: int = 6, sampler: str = "random", *options: str) -> object:
        (workplace / "bounded.py").write_text(TRAINER)
        text = STUDY.format(constraints=json.dumps(constraints), trials=trials, sampler=sampler)
        (workplace / "study.toml").write_text(text)
        return searcher("run", "study.toml", *(options or ("--no-tracking",)))

    return call


def results() -> list:
    return load_study("small", "sqlite:///studies.db").results()


@pytest.mark.parametrize("relation", ["<=", "<", ">=", ">"])
def test_an_amount_is_above_0_where_a_value_violates(relation: str, rng: np.random.Generator) -> None:
    holds = {"<=": np.less_equal, "<": np.less, ">=": np.greater_equal, ">": np.greater}[relation]
    for _ in range(50):
        bound, value = (float(n) for n in rng.choice([-1, 0, 1], 2) * 10 ** rng.uniform(-6, 8, 2))
        constraint = parse_constraint(f"  some name{relation} {bound!r} ")
        assert (constraint.name, constraint.bound) == ("some name", bound)
        for number in (value, bound):
            assert (constraint.amount(number) <= 0) == holds(number, bound), (number, bound)
            assert abs(constraint.amount(number)) <= 2
        assert constraint.amount(math.nan) > 0
        assert (constraint.amount(math.inf) > 0) == relation.startswith("<")


def test_more_is_worse() -> None:
    amounts = [parse_constraint("parameters <= 1e6").amount(n) for n in (0, 1e3, 1e6, 1.1e6, 1e8)]
    assert amounts == sorted(amounts) and amounts[2] == 0


@pytest.mark.parametrize(
    "text", ["parameters", "<= 3", "parameters <= many", "a <= 1 <= 2", "a == 1", "a = 1", "a <= nan", ""]
)
def test_what_is_no_constraint_is_told_with_an_example(make_spec: Make, text: str) -> None:
    with pytest.raises(SpecError, match=r"search\.constraints.*is no constraint.*'parameters <= 1e6'"):
        make_spec(search={"constraints": ["x <= 1", text]})


def test_a_constraint_that_stands_there_twice_is_a_mistake(make_spec: Make) -> None:
    with pytest.raises(SpecError, match="'x <= 1' stands there twice"):
        make_spec(search={"constraints": ["x<=1", "x <= 1"]})


def test_unknown_names_are_told_at_once_with_what_there_is(make_spec: Make) -> None:
    spec = make_spec(
        train={"trainer": None, "data": "digits", "epochs": 2},
        space={"learning_rate": {"low": 0.1, "high": 0.2}, "init": ["orthogonal", "normal"]},
        metric={"name": "val_loss"},
        search={"constraints": ["paramters <= 1e6", "init <= 3", "learning_rate <= 1", "val_loss < 2"]},
    )
    spec = spec.model_copy(update={"train": {"data": "digits", "epochs": 2}})
    with pytest.raises(SpecError) as raised:
        check(spec, "study.toml")
    assert "did you mean 'parameters'?" in str(raised.value)
    assert "'init <= 3'" in str(raised.value) and "learning_rate <= 1" not in str(raised.value)


def test_what_can_still_change_is_not_judged_before_the_end() -> None:
    limits = [parse_constraint(text) for text in ("step_time <= 1", "peak_memory_mb >= 10", "val_loss <= 1")]
    assert broken_early(limits, {}, {"step_seconds": 9.0, "step_time": 9.0, "peak_memory_mb": 1.0}) == ""
    assert "it has 20" in broken_early([parse_constraint("peak_memory_mb < 10")], {}, {"peak_memory_mb": 20})
    assert "violates x <= 1" in broken_early([parse_constraint("x <= 1")], {"x": 2}, {})


def test_a_trial_is_stopped_as_soon_as_it_is_known_to_violate(run: Callable[..., object]) -> None:
    said = run(["parameters <= 5e5"], 8)
    assert said.code == 0, said.err
    for result in results():
        amount = result.constraints["parameters <= 5e5"]
        if result.settings["x"] * 1e6 > 5e5:
            number = f"{int(1e6 * result.settings['x']):,}"
            assert result.outcome is Outcome.INFEASIBLE and result.best is None and amount > 0
            assert result.reason == f"violates parameters <= 5e5: it has {number}"
            assert result.reason in said.out
        else:
            assert result.outcome is Outcome.COMPLETED and amount <= 0
    assert {result.outcome for result in results()} == {Outcome.COMPLETED, Outcome.INFEASIBLE}


def test_what_is_known_at_the_end_is_judged_then_and_never_best(
    run: Callable[..., object], searcher: Callable[..., object]
) -> None:
    record = ("--tracking-uri", f"sqlite:///{Path.cwd() / 'mlflow.db'}")
    said = run(["step_time <= 0.6", "val_loss > 0.8"], 10, "random", *record)
    assert said.code == 0, said.err
    for result in results():
        median = float(np.median([0.5, 0.1 + result.settings["x"], 0.2 + result.settings["x"]]))
        assert result.facts["step_time"] == pytest.approx(median)
        assert result.best is not None and result.best.step == 2
        fits = median <= 0.6 and result.best.metrics["val_loss"] > 0.8
        assert (result.outcome is Outcome.COMPLETED) == fits, result
    best = min((r for r in results() if r.outcome is Outcome.COMPLETED), key=lambda r: r.value)
    assert f"by trial {best.number}" in said.out
    shown = searcher("show", "small").out
    assert "infeasible" in shown and "violates step_time <= 0.6" in shown
    assert searcher("verify", "small", *record).code == 0
    report = json.loads(Path("searcher-runs/small/report.json").read_text())["headline"]["text"]
    assert "violate constraints: " in report and "step_time <= 0.6 (" in report


def test_a_setting_is_judged_before_anything_is_trained(run: Callable[..., object]) -> None:
    assert run(["x >= 2"], 3).code == 0
    assert [(r.outcome, r.epochs, r.value) for r in results()] == [(Outcome.INFEASIBLE, 0.0, 1e6)] * 3


def test_the_record_says_which_constraint_was_violated(run: Callable[..., object]) -> None:
    import mlflow

    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    run(["parameters < 1"], 2, "random", "--tracking-uri", uri)
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("small")
    runs = client.search_runs([experiment.experiment_id], "tags.outcome = 'infeasible'")
    assert [run.data.tags["violates"] for run in runs] == ["parameters < 1"] * 2
    assert {run.info.status for run in runs} == {"KILLED"}


def test_a_name_that_no_trial_says_ends_the_study_and_tells_what_there_is(run: Callable[..., object]) -> None:
    said = run(["steps_saw <= 3"])
    assert said.code != 0 and "names 'steps_saw', which no trial has said" in said.err
    assert "parameters, step_seconds, step_time, steps_seen, val_loss" in said.err and results() == []
    assert run(["steps_seen <= 3"], 2).code == 0


def test_constraints_may_not_change_once_trials_were_judged_by_them(run: Callable[..., object]) -> None:
    assert run(["x <= 1"], 2).code == 0
    said = run(["x <= 0.9"], 3)
    assert said.code != 0 and "search.constraints: recorded ['x <= 1'], now ['x <= 0.9']" in said.err


def test_the_sampler_is_told_by_how_much(run: Callable[..., object]) -> None:
    run(["parameters <= 5e5", "val_loss <= 9"], 6)
    trials = optuna.load_study(study_name="small", storage="sqlite:///studies.db").trials
    for trial, result in zip(trials, results(), strict=True):
        assert trial.constraints == result.constraints
        assert (trial.state.name == "PRUNED") == (result.outcome is Outcome.INFEASIBLE)


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_know_of_constraints_keep_away(run: Callable[..., object], sampler: str) -> None:
    """The best value lies just beside what is forbidden, where chance violates 14 times in 20."""
    assert run(["parameters <= 3e5"], 30, sampler).code == 0
    late = results()[10:]
    assert sum(r.outcome is Outcome.INFEASIBLE for r in late) < 12
    assert max(r.settings["x"] for r in late if r.outcome is Outcome.COMPLETED) > 0.2


def test_a_trial_that_is_ended_before_it_is_evaluated_may_be_infeasible() -> None:
    limits = [parse_constraint("step_time <= 1"), parse_constraint("val_loss <= 0.1")]
    facts = {"step_seconds": 2.0, "step_time": 2.0}
    ended = TrialResult(0, {"x": 0.5}, ("x",), (), Outcome.PRUNED, REPORT, facts=facts)
    result = settled(limits, ended)
    assert result.outcome is Outcome.INFEASIBLE and not result.has_own_value
    assert result.reason == "violates step_time <= 1: it has 2"
    assert settled(limits, replace(ended, outcome=Outcome.DOOMED)).constraints == {}


def test_a_pruned_trial_is_not_judged_by_what_it_has_reached() -> None:
    best = Evaluation(3, 1.0, {"val_loss": 0.5})
    ended = TrialResult(0, {}, (), (), Outcome.PRUNED, REPORT, 0.5, {1: 0.5}, ("val_loss",), best)
    limits = [parse_constraint("val_loss <= 0.1")]
    assert settled(limits, ended) == ended
    assert settled(limits, replace(ended, outcome=Outcome.COMPLETED)).outcome is Outcome.INFEASIBLE
