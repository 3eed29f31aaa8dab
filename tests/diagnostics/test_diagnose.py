"""Sick, healthy and too short curves: what is said of each, live as in the replay."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from chance import often
from loss_curves import Curve, N, T, noisy

from diagnostics import RULES, Finding, Report, Rule, Severity, Signals, Verdict, diagnose
from diagnostics.causes import flatten
from diagnostics.findings import Facts
from diagnostics.report import from_dict, to_dict, to_markdown, to_text
from diagnostics.signals import Series

Make = Callable[[np.random.Generator], Curve]


def jump(rng: np.random.Generator) -> int:
    return int(rng.integers(100, 300))


DIVERGING: dict[str, Make] = {
    "grows from the start": lambda r: noisy(2.3 * np.exp(T / 100), r),
    "learns, then leaves its level": lambda r: noisy(np.where(jump(r) > T, 2.3 * np.exp(-T / 80), 40.0), r),
    "jumps at once and stays": lambda r: noisy(np.where(T < 1, 2.3, 100.0), r),
    "jumps and creeps on upwards": lambda r: noisy(np.where(T < 50, 2.3, 10 + T / 50), r),
}
KNOWN: Facts = {"trivial_loss": 2.3, "total_steps": N}
STEPPED_TOO_FAR = ["diverging", "learning-rate-too-high", "not-learning"]
FOUND = dict.fromkeys(DIVERGING, STEPPED_TOO_FAR)
"""All that is found with a warning or worse: one cause, and what follows from it."""

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


ON_ITS_WAY_BACK = ("catapult", "learning-rate-too-high")
"""A loss far above its start may come back or not: until it does, this curve is warned of, and no more."""

REMARKS = {"still-improving", "loss-spike", "underfitting", "plateau"}
"""What may be told of them as a remark: none of these asks for anything."""


def of_severity(report: Report, *severities: Severity) -> list[str]:
    """The kinds that were found with one of these severities, consequences among them."""
    return sorted(f.kind for f in flatten(report.findings) if f.severity in severities)


def kinds(signals: Signals, **facts: Any) -> list[str]:
    """Every kind that was found with a warning or worse, consequences among them."""
    return of_severity(diagnose(signals, facts), Severity.WARNING, Severity.FATAL)


def the(report: Report, kind: str) -> Finding:
    """The finding of a kind, wherever it stands."""
    return next(finding for finding in flatten(report.findings) if finding.kind == kind)


@pytest.mark.parametrize("name", DIVERGING)
def test_a_loss_that_leaves_its_level_is_found(name: str, rng: np.random.Generator) -> None:
    exactly = []
    for _ in range(50):
        report = diagnose(of_loss(DIVERGING[name](rng)), KNOWN)
        found = of_severity(report, Severity.WARNING, Severity.FATAL)
        assert set(FOUND[name]) <= set(found) <= {*FOUND[name], "oscillating"}
        exactly.append(found == FOUND[name])
        assert len([finding for finding in report.findings if finding.severity > Severity.INFO]) == 1
        assert the(report, "diverging").severity is Severity.FATAL
        assert report.verdict is Verdict.DIVERGED
        assert report.fatal is not None
    assert often(exactly, 0.995)  # noise far up may look like swings; measured: 2 of 1,200, and none


@pytest.mark.parametrize("name", HEALTHY)
def test_a_loss_that_is_in_order_is_left_alone_at_every_step(name: str, rng: np.random.Generator) -> None:
    facts = {} if name == "starts huge and falls" else KNOWN
    fatal = ["not-learning"] if name == "does not learn at all" else []
    given_up = []
    for _ in range(10):
        signals = of_loss(HEALTHY[name](rng))
        for step in range(20, N, 20):
            report = diagnose(signals.until(step), facts)
            assert of_severity(report, Severity.FATAL) in ([], fatal), step
            given_up.append(report.fatal is not None)
            away = signals["loss"].values[step] > 1.5 * signals["loss"].values[0]
            warned = [ON_ITS_WAY_BACK[1]] if away and name == ON_ITS_WAY_BACK[0] else fatal
            assert of_severity(report, Severity.WARNING) in ([], warned), step
            assert set(of_severity(report, Severity.INFO)) <= REMARKS, step
    assert any(given_up) == bool(fatal)


def test_divergence_is_called_at_its_onset_and_soon(rng: np.random.Generator) -> None:
    for _ in range(10):
        at = jump(rng)
        loss = noisy(np.where(at > T, 2.3 * np.exp(-T / 80), 40.0), rng)
        assert all(kinds(of_loss(loss[:n]), trivial_loss=2.3) == [] for n in range(0, at, 5))
        called = next(n for n in range(at, N) if "diverging" in kinds(of_loss(loss[:n]), trivial_loss=2.3))
        assert abs(the(diagnose(of_loss(loss[:called])), "diverging").step - at) <= 10
        assert called - at <= 60


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_found_at_its_step(bad: float, rng: np.random.Generator) -> None:
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
def test_verdicts_of_finished_trainings(name: str, rng: np.random.Generator) -> None:
    verdict, train, val = VERDICTS[name]
    facts: Facts = {"ended": "finished", "trivial_loss": 2.3}
    right = [diagnose(evaluated(train(rng), val(rng)), facts).verdict is verdict for _ in range(100)]
    assert often(right, 0.97 if name == "up and down" else 0.99)  # measured: 99 %, and 300 of 300


def test_verdicts_of_trainings_that_did_not_finish() -> None:
    curve = 0.3 + 2 * np.exp(-E / 2)
    assert diagnose(evaluated(curve, curve), {"ended": "stopped"}).verdict is Verdict.INCOMPLETE
    assert diagnose(evaluated(curve, curve), {"ended": "failed"}).verdict is Verdict.FAILED
    assert diagnose(evaluated(curve[:3], curve[:3]), {"ended": "finished"}).verdict is Verdict.INCOMPLETE
    assert diagnose(Signals(), {"ended": "finished"}).verdict is Verdict.INCOMPLETE


def test_live_equals_replay(rng: np.random.Generator) -> None:
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
