"""One trial: a stream of messages folded into what is known of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from diagnostics import Report, Signals, Verdict, diagnose
from diagnostics.causes import flatten
from diagnostics.diagnose import run_rules
from searcher.ledger import with_sibling
from searcher.spec import Metric
from searcher.trial import Evaluation, Outcome, TrialCourse, TrialResult
from trainers.progress import Progress


def course_of(values: Sequence[float], metric: Metric, per_epoch: int = 1, **facts: Any) -> TrialCourse:
    """A course with one evaluation per value, `per_epoch` in each epoch of ten steps."""
    course = TrialCourse(metric)
    course.add(Progress(0, 0.0, len(values) / per_epoch, facts={"evaluations_per_epoch": per_epoch, **facts}))
    for i, value in enumerate(values, start=1):
        course.add(Progress(10 * i, i / per_epoch, len(values) / per_epoch, {metric.name: value, "other": i}))
    return course


def test_the_best_evaluation_counts(rng: np.random.Generator) -> None:
    values = rng.normal(size=12).tolist()
    for goal, best in (("minimize", np.min), ("maximize", np.max)):
        course = course_of(values, Metric(goal=goal))
        at = values.index(best(values))
        assert course.value == best(values)
        assert course.best is not None
        assert (course.best.step, course.best.epoch) == (10 * (at + 1), at + 1)
        assert course.best.metrics == {"val_loss": values[at], "other": at + 1}
        assert course.values == {i: best(values[:i]) for i in range(1, 13)}


def test_or_the_last_one_if_the_study_says_so(rng: np.random.Generator) -> None:
    values = rng.normal(size=6).tolist()
    course = course_of(values, Metric(of="last"))
    assert course.value == values[-1]
    assert course.values == dict(enumerate(values, start=1))


def test_a_tie_keeps_the_earlier_evaluation() -> None:
    course = course_of([2.0, 1.0, 1.0], Metric())
    assert course.best is not None and course.best.step == 20


def test_evaluations_are_counted_in_those_due_by_then() -> None:
    """Trials of all batch sizes share the clock, whenever their evaluations come."""
    course = TrialCourse(Metric())
    course.add(Progress(0, 0.0, 2, facts={"evaluations_per_epoch": 3}))
    for step, epoch in enumerate((1 / 3, 0.7, 1.0, 2.0), start=1):
        course.add(Progress(step, epoch, 2, {"val_loss": 9.0 - step}))
    assert course.values == {1: 8.0, 2: 7.0, 3: 6.0, 6: 5.0}


def test_without_that_fact_evaluations_are_numbered() -> None:
    course = TrialCourse(Metric())
    for epoch in (0.1, 0.5, 2.5):
        course.add(Progress(1, epoch, 3, {"val_loss": epoch}))
    assert list(course.values) == [1, 2, 3]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_values_that_are_not_finite_are_never_the_best(bad: float, goal: Any) -> None:
    course = course_of([bad, 0.5, bad], Metric(goal=goal))
    assert course.value == 0.5
    assert course.values == {2: 0.5, 3: 0.5}
    assert len(course.signals["val_loss"]) == 3
    nothing = course_of([bad], Metric(goal=goal))
    assert nothing.value is None and nothing.values == {} and nothing.metrics_seen == {"val_loss", "other"}


def test_a_metric_that_is_never_reported() -> None:
    course = course_of([1.0, 2.0], Metric())
    other = TrialCourse(Metric(name="val_charm"))
    other.add(Progress(1, 1.0, 1, {"val_loss": 1.0}))
    assert other.value is None and other.metrics_seen == {"val_loss"} and course.value == 1.0


def test_signals_grow_and_evaluations_join_them() -> None:
    course = TrialCourse(Metric())
    course.add(Progress(2, 0.5, 1, signals=Signals.of({"loss": ([0, 1], [3.0, 2.0])})))
    course.add(Progress(4, 1.0, 1, {"val_loss": 1.0}, Signals.of({"loss": ([2, 3], [2.0, 1.5])})))
    assert course.signals["loss"].values.tolist() == [3.0, 2.0, 2.0, 1.5]
    assert course.signals["val_loss"].steps.tolist() == [3], "the row of the last step that was done"
    assert (course.step, course.epoch, course.of_epochs) == (4, 1.0, 1)


def test_facts_are_collected_and_the_newest_counts() -> None:
    course = course_of([1.0], Metric(), trivial_loss=2.3)
    course.add(Progress(20, 2.0, 2, facts={"step_seconds": 0.1}))
    course.add(Progress(30, 3.0, 3, facts={"step_seconds": 0.2}))
    assert course.facts == {"evaluations_per_epoch": 1, "trivial_loss": 2.3, "step_seconds": 0.2}


def test_the_findings_are_those_of_all_rows_so_far() -> None:
    course = TrialCourse(Metric())
    assert course.add(Progress(2, 0.1, 9, signals=Signals.of({"loss": ([0, 1], [3.0, 2.0])}))) == ()
    found = course.add(Progress(3, 0.2, 9, signals=Signals.of({"loss": ([2], [math.nan])})))
    kinds = sorted((finding.kind, finding.step) for finding in flatten(found))
    assert kinds == [("learning-rate-too-high", 2), ("non-finite", 2)], (
        "what is most likely its cause, and it"
    )
    assert course.add(Progress(4, 0.3, 9)) == found == course.findings, "nothing new was said"
    assert found == diagnose(course.signals, course.facts).findings


def test_what_a_monitor_said_of_an_evaluation_is_not_said_twice() -> None:
    course = TrialCourse(Metric())
    rows = Signals.of({"loss": ([0, 1], [2.0, 1.5]), "val_loss": ([1], [1.25])}, {"trivial_loss": 2.5})
    course.add(Progress(2, 1.0, 1, {"val_loss": 1.25, "train_loss": 1.0}, rows))
    assert course.signals["val_loss"].values.tolist() == [1.25]
    assert course.signals["train_loss"].steps.tolist() == [1]
    assert course.signals.facts == {"trivial_loss": 2.5}


def test_rules_are_asked_when_the_training_has_grown_not_at_every_message(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []

    def counted(signals: Signals, facts: Any) -> Any:
        asked.append(signals.last_step)
        return run_rules(signals, facts)

    monkeypatch.setattr("searcher.trial.run_rules", counted)
    course = TrialCourse(Metric())
    for step in range(1, 400):
        course.add(Progress(step, step, 400, signals=Signals.of({"loss": ([step - 1], [2.0])})))
    assert len(asked) < 60 and max(asked) > 350
    course.add(Progress(400, 400, 400, signals=Signals.of({"loss": ([399], [math.inf])})))
    assert asked[-1] == 399, "at once when it is not finite"


def test_the_verdict_so_far_is_that_of_a_training_that_ends_now(rng: np.random.Generator) -> None:
    course = TrialCourse(Metric())
    assert course.so_far is Verdict.INCOMPLETE
    for i in range(1, 60):
        losses = 2.3 * np.exp(-np.arange(10 * i - 10, 10 * i) / 60) + 0.02 * rng.normal(size=10)
        rows = Signals.of({"loss": (range(10 * i - 10, 10 * i), losses)}, {"task": "classification"})
        course.add(Progress(10 * i, i, 60, {"val_loss": float(losses[-1])}, rows, {"trivial_loss": 2.3}))
    assert course.so_far in (Verdict.CONVERGED, Verdict.IMPROVING)
    assert "ended" not in course.facts


def test_the_best_of_its_siblings_is_a_fact_of_the_last_judgement(rng: np.random.Generator) -> None:
    def other(outcome: Outcome, digest: str, **losses: float) -> TrialResult:
        best = Evaluation(10, 1.0, losses) if losses else None
        report = Report(Verdict.CONVERGED, ())
        return TrialResult(1, {}, (), (), outcome, report, best=best, facts={"data_digest": digest})

    a, b = sorted(rng.uniform(0, 1, 2).tolist())
    others = [
        other(Outcome.COMPLETED, "x", train_loss=b, val_loss=a),
        other(Outcome.PRUNED, "x", train_loss=a, val_loss=b),
        other(Outcome.DOOMED, "x", train_loss=-1.0, val_loss=-1.0),
        other(Outcome.COMPLETED, "y", train_loss=-1.0),
        other(Outcome.COMPLETED, "x"),
    ]
    course = course_of([1.0], Metric(), data_digest="x")
    best: dict[str, object] = {}
    for one in others:
        if one.facts["data_digest"] == "x":
            best = with_sibling(best, one)
    course.judged("finished", best)
    assert course.facts["sibling_train_loss"] == a and course.facts["sibling_val_loss"] == a
    assert course.facts["ended"] == "finished"
    alone = course_of([1.0], Metric(), data_digest="x")
    alone.judged("stopped")
    assert alone.facts == {"evaluations_per_epoch": 1, "data_digest": "x", "ended": "stopped"}


def test_the_last_judgement_knows_how_it_ended() -> None:
    falling = course_of([4.0, 2.0, 1.2, 1.05, 1.01, 1.0, 1.0, 1.0], Metric())
    assert falling.judged("finished").verdict is not Verdict.INCOMPLETE
    assert falling.judged("stopped").verdict is Verdict.INCOMPLETE
    assert falling.judged("failed").verdict is Verdict.FAILED
