"""Values that are not finite and gradients that explode: where, since when, and what a person is told."""

from __future__ import annotations

from typing import Any

import numpy as np
from loss_curves import Curve, N, T, falling, layered, noisy, said

from diagnostics.findings import Severity
from diagnostics.rules import (
    exploding_gradients,
    non_finite,
)
from diagnostics.signals import Series, Signals

# ----------------------------------------------------------------- non-finite


def broken(rng: np.random.Generator, at: int, ratio: float = 0.4, **facts: Any) -> Signals:
    loss = noisy(2.3 * np.exp(T[:200] / 40), rng)
    loss[at:] = np.nan
    rate = (range(200), np.full(200, 0.3))
    return Signals(dict(layered(loss, ratio, learning_rate=rate)), facts)


def test_what_led_to_a_loss_that_is_not_finite_is_named_with_numbers(rng: np.random.Generator) -> None:
    at = int(rng.integers(60, 190))
    (finding,) = said(non_finite, broken(rng, at))
    assert finding.severity is Severity.FATAL and finding.step == at
    assert "0.4 of the weights" in finding.cause and f"step {at}" in finding.cause
    assert "from 0.3 to about 0.008" in finding.remedy
    assert finding.evidence["learning_rate"] == 0.3


def test_the_place_where_it_began_is_named(rng: np.random.Generator) -> None:
    facts: dict[str, Any] = {"non_finite_step": 100, "non_finite_origin": "output of hidden2.linear (Linear)"}
    (finding,) = said(non_finite, broken(rng, 100, **facts))
    assert "hidden2.linear" in finding.cause and finding.layers == ("hidden2.linear",)


def test_bad_inputs_are_to_be_cleaned_and_not_the_learning_rate_lowered(rng: np.random.Generator) -> None:
    facts: dict[str, Any] = {"non_finite_step": 100, "non_finite_origin": "input: NaN in feature 3"}
    (finding,) = said(non_finite, broken(rng, 100, **facts))
    assert "feature 3" in finding.cause and "clean the data" in finding.remedy
    assert "learning rate" not in finding.remedy


def test_a_fact_of_a_later_step_is_not_known_yet(rng: np.random.Generator) -> None:
    facts: dict[str, Any] = {"non_finite_step": 150, "non_finite_origin": "loss"}
    assert said(non_finite, broken(rng, 150, **facts).until(140)) == []


def test_weights_that_are_not_finite_are_found_before_the_loss(rng: np.random.Generator) -> None:
    signals = layered(falling(rng)[:100], np.where(np.arange(20) < 15, 0.01, np.nan))
    (finding,) = said(non_finite, signals)
    assert finding.step == 75 and "the weights" in finding.cause


def test_gradients_that_overflow_in_half_precision_are_left_to_the_scaler(rng: np.random.Generator) -> None:
    signals = layered(falling(rng)[:100], 0.003, np.where(np.arange(20) == 7, np.inf, 0.1))
    assert said(non_finite, signals) == []


# -------------------------------------------------------- exploding-gradients


def exploding(rng: np.random.Generator, loss: Curve, times: float = 300.0) -> Signals:
    g = 0.1 * np.exp(0.3 * rng.normal(size=120))
    g[[60, 80, 100, 110]] *= times
    return layered(loss, 0.003, g)


def test_a_step_that_left_no_trace_is_a_remark(rng: np.random.Generator) -> None:
    loss = 2.3 * np.exp(-np.arange(200) / 50) + 0.01 * rng.normal(size=200)
    loss[40] = np.inf
    (finding,) = non_finite.RULE.check(Signals.of({"loss": (range(200), loss)}), {})
    assert finding.severity is Severity.INFO
    assert "went on all the same" in finding.cause
    (finding,) = non_finite.RULE.check(Signals.of({"loss": (range(45), loss[:45])}), {})
    assert finding.severity is Severity.FATAL


def test_gradients_that_leave_their_scale_again_and_again_are_found(rng: np.random.Generator) -> None:
    stuck = noisy(np.full(N, 2.6), rng, 0.02)
    (finding,) = said(exploding_gradients, exploding(rng, stuck))
    assert finding.severity is Severity.WARNING and finding.step == 300
    assert "4 times" in finding.cause and "clip_norm = " in finding.remedy


def test_without_a_consequence_it_is_a_remark(rng: np.random.Generator) -> None:
    (finding,) = said(exploding_gradients, exploding(rng, falling(rng)))
    assert finding.severity is Severity.INFO


def test_one_large_batch_is_none(rng: np.random.Generator) -> None:
    g = 0.1 * np.exp(0.3 * rng.normal(size=120))
    g[int(rng.integers(20, 120))] *= 1000
    assert said(exploding_gradients, layered(falling(rng), 0.003, g)) == []


def test_gradients_that_grow_towards_the_input_are_found(rng: np.random.Generator) -> None:
    names = ("a", "b", "c", "d", "e")
    rows = np.exp(0.1 * rng.normal(size=(6, 5)))
    due = np.arange(0, 60, 10)
    deep = Series(due, rows * 10.0 ** np.arange(4, -1, -1), names)
    flat = Series(due, rows, names)
    signals = layered(noisy(np.full(60, 2.3), rng, 0.02))
    (finding,) = said(exploding_gradients, Signals({**signals, "output_grad": deep}))
    assert "at a it is" in finding.cause and finding.layers == ("a",)
    assert said(exploding_gradients, Signals({**signals, "output_grad": flat})) == []
