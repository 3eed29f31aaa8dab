"""The gradient noise scale and its two rules, on pairs of gradients of a known scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from chance import often

from diagnostics import Finding, Rule, Severity, Signals
from diagnostics.evidence.noise_scale import noise_scale
from diagnostics.rules import batch_too_large, noisy_gradients

CLASSES = {"task": "classification", "outputs": 10, "trivial_loss": 2.3, "ended": "finished"}


def run(rule: Rule, signals: Signals, **facts: Any) -> list[Finding]:
    enough = all(name in signals and len(signals[name]) >= rows for name, rows in rule.needs.items())
    return list(rule.check(signals, {**signals.facts, **facts})) if enough else []


def pairs(rng: np.random.Generator, true: float, batch: int, rows: int = 24) -> Signals:
    """Pairs of gradients of a noise scale: |G| = 1, so tr(S) is the scale."""
    n = 400
    direction = np.zeros(n)
    direction[0] = 1.0
    g = direction + np.sqrt(true / batch / n) * rng.normal(size=(2, rows, n))
    size = 10.0 ** -np.linspace(0, 2, rows)
    dot, square = (g[0] * g[1]).sum(1) * size, (g**2).sum(2).mean(0) * size
    loss = 2.3 * np.exp(-np.arange(400) / 400)
    columns = {"loss": (range(400), loss), "batch_size": (range(rows), np.full(rows, float(batch)))}
    steps = range(1, rows + 1)
    return Signals.of({**columns, "grad_dot": (steps, dot), "grad_square": (steps, square)}, CLASSES)


def test_the_noise_scale_is_found_within_its_interval(rng: np.random.Generator) -> None:
    held = []
    for _ in range(200):
        true = 10 ** rng.uniform(1, 3)
        signals = pairs(rng, true, 64)
        found = noise_scale(signals, signals.facts)
        held.append(found is not None and found.low <= true <= found.high)
    assert often(held, 0.95)  # measured: 96.1 % of 3,000


def test_a_batch_far_below_the_noise_scale_is_noisy(rng: np.random.Generator) -> None:
    """Gradients of pure noise point against each other clearly in one of a hundred trainings by chance."""
    drawn = [run(noisy_gradients.RULE, pairs(rng, 3000, 4)) for _ in range(200)]
    assert often((len(found) == 1 for found in drawn), 0.98)  # measured: 99.0 % of 3,000
    for noisy in (finding for found in drawn for finding in found):
        assert noisy.severity <= Severity.WARNING
        assert "batch_size from 4" in noisy.remedy


def test_a_batch_far_above_the_noise_scale_is_too_large(rng: np.random.Generator) -> None:
    for _ in range(20):
        (large,) = run(batch_too_large.RULE, pairs(rng, 8, 1024))
        assert large.severity is Severity.INFO
        assert "lower batch_size from 1024" in large.remedy


@pytest.mark.parametrize("rule", [noisy_gradients.RULE, batch_too_large.RULE], ids=lambda rule: rule.name)
def test_a_batch_near_the_noise_scale_and_few_pairs_are_left_alone(
    rule: Rule, rng: np.random.Generator
) -> None:
    drawn = [run(rule, pairs(rng, 100, 64)) for _ in range(100)]
    assert often((found == [] for found in drawn), 0.998)  # measured: all of 3,000
    assert run(rule, pairs(rng, 3000, 4, rows=5)) == []


def test_gradients_that_turn_about_are_no_noise(rng: np.random.Generator) -> None:
    signals = pairs(rng, 1, 64)
    turned = signals.extend({})
    dot = signals["grad_dot"]
    series = {**turned, "grad_dot": type(dot)(dot.steps, -dot.values)}
    assert noise_scale(Signals(series, signals.facts), signals.facts) is None
