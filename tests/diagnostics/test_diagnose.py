"""Sick, healthy and too short curves: what is said of each, live as in the replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from diagnostics import RULES, Finding, Report, Rule, Severity, Signals, Verdict, diagnose
from diagnostics.causes import flatten
from diagnostics.findings import Facts
from diagnostics.report import from_dict, to_dict, to_markdown, to_text
from diagnostics.signals import Series

Curve = np.ndarray[Any, np.dtype[np.float64]]
Make = Callable[[np.random.Generator], Curve]

N = 600
T = np.arange(N)


def noisy(x: Curve, rng: np.random.Generator, share: float = 0.05) -> Curve:
    return x * (1 + share * rng.normal(size=len(x)))


def jump(rng: np.random.Generator) -> int:
    return int(rng.integers(100, 300))


DIVERGING: dict[str, Make] = {
    "grows from the start": lambda r: noisy(2.3 * np.exp(T / 100), r),
    "learns, then leaves its level": lambda r: noisy(np.where(jump(r) > T, 2.3 * np.exp(-T / 80), 40.0), r),
    "jumps at once and stays": lambda r: noisy(np.where(T < 1, 2.3, 100.0), r),
    "jumps and creeps on upwards": lambda r: noisy(np.where(T < 50, 2.3, 10 + T / 50), r),
}

HEALTHY: dict[str, Make] = {
    "learns": lambda r: noisy(2.3 * np.exp(-T / 100) + 0.05, r),
    "learns with the noise of single samples": lambda r: np.abs(r.normal(1.0, 1.0, N)) * np.exp(-T / 300),
    "does not learn at all": lambda r: noisy(np.full(N, 2.3), r),
    "catapult": lambda r: noisy(2.3 * np.exp(-T / 100) + 20 * np.exp(-np.abs(T - 60) / 15), r),
    "spikes and recovers": lambda r: noisy(np.where(np.abs(T - 300) < 20, 30.0, 2.3 * np.exp(-T / 100)), r),
    "starts huge and falls": lambda r: noisy(5000 * np.exp(-T / 60) + 3000, r),
    "overfits late, far below its start": lambda r: noisy(0.01 + 2.3 * np.exp(-T / 50) + T / 5000, r),
    "warms up": lambda r: noisy(2.3 + 0.4 * np.sin(np.pi * np.minimum(T, 100) / 100) - 1.5 * T / N, r),
}


def of_loss(loss: Curve) -> Signals:
    return Signals.of({"loss": (range(len(loss)), loss)})


def kinds(signals: Signals, **facts: Any) -> list[str]:
    """Every kind that was found with a warning or worse, consequences among them."""
    return [f.kind for f in flatten(diagnose(signals, facts).findings) if f.severity > Severity.INFO]


def the(report: Report, kind: str) -> Finding:
    """The finding of a kind, wherever it stands."""
    return next(finding for finding in flatten(report.findings) if finding.kind == kind)


@pytest.mark.parametrize("name", DIVERGING)
def test_a_loss_that_leaves_its_level_is_found(name: str) -> None:
    for _ in range(10):
        report = diagnose(of_loss(DIVERGING[name](np.random.default_rng())), {"trivial_loss": 2.3})
        assert the(report, "diverging").severity is Severity.FATAL
        assert report.verdict is Verdict.DIVERGED
        assert report.fatal is not None


@pytest.mark.parametrize("name", HEALTHY)
def test_a_loss_that_is_in_order_is_left_alone_at_every_step(name: str) -> None:
    facts = {} if name == "starts huge and falls" else {"trivial_loss": 2.3}
    expected = {"not-learning"} if name == "does not learn at all" else set()
    for _ in range(5):
        signals = of_loss(HEALTHY[name](np.random.default_rng()))
        for step in range(20, N, 20):
            report = diagnose(signals.until(step), facts)
            assert report.fatal is None or report.fatal.kind in expected
            away = signals["loss"].values[step] > 1.5 * signals["loss"].values[0]  # it may come back, or not
            assert away or set(kinds(signals.until(step), **facts)) <= expected, step


def test_divergence_is_called_at_its_onset_and_soon() -> None:
    for _ in range(10):
        rng = np.random.default_rng()
        at = jump(rng)
        loss = noisy(np.where(at > T, 2.3 * np.exp(-T / 80), 40.0), rng)
        called = next(n for n in range(at, N) if "diverging" in kinds(of_loss(loss[:n]), trivial_loss=2.3))
        assert abs(the(diagnose(of_loss(loss[:called])), "diverging").step - at) <= 10
        assert called - at <= 140


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_found_at_its_step(bad: float) -> None:
    rng = np.random.default_rng()
    loss = noisy(2.3 * np.exp(-T / 100), rng)
    step = int(rng.integers(0, N))
    loss[step:] = bad
    report = diagnose(of_loss(loss))
    assert report.verdict is Verdict.NON_FINITE
    assert the(report, "non-finite").step == step
    assert kinds(of_loss(loss[:step])) == []


def evaluated(train: Curve, val: Curve) -> Signals:
    steps = range(10, 10 * len(train) + 1, 10)
    return Signals.of({"train_loss": (steps, train), "val_loss": (steps, val)})


E = np.arange(30)

VERDICTS: dict[str, tuple[Verdict, Make, Make]] = {
    "flat in the end": (
        Verdict.CONVERGED,
        lambda r: 0.3 + 2 * np.exp(-E / 2) + 0.003 * r.normal(size=30),
        lambda r: 0.4 + 2 * np.exp(-E / 2) + 0.003 * r.normal(size=30),
    ),
    "still falling": (
        Verdict.IMPROVING,
        lambda r: 2.2 - 0.05 * E + 0.003 * r.normal(size=30),
        lambda r: 2.2 - 0.05 * E + 0.003 * r.normal(size=30),
    ),
    "validation rises": (
        Verdict.OVERFITTING,
        lambda r: 2 * np.exp(-E / 5) + 0.003 * r.normal(size=30),
        lambda r: 0.5 + 2 * np.exp(-E / 3) + 0.03 * np.maximum(0, E - 8) + 0.003 * r.normal(size=30),
    ),
    "no better than guessing": (
        Verdict.NOT_LEARNING,
        lambda r: 2.3 + 0.003 * r.normal(size=30),
        lambda r: 2.3 + 0.003 * r.normal(size=30),
    ),
    "up and down": (
        Verdict.UNSTABLE,
        lambda r: 1.2 + 0.9 * np.sign(r.normal(size=30)) * r.uniform(0.6, 1, 30),
        lambda r: 1.2 + 0.9 * r.normal(size=30),
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_verdicts_of_finished_trainings(name: str) -> None:
    verdict, train, val = VERDICTS[name]
    right = 0
    for _ in range(40):
        rng = np.random.default_rng()
        facts: Facts = {"ended": "finished", "trivial_loss": 2.3}
        right += diagnose(evaluated(train(rng), val(rng)), facts).verdict is verdict
    assert right >= 36


def test_verdicts_of_trainings_that_did_not_finish() -> None:
    curve = 0.3 + 2 * np.exp(-E / 2)
    assert diagnose(evaluated(curve, curve), {"ended": "stopped"}).verdict is Verdict.INCOMPLETE
    assert diagnose(evaluated(curve, curve), {"ended": "failed"}).verdict is Verdict.FAILED
    assert diagnose(evaluated(curve[:3], curve[:3]), {"ended": "finished"}).verdict is Verdict.INCOMPLETE
    assert diagnose(Signals(), {"ended": "finished"}).verdict is Verdict.INCOMPLETE


def test_live_equals_replay() -> None:
    rng = np.random.default_rng()
    for curve in (*DIVERGING.values(), *HEALTHY.values()):
        whole = of_loss(curve(rng))
        live = Signals()
        for start in range(0, N, 37):
            rows = whole["loss"]
            live = live.extend(
                {"loss": Series(rows.steps[start : start + 37], rows.values[start : start + 37])}
            )
            assert to_dict(diagnose(live)) == to_dict(diagnose(whole.until(live.last_step)))


def test_a_rule_without_data_and_a_rule_that_breaks_are_shown() -> None:
    def broken(signals: Signals, facts: Facts) -> Iterator[Finding]:
        raise ZeroDivisionError("by accident")

    rules = (*RULES, Rule("broken", {"loss": 1}, broken, "a test"), Rule("hungry", {"loss": 99}, broken, ""))
    report = diagnose(of_loss(np.array([2.0, 1.0])), rules=rules)
    assert report.errors == {"broken": "ZeroDivisionError: by accident"}
    assert "99 rows of 'loss' (there are 2)" in report.not_run["hungry"]
    assert "rule broken: broken: ZeroDivisionError" in to_text(report)


def test_a_report_survives_json_and_reads_well() -> None:
    loss = noisy(2.3 * np.exp(-T / 100), np.random.default_rng())
    loss[7:] = np.nan
    report = diagnose(of_loss(loss))
    assert from_dict(json.loads(json.dumps(to_dict(report)))) == report
    assert "fatal: non-finite at step 7" in to_text(report)
    assert "**non-finite** (fatal, step 7)" in to_markdown(report)
    assert "clip the gradient" in " ".join(to_text(report).split())


def test_findings_are_ordered_by_severity_then_step() -> None:
    def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
        for step, severity in (
            (5, Severity.INFO),
            (9, Severity.FATAL),
            (3, Severity.FATAL),
            (1, Severity.WARNING),
        ):
            yield Finding(f"at-{step}", severity, step, {}, "", "")

    report = diagnose(of_loss(np.ones(1)), rules=[Rule("many", {"loss": 1}, check, "a test")])
    assert [finding.step for finding in report.findings] == [3, 9, 1, 5]
    assert report.fatal is not None
    assert report.fatal.step == 3
