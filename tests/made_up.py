"""Made-up trainings for the tests of rules: losses that fall or stand still, and rows at due steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diagnostics import Finding, Rule, Series, Signals, diagnose

Array = NDArray[np.float64]

STEPS = 400
DUE = np.array([0, 1, 2, 4, 8, 16, 32, 64, 96, 128, 160, 200, 240, 280, 320, 360, 399])
EVALUATED = np.arange(39, STEPS, 40)
TRIVIAL = 2.3
FACTS: Mapping[str, float | int | str] = {
    "task": "classification",
    "outputs": 10,
    "trivial_loss": TRIVIAL,
    "head": "Linear",
    "head_layer": "head",
    "total_steps": STEPS,
}
MATRICES = ("hidden1.weight", "hidden2.weight", "head.weight")
LAYERS = ("hidden1", "hidden2", "head")


def losses(rng: np.random.Generator, learns: bool) -> Array:
    """A loss per step that falls from that of guessing, or stays there."""
    t = np.arange(STEPS)
    level = TRIVIAL * np.exp(-t / 60) + 0.05 if learns else np.full(STEPS, TRIVIAL * 1.001)
    return np.asarray(level * np.exp(0.02 * rng.normal(size=STEPS)))


def due(values: Any, layers: tuple[str, ...] = ()) -> Series:
    """One row for each due step: the same each time, or those given."""
    values = np.asarray(values, dtype=float)
    rows = (len(DUE), len(layers)) if layers else (len(DUE),)
    return Series(DUE, np.broadcast_to(values, rows), layers)


def evaluated(values: Any) -> Series:
    """One row for each evaluation: the same each time, or those given."""
    return Series(EVALUATED, np.broadcast_to(np.asarray(values, dtype=float), EVALUATED.shape))


def training(rng: np.random.Generator, learns: bool, **series: Series) -> Signals:
    """A training that learns or stands still, with more series; they may stand in for its loss."""
    loss = Series(np.arange(STEPS), losses(rng, learns))
    rate = Series(np.arange(STEPS), np.full(STEPS, 1e-2))
    return Signals({"loss": loss, "learning_rate": rate, **series})


def the_finding(rule: Rule, signals: Signals, **facts: Any) -> Finding:
    """The only finding of a rule, which must read well and have its numbers."""
    (finding,) = rule.check(signals, {**FACTS, **facts})
    assert finding.kind == rule.name
    assert all(np.isfinite(value) for value in finding.evidence.values())
    assert finding.cause[0].islower() or not finding.cause[0].isalpha()
    assert not finding.cause.endswith(".")
    assert finding.remedy
    assert not finding.remedy.endswith(".")
    return finding


def none_found(rule: Rule, signals: Signals, **facts: Any) -> bool:
    """Whether a rule is silent."""
    return list(rule.check(signals, {**FACTS, **facts})) == []


def says_too_little(rule: Rule) -> bool:
    """Whether a rule without data is named as such, and copes with a single row of zeros."""
    report = diagnose(Signals(), rules=[rule])
    one_row = Signals({name: Series(np.array([0]), np.zeros(1)) for name in rule.needs})
    return rule.name in report.not_run and not report.findings and not diagnose(one_row, rules=[rule]).errors
