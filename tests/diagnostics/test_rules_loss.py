"""The rules that read the loss: sick, healthy and too short curves, and what a person is told of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from chance import often, seldom
from loss_curves import FACTS, Curve, N, T, falling, layered, noisy, of, said

from diagnostics.findings import Finding, Severity
from diagnostics.measuring.thinning import thin
from diagnostics.rules import (
    diverging,
    exploding_gradients,
    loss_spike,
    non_finite,
    not_learning,
    oscillating,
    plateau,
)
from diagnostics.signals import Series, Signals

HEALTHY: dict[str, Callable[[np.random.Generator], Curve]] = {
    "learns": falling,
    "learns slowly": lambda r: noisy(2.3 * (1 - 0.3 * T / N), r),
    "starts with a plateau": lambda r: noisy(np.where(T < 100, 2.3, 2.3 * np.exp(-(T - 100) / 80) + 0.05), r),
    "is noisy": lambda r: np.abs(r.normal(1.0, 0.8, N)) * (0.2 + 2.2 * np.exp(-T / 80)),
    "catapult": lambda r: noisy(2.3 * np.exp(-T / 100) + 200 * np.exp(-np.abs(T - 12) / 3), r),
    "begins far up": lambda r: noisy(400 * np.exp(-T / 40) + 2.3 * np.exp(-T / 100), r),
}
RULES = (diverging, exploding_gradients, loss_spike, non_finite, not_learning, oscillating, plateau)


@pytest.mark.parametrize("name", HEALTHY)
def test_healthy_curves_get_no_warning_at_any_step(name: str, rng: np.random.Generator) -> None:
    for _ in range(5):
        signals = layered(HEALTHY[name](rng))
        for step in range(5, N, 15):
            cut = signals.until(step)
            for rule in RULES:
                alarms = [f for f in said(rule, cut) if f.severity > Severity.INFO]
                assert alarms == [], (step, alarms)


def test_too_little_says_nothing(rng: np.random.Generator) -> None:
    curves: list[Curve] = [np.full(12, 2.3), noisy(np.full(12, 2.3), rng), 2.3 * np.exp2(np.arange(12.0))]
    for curve in curves:
        for rule in RULES:
            assert said(rule, layered(curve)) == []


# ------------------------------------------------------------------ diverging


def test_a_loss_hundreds_of_times_its_start_is_called_after_a_few_steps(rng: np.random.Generator) -> None:
    for _ in range(10):
        at = int(rng.integers(2, 100))
        loss = noisy(np.where(at > T, 2.3, 900.0), rng)
        (finding,) = said(diverging, of(loss[: at + 30]))
        assert finding.severity is Severity.FATAL and finding.step == at
        assert "left its level" in finding.cause


def test_a_high_single_batch_at_the_start_is_no_level_to_leave(rng: np.random.Generator) -> None:
    loss = noisy(np.full(50, 2.0), rng)
    loss[0] = 0.001
    assert said(diverging, of(loss), {}) == []


def test_a_first_batch_that_is_low_by_chance_is_no_level_to_leave(rng: np.random.Generator) -> None:
    alarms = []
    for _ in range(200):
        loss = np.mean(rng.normal(152.0, 77.0, (120, 8)) ** 2, axis=1)  # of answers near 0, in batches of 8
        loss[0] = rng.uniform(0.45, 0.6) * np.mean(loss)
        facts = {"task": "regression", "trivial_loss": 77.0**2}
        alarms.append(any(said(diverging, of(loss[:n]), facts) for n in (60, 90, 120)))
    assert seldom(alarms, 0.19)  # where none of the next fifty batches is as low; measured: 15.1 %


def test_a_loss_that_dips_before_it_rises_has_left_the_level_of_its_first_batch(
    rng: np.random.Generator,
) -> None:
    for _ in range(20):
        dips = int(rng.integers(1, 5))
        loss = noisy(np.where(dips < T, rng.uniform(4.5, 7.0), np.where(T > 0, 2.2, 2.4)), rng)
        (finding,) = said(diverging, of(loss[:100]))
        assert finding.severity is Severity.FATAL


@pytest.mark.parametrize("spike", [2.0, 8.0, 20.0])
def test_a_loss_that_is_above_its_start_for_good_has_left_it_whatever_was_before(
    spike: float, rng: np.random.Generator
) -> None:
    for end in (4.5, 9.0):
        learns = np.where((T > 0) & (T < 10), spike, 2.4 - 0.01 * np.minimum(T, 60))
        (finding,) = said(diverging, of(noisy(np.where(T < 60, learns, end), rng, 0.02)[:250]))
        assert finding.severity is Severity.FATAL and finding.step == 60


def test_a_divergence_is_found_in_the_thinned_rows_of_a_long_training(rng: np.random.Generator) -> None:
    n = 20_000
    at = int(rng.integers(5000, 9000))
    loss = noisy(np.where(np.arange(n) < at, 0.2, 30.0), rng)
    signals = Signals({"loss": thin(Series(np.arange(n), loss))})
    (finding,) = said(diverging, signals)
    assert abs(finding.step - at) < 200
    assert finding.evidence["steps_above"] == pytest.approx(n - at, abs=200)
    assert said(diverging, signals.until(at)) == []


# --------------------------------------------------------------- not-learning


def test_a_training_that_stands_at_the_level_of_guessing_is_given_up(rng: np.random.Generator) -> None:
    called = []
    for _ in range(100):
        found = said(not_learning, layered(noisy(np.full(N, 2.3), rng, 0.02)))
        called.append(len(found) == 1 and is_given_up(found[0]))
    assert often(called, 0.98)  # measured: 99.9 %


def is_given_up(finding: Finding, why: str = "", remedy: str = "") -> bool:
    """Whether it ends the training, for this reason; one that seems to be better by chance goes on."""
    guesses = "no better than the 2.3 of always giving the same answer" in finding.cause
    fatal = finding.severity is Severity.FATAL
    return fatal and guesses and finding.cause.endswith(why) and remedy in finding.remedy


HOPELESS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no gradient": ({"ratio": 0.0, "gradient": 0.0}, "; no gradient arrives at any of its layers", "init"),
    "huge steps": (
        {"ratio": 0.8},
        "; its steps are as large as its weights",
        "lower the learning rate from 0.3 to about 0.003",
    ),
    "no movement": (
        {"ratio": 2e-6},
        "; at this pace no layer moves as far as it must in the whole budget",
        "raise the learning rate from 0.3 to about 3e+01",
    ),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_shows_that_waiting_is_of_no_use_is_said_early(name: str, rng: np.random.Generator) -> None:
    settings, why, remedy = HOPELESS[name]
    called = []
    for _ in range(100):
        loss, rate = noisy(np.full(100, 2.3), rng, 0.02), (range(100), np.full(100, 0.3))
        found = said(not_learning, layered(loss, **settings, learning_rate=rate))
        called.append(len(found) == 1 and is_given_up(found[0], why, remedy))
    assert often(called, 0.87)  # else the loss looks by chance as if it began to fall; measured: 90.7 %


def test_steps_as_large_as_the_weights_have_done_harm_where_the_loss_has_jumped(
    rng: np.random.Generator,
) -> None:
    t = np.arange(100)
    ratio = np.where(np.arange(20) < 3, 2.0, 0.01)
    why = "; its first steps replaced the weights, and nothing of use came after"
    called, alarms, restless = [], [], []
    for _ in range(100):
        jumped = noisy(np.where((t > 0) & (t < 10), 30.0, 2.4), rng, 0.02)
        called.append(any(is_given_up(f, why) for f in said(not_learning, layered(jumped, ratio=ratio))))
        far = noisy(np.full(100, 11.0), rng, 0.3)  # so it was before the first step
        far[0] = rng.uniform(5.0, 11.0)
        alarms.append(bool(said(not_learning, layered(far, ratio=ratio))))
        hidden = noisy(np.where((t > 0) & (t < 10), 30.0, 3.0), rng, 0.4)
        restless.append(bool(said(not_learning, layered(hidden, ratio=ratio))))
    assert often(called, 0.84)  # else the loss looks by chance as if it fell; measured: 89.2 %
    assert seldom(alarms, 0.03)  # where no other batch is as low as the first; measured: 2.0 %
    assert seldom(restless, 0.18)  # where the noise may hide a fall; measured: 12.5 %


def test_a_training_that_answers_blindly_is_given_up_and_one_that_wakes_up_is_not(
    rng: np.random.Generator,
) -> None:
    due = range(0, 120, 5)
    blind: dict[str, Any] = {
        "answer_spread": (due, np.full(24, 1e-9)),
        "answer_scale": (due, np.full(24, 0.1)),
    }
    blind["batch_size"] = (due, np.full(24, 32.0))
    single = {**blind, "batch_size": (due, np.ones(24))}  # of one answer there is no spread
    waking = {**blind, "answer_spread": (due, 1e-9 * 2.0 ** np.arange(24))}
    called = []
    for _ in range(100):
        loss = noisy(np.full(120, 2.3), rng, 0.014)
        found = said(not_learning, layered(loss, **blind))
        called.append(len(found) == 1 and is_given_up(found[0], "; it gives the same answer to every input"))
        assert said(not_learning, layered(loss, **waking)) == []
        assert said(not_learning, layered(loss, **single)) == []
    assert often(called, 0.88)  # measured: 91.8 %


def test_nothing_is_said_where_the_trivial_loss_is_unknown(rng: np.random.Generator) -> None:
    assert said(not_learning, layered(noisy(np.full(N, 2.3), rng, 0.02)), {}) == []


# ----------------------------------------------------------------- loss-spike


def test_a_jump_that_came_back_is_a_remark(rng: np.random.Generator) -> None:
    for width in (3, 30):
        at = int(rng.integers(200, 400))
        loss = falling(rng) + 6.0 * ((at <= T) & (at + width > T))
        (finding,) = said(loss_spike, of(loss))
        assert finding.severity is Severity.INFO and abs(finding.step - at) <= 15
        assert "came back" in finding.cause


def test_the_noise_of_single_samples_is_no_row_of_spikes(rng: np.random.Generator) -> None:
    found = [len(said(loss_spike, of(rng.normal(size=N) ** 2))) > 0 for _ in range(200)]
    assert seldom(found, 0.01)  # measured: 8 of 3,000


# ---------------------------------------------------------------- oscillating


def test_swings_without_a_way_down_are_found(rng: np.random.Generator) -> None:
    for period in (40, 70):
        loss = noisy(1.9 + 0.8 * np.sin(2 * np.pi * T / period + rng.uniform(0, 6)), rng)
        (finding,) = said(oscillating, of(loss, learning_rate=(T, np.full(N, 0.5))))
        assert finding.severity is Severity.WARNING
        assert "swings" in finding.cause and "from 0.5 to about 0.1" in finding.remedy


def test_swings_of_the_evaluations_are_seen_where_batches_hide_them(rng: np.random.Generator) -> None:
    loss = noisy(np.full(N, 1.8), rng, 0.4)
    e = 1.8 + 0.7 * np.where(np.arange(30) % 2, 1, -1) * rng.uniform(0.7, 1, 30)
    found = said(oscillating, of(loss, train_loss=(range(19, N, 20), e)))
    assert [f.kind for f in found] == ["oscillating"]


def test_noise_around_one_jump_is_no_swing(rng: np.random.Generator) -> None:
    found = []
    for _ in range(50):
        loss = np.where(rng.integers(5 * N // 8, 7 * N // 8) > T, 1.2, 1.9)
        found.append(said(oscillating, of(noisy(loss, rng, 0.1))) != [])
    assert not any(found)


def test_noise_is_no_swing(rng: np.random.Generator) -> None:
    for share in (0.05, 0.5):
        assert said(oscillating, of(noisy(np.full(N, 1.5), rng, share))) == []


# -------------------------------------------------------------------- plateau


def test_a_standstill_above_the_other_trials_is_a_warning_and_alone_a_remark(
    rng: np.random.Generator,
) -> None:
    val_loss = Series(np.array([599]), np.array([1.55]))
    near = {**FACTS, "sibling_train_loss": 0.2, "sibling_val_loss": 1.5}
    called = []
    for _ in range(100):
        signals = layered(noisy(1.5 + 0.8 * np.exp(-T / 50), rng, 0.02))
        among = said(plateau, signals, {**FACTS, "sibling_train_loss": 0.2})
        alone = said(plateau, signals)
        validated = said(plateau, Signals({**signals, "val_loss": val_loss}), near)
        assert {f.severity for f in among} <= {Severity.WARNING}
        assert all("other trials of this study reached 0.2" in f.cause for f in among)
        assert {f.severity for f in (*alone, *validated)} <= {Severity.INFO}
        called.append(len(among) == len(alone) == len(validated) == 1)
    assert often(called, 0.97)  # else the last half looks by chance as if it fell; measured: 98.8 %


def test_what_still_falls_or_is_low_is_no_plateau(rng: np.random.Generator) -> None:
    facts = {**FACTS, "sibling_train_loss": 0.2}
    assert said(plateau, layered(noisy(2.3 * (1 - 0.4 * T / N), rng, 0.02)), facts) == []
    assert said(plateau, layered(noisy(0.4 + 2 * np.exp(-T / 50), rng, 0.02)), facts) == []
