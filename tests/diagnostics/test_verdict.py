"""Verdicts of recorded and of plain curves: what they rest on, and that they agree with the findings."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chance import often, seldom

from diagnostics import Finding, Report, Severity, Signals, Verdict, diagnose
from diagnostics.evidence.course import Curve, course, trend
from diagnostics.verdict import judge
from diagnostics.wording import sentence

Curve1d = np.ndarray[Any, np.dtype[np.float64]]
Make = Callable[[np.random.Generator], Curve1d]

N = 2000
T = np.arange(N)

LOSSES: dict[Verdict, Make] = {
    Verdict.CONVERGED: lambda r: 0.4 + 1.9 * np.exp(-T / 100) + 0.2 * r.normal(size=N),
    Verdict.IMPROVING: lambda r: 2.3 - 1.2 * T / N + 0.2 * r.normal(size=N),
    Verdict.NOT_LEARNING: lambda r: 2.3 + 0.2 * r.normal(size=N),
    Verdict.DIVERGED: lambda r: 2.3 * np.exp(T / 400) + 0.2 * r.normal(size=N),
    Verdict.NON_FINITE: lambda r: np.where(r.integers(300, N) > T, 2.3 * np.exp(-T / 300), np.nan),
    Verdict.UNSTABLE: lambda r: 1.2 + 0.8 * np.sin(T / r.uniform(60, 90)) + 0.05 * r.normal(size=N),
}
FINISHED = {"ended": "finished", "trivial_loss": 2.3}
RIGHT = {Verdict.CONVERGED: 0.94, Verdict.NOT_LEARNING: 0.97, Verdict.UNSTABLE: 0.83}
"""How often the verdict is right at least, where chance can make the end of a curve fall: its trend is tested
at 5 %, and a swing may end on its way down. Measured: 96, 98.7 and 87 %; of the others 300 of 300."""


def of_loss(loss: Curve1d) -> Signals:
    return Signals.of({"loss": (range(len(loss)), loss)})


def evaluated(**curves: Any) -> Signals:
    n = len(next(iter(curves.values())))
    return Signals.of({name: (range(9, 10 * n, 10), values) for name, values in curves.items()})


def warning(kind: str, severity: Severity = Severity.WARNING, *consequences: Finding) -> Finding:
    return Finding(kind, severity, 3, {"share_lost": 1.0}, "a cause", "a remedy", (), consequences)


@pytest.mark.parametrize("verdict", LOSSES, ids=str)
def test_a_loop_that_never_evaluates_gets_a_verdict_too(verdict: Verdict, rng: np.random.Generator) -> None:
    right = [diagnose(of_loss(LOSSES[verdict](rng)), FINISHED).verdict is verdict for _ in range(100)]
    assert often(right, RIGHT.get(verdict, 0.99))


def test_without_a_trivial_loss_the_start_is_the_measure(rng: np.random.Generator) -> None:
    falls = [0.4 + 1.9 * np.exp(-T / 100) + 0.1 * rng.normal(size=N) for _ in range(100)]
    verdicts = [diagnose(of_loss(loss), {"ended": "finished"}).verdict for loss in falls]
    assert set(verdicts) <= {Verdict.CONVERGED, Verdict.IMPROVING}
    assert often((verdict is Verdict.CONVERGED for verdict in verdicts), 0.95)  # measured: 97 %
    stands = of_loss(2.3 + 0.1 * rng.normal(size=N))
    report = diagnose(stands, {"ended": "finished"})
    assert report.verdict is Verdict.INCOMPLETE, "it may have begun at its best"
    assert "without the loss of guessing" in sentence(report)
    assert diagnose(stands, FINISHED).verdict is Verdict.NOT_LEARNING


def test_a_training_that_runs_is_judged_by_what_is_known(rng: np.random.Generator) -> None:
    loss = 2.3 - 1.2 * T / N + 0.1 * rng.normal(size=N)
    assert diagnose(of_loss(loss[:15]), {"trivial_loss": 2.3}).verdict is Verdict.INCOMPLETE
    assert diagnose(of_loss(loss), {"trivial_loss": 2.3}).verdict is Verdict.IMPROVING
    assert diagnose(of_loss(loss), {"trivial_loss": 2.3, "ended": "stopped"}).verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    ("kind", "severity", "verdict"),
    [
        ("non-finite", Severity.FATAL, Verdict.NON_FINITE),
        ("diverging", Severity.FATAL, Verdict.DIVERGED),
        ("not-learning", Severity.FATAL, Verdict.NOT_LEARNING),
        ("data-fault", Severity.FATAL, Verdict.NOT_LEARNING),
        ("overfitting", Severity.WARNING, Verdict.OVERFITTING),
        ("oscillating", Severity.WARNING, Verdict.UNSTABLE),
        ("overfitting", Severity.INFO, Verdict.CONVERGED),
        ("diverging", Severity.INFO, Verdict.CONVERGED),
    ],
)
def test_the_verdict_agrees_with_the_findings(kind: str, severity: Severity, verdict: Verdict) -> None:
    signals = of_loss(0.4 + 1.9 * np.exp(-T / 100))
    finding = warning(kind, severity)
    assert judge(signals, FINISHED, [finding])[0] is verdict
    cause = warning("learning-rate-too-high", severity, finding)
    assert judge(signals, FINISHED, [cause])[0] is verdict, "also as a consequence"


def test_the_gravest_fatal_finding_decides_and_stopping_for_it_does_not_hide_it() -> None:
    fatal = [warning(kind, Severity.FATAL) for kind in ("not-learning", "diverging", "non-finite")]
    stopped = {"ended": "stopped"}
    assert judge(Signals(), stopped, fatal)[0] is Verdict.NON_FINITE
    assert judge(Signals(), stopped, fatal[:2])[0] is Verdict.DIVERGED
    assert judge(Signals(), {"ended": "failed"}, fatal)[0] is Verdict.FAILED


def test_a_gap_alone_is_no_verdict_of_overfitting() -> None:
    gap = Finding("overfitting", Severity.WARNING, 3, {"gap": 1.0}, "", "")
    e = np.arange(30)
    curve = 0.3 + 2 * np.exp(-e / 2)
    assert judge(evaluated(train_loss=curve), FINISHED, [gap])[0] is Verdict.CONVERGED


def test_training_that_improves_while_validation_stands_still_has_converged(rng: np.random.Generator) -> None:
    e = np.arange(30)
    verdicts = []
    for _ in range(200):
        falls = 2.2 - 0.05 * e + 0.003 * rng.normal(size=30)
        stands = 1.5 + 0.7 * np.exp(-e / 3) + 0.01 * rng.normal(size=30)
        verdicts.append(judge(evaluated(train_loss=falls, val_loss=stands), FINISHED, [])[0])
        assert judge(evaluated(train_loss=falls, val_loss=falls), FINISHED, [])[0] is Verdict.IMPROVING
    assert often((verdict is Verdict.CONVERGED for verdict in verdicts), 0.9)  # measured: 92.2 %


def test_the_statistics_say_what_the_verdict_rests_on(rng: np.random.Generator) -> None:
    e = np.arange(40)
    val = 0.5 + np.abs(e - 25) / 20
    found = diagnose(
        evaluated(train_loss=2.0 * (e + 1.0) ** -0.5 + 0.002 * rng.normal(size=40), val_loss=val), FINISHED
    ).statistics
    assert found["trivial_loss"] == 2.3
    assert found["val_loss_best"] == pytest.approx(0.5)
    assert found["val_loss_best_step"] == 259
    assert found["train_loss_slope_low"] <= found["train_loss_slope"] <= found["train_loss_slope_high"] < 0
    assert found["train_loss_trend_p"] < 0.001
    assert 0.0005 < found["train_loss_noise"] < 0.006
    assert found["share_learnt"] == pytest.approx(1 - 2 * 40**-0.5 / 2.3, abs=0.02)
    assert found["forecast_2x"] == pytest.approx(2 * 80**-0.5, rel=0.15)
    assert found["forecast_2x_low"] < found["forecast_2x"] < found["forecast_2x_high"]
    assert found["forecast_2x"] < found["forecast_1.5x"] < found["train_loss_last"]
    assert all(isinstance(value, float) for value in found.values())


def test_the_interval_of_a_slope_holds_what_it_promises(rng: np.random.Generator) -> None:
    held = []
    for _ in range(1000):
        t = np.cumsum(rng.integers(1, 20, size=25))
        slope = float(rng.normal())
        found = trend(Curve("x", t, slope * t + 30 * rng.normal(size=25)))
        held.append(found.low <= slope <= found.high)
    assert often(held, 0.95) and seldom(held, 0.97)


def test_evaluations_stand_for_the_training_when_there_are_enough() -> None:
    loss = {"loss": (range(500), np.ones(500))}
    few = Signals.of({**loss, "train_loss": ([99, 199, 299, 399], np.ones(4))})
    enough = Signals.of({**loss, "train_loss": (range(9, 500, 50), np.ones(10))})
    assert [getattr(course(s), "name", None) for s in (few, enough, Signals())] == [
        "loss",
        "train_loss",
        None,
    ]


@pytest.mark.parametrize("verdict", list(Verdict), ids=str)
def test_every_verdict_has_a_sentence_with_and_without_statistics(
    verdict: Verdict, rng: np.random.Generator
) -> None:
    bare = sentence(Report(verdict, ()))
    curve = LOSSES.get(verdict, LOSSES[Verdict.CONVERGED])(rng)
    report = diagnose(of_loss(curve), FINISHED)
    told = sentence(Report(verdict, report.findings, report.statistics))
    for words in (bare, told):
        assert len(words) > 20
        assert not words.endswith(".")
        assert "nan" not in words.lower().replace("nan or", "")


def test_values_that_are_not_finite_do_not_reach_the_statistics() -> None:
    loss = np.where(T % 97 == 0, np.nan, 1 + np.exp(-T / 100))
    found = diagnose(of_loss(loss), FINISHED).statistics
    assert not any(math.isnan(value) for value in found.values())
