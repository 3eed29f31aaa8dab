"""Trainings of a few epochs, and what the first line of their report says of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chance import often

from diagnostics import Finding, Report, Severity, Signals, Verdict, diagnose
from diagnostics.evidence.course import blocks_of
from diagnostics.evidence.forecast import foretold
from diagnostics.report import to_text
from diagnostics.wording import sentence

FINISHED = {"ended": "finished", "trivial_loss": 2.3}


def epochs(train: list[float], rng: np.random.Generator | None = None, **more: list[float]) -> Signals:
    """Evaluations every 47 steps; with a generator also a loss of the steps, higher by a dropout."""
    at = range(46, 47 * len(train), 47)
    rows: dict[str, Any] = {"train_loss": (at, train), **{name: (at, x) for name, x in more.items()}}
    if rng is not None:
        n = 47 * len(train)
        level = np.interp(np.arange(n), [0, *at], [1.2 * max(2.3, train[0]), *(1.2 * np.array(train))])
        rows["loss"] = (range(n), level * (1 + 0.15 * rng.normal(size=n)))
    return Signals.of(rows)


@pytest.mark.parametrize("steps", [True, False])
@pytest.mark.parametrize(
    "train", [[0.885, 0.670, 0.593, 0.521, 0.483], [0.9, 0.61, 0.5, 0.43, 0.36, 0.31, 0.285]]
)
def test_a_few_epochs_that_fall_each_time_still_improve(
    train: list[float], steps: bool, rng: np.random.Generator
) -> None:
    report = diagnose(epochs(train, rng if steps else None, val_loss=[x + 0.1 for x in train]), FINISHED)
    assert report.verdict is Verdict.IMPROVING
    assert "still-improving" in {finding.kind for finding in report.findings}
    assert f"the training loss is {train[-1]:.3g} after" in sentence(report) or not steps
    assert "flat" not in sentence(report)


def test_three_evaluations_beside_the_steps_are_enough_to_see_a_fall(rng: np.random.Generator) -> None:
    report = diagnose(epochs([1.4, 1.1, 0.9], rng), FINISHED)
    assert report.verdict is Verdict.IMPROVING


def test_a_few_epochs_that_tell_nothing_are_said_to() -> None:
    report = diagnose(epochs([0.8, 0.5, 0.52, 0.49, 0.51]), FINISHED)
    assert report.verdict is Verdict.INCOMPLETE
    assert "too few evaluations to say whether it has come to rest" in sentence(report)


def test_a_slow_fall_from_above_the_level_of_guessing_is_no_standstill(rng: np.random.Generator) -> None:
    signals = epochs([2.615, 2.430, 2.311, 2.219], rng, val_loss=[2.671, 2.48, 2.35, 2.252])
    report = diagnose(signals, FINISHED | {"trivial_loss": 2.302, "total_steps": 188})
    assert report.verdict is Verdict.IMPROVING
    assert "not-learning" not in {finding.kind for finding in report.findings}
    assert "underfitting" not in {finding.kind for finding in report.findings}
    (found,) = [finding for finding in report.findings if finding.kind == "still-improving"]
    assert found.evidence["loss_now"] == report.statistics["loss_now"] == 2.219


def test_a_fall_that_is_next_to_nothing_is_not_learning(rng: np.random.Generator) -> None:
    verdicts = [
        diagnose(epochs([2.306, 2.304, 2.303, 2.302], rng), FINISHED | {"trivial_loss": 2.302}).verdict
        for _ in range(100)
    ]
    assert often((verdict is Verdict.NOT_LEARNING for verdict in verdicts), 0.95)  # measured: 98.4 %


def test_the_first_line_names_the_trouble_below_it() -> None:
    signals = epochs([2.0, *(1.39 + 0.001 * (-1) ** e for e in range(20))])
    report = diagnose(signals, FINISHED)
    trouble = Finding("learning-rate-too-high", Severity.WARNING, 3, {}, "a cause", "a remedy")
    words = sentence(Report(Verdict.CONVERGED, (trouble,), report.statistics))
    assert words.startswith("the training loss is 1.39 after")
    assert ", only 40 % below the trivial predictor's 2.3" in words
    assert words.endswith("; see learning-rate-too-high below")
    assert "below" not in sentence(Report(Verdict.CONVERGED, (), report.statistics)).split("2.3")[1]
    own = Finding("not-learning", Severity.FATAL, 3, {}, "a cause", "a remedy")
    assert "see" not in sentence(Report(Verdict.NOT_LEARNING, (own,), report.statistics))


def test_a_training_at_rest_whose_trend_falls_is_not_called_flat(rng: np.random.Generator) -> None:
    e = np.arange(30)
    falls = 2.2 - 0.05 * e + 0.003 * rng.normal(size=30)
    stands = 1.5 + 0.7 * np.exp(-e / 3) + 0.001 * np.sin(e)
    report = diagnose(epochs(list(falls), val_loss=list(stands)), FINISHED)
    assert report.verdict is Verdict.CONVERGED
    assert "still falls, but validation no longer gains by it" in sentence(report)


def test_a_forecast_is_never_worse_than_the_present(rng: np.random.Generator) -> None:
    for _ in range(30):
        t = np.arange(600) + 1.0
        loss = 0.3 + 2 * t ** -rng.uniform(0.3, 1) + 0.1 * rng.normal(size=600)
        curve = blocks_of(Signals.of({"loss": (range(600), loss)}), "loss")
        for now in (0.1, 0.35, 0.6):
            assert all(outlook.loss < now for outlook in foretold(curve, now).values())


def test_no_training_stands_still_and_improves(rng: np.random.Generator) -> None:
    for _ in range(30):
        n, end = 800, rng.uniform(1.0, 2.2)
        loss = end + (2.3 - end) * np.exp(-np.arange(n) / rng.uniform(50, 2000)) + 0.1 * rng.normal(size=n)
        kinds = {
            finding.kind for finding in diagnose(Signals.of({"loss": (range(n), loss)}), FINISHED).findings
        }
        assert not {"plateau", "still-improving"} <= kinds


def test_a_loss_that_learns_and_then_climbs_for_long_has_diverged() -> None:
    loss = np.concatenate([0.24 + 2.24 * np.exp(-np.arange(200) / 50), 0.24 + 0.05 * np.arange(1, 201)])
    report = diagnose(Signals.of({"loss": (range(400), loss)}), {"ended": "finished"})
    assert report.verdict is Verdict.DIVERGED
    assert "e+0" not in to_text(report)
