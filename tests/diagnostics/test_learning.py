"""Where a training stands, as every rule is told it: arrays that learn, stand still or get worse."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from chance import often, seldom

from diagnostics.evidence.guessing import guesses_better, trivial_loss
from diagnostics.evidence.learning import level, may_fall, standing
from diagnostics.evidence.movement import effort, movement, standstill
from diagnostics.evidence.trends import mean_blocks
from diagnostics.signals import Series, Signals

Curve = np.ndarray[Any, np.dtype[np.float64]]

N = 600
T = np.arange(N)
TRIVIAL = {"trivial_loss": 2.3, "total_steps": N}


def noisy(x: Curve, rng: np.random.Generator, share: float = 0.05) -> Curve:
    return x * (1 + share * rng.normal(size=len(x)))


def of(loss: Curve, **more: tuple[Any, Any]) -> Signals:
    return Signals.of({"loss": (range(len(loss)), loss), **more})


def moving(loss: Curve, ratio: float, gradient: float = 0.1) -> Signals:
    """A training of two matrices of norm 10 whose updates are `ratio` of them, measured every ten steps."""
    due = np.arange(0, len(loss), 10)
    layers = ("body.weight", "head.weight")
    rows = {"weight_norm": 10.0, "update_norm": 10 * ratio, "grad_norm": 10 * gradient}
    measured = {n: Series(due, np.full((len(due), 2), value), layers) for n, value in rows.items()}
    return Signals({**of(loss), **measured})


def test_a_training_that_learns_is_neither_stuck_nor_worse(rng: np.random.Generator) -> None:
    for share in (0.01, 0.05, 0.3):
        signals = of(noisy(2.3 * np.exp(-T / 150) + 0.05, rng, share))
        for step in range(150, N, 50):
            place = standing(signals.until(step), TRIVIAL)
            assert place.known and place.learns, (share, step)
            assert not place.stuck and not place.worse
            assert place.best <= place.now * 1.2
            assert place.start == pytest.approx(2.3, rel=0.2 if share < 0.3 else 0.7)


def test_a_training_at_the_level_of_guessing_is_stuck(rng: np.random.Generator) -> None:
    stuck = []
    for _ in range(200):
        place = standing(of(noisy(np.full(N, 2.3), rng)), TRIVIAL)
        assert place.known and not place.learns and not place.worse
        stuck.append(place.stuck)
    assert often(stuck, 0.95)  # the others look by chance as if they began to fall; measured: 97.3 %


def test_a_slow_but_sure_improvement_is_neither_stuck_nor_learnt(rng: np.random.Generator) -> None:
    for _ in range(20):
        signals = of(noisy(2.32 * (1 - 0.06 * T / N), rng, 0.005))
        place = standing(signals.until(250), TRIVIAL)
        assert place.known and not place.learns and not place.stuck


def test_a_loss_far_above_its_start_is_worse_and_one_on_its_way_back_is_not(rng: np.random.Generator) -> None:
    up = noisy(np.where(T < 100, 2.3, 9.0), rng)
    assert standing(of(up), TRIVIAL).worse
    assert standing(of(up), {}).worse
    back = noisy(2.0 + 50 * np.exp(-T / 120), rng)
    assert not standing(of(back).until(250), TRIVIAL).worse


def test_single_samples_of_a_regression_that_stands_still_do_not_look_like_learning(
    rng: np.random.Generator,
) -> None:
    facts = {"trivial_loss": 1.0, "task": "regression"}
    learns = [standing(of(rng.normal(size=N) ** 2), facts).learns for _ in range(200)]
    assert seldom(learns, 0.03)  # measured: 1.6 %


def test_evaluations_count_where_dropout_makes_the_steps_look_bad(rng: np.random.Generator) -> None:
    steps = noisy(np.full(N, 2.29), rng)
    at = range(50, N, 50)
    good, bad = (at, np.linspace(2.2, 1.0, 11)), (at, np.full(11, 2.31))
    assert standing(of(steps, train_loss=good), TRIVIAL).learns
    assert standing(of(steps, train_loss=bad), TRIVIAL).stuck


def test_an_evaluation_of_long_ago_does_not_count(rng: np.random.Generator) -> None:
    steps = noisy(2.3 * np.exp(-T / 100), rng)
    assert standing(of(steps, train_loss=([20], [2.3])), TRIVIAL).learns
    steps = noisy(np.where(T < 300, 1.0, 30.0), rng)
    assert standing(of(steps, train_loss=([299, 599], [1.0, 28.0])), TRIVIAL).worse
    assert standing(of(steps, train_loss=([290], [1.0])), TRIVIAL).worse


def test_too_little_is_known_of_a_training_that_has_just_begun(rng: np.random.Generator) -> None:
    loss = noisy(np.full(N, 2.3), rng)
    assert not standing(Signals(), TRIVIAL).known
    assert not standing(of(loss[:30]), TRIVIAL).known
    assert not standing(moving(loss[:60], 1e-5), {"trivial_loss": 2.3}).known  # has hardly moved
    assert standing(moving(loss[:60], 0.01), {"trivial_loss": 2.3}).known


def test_a_warm_up_counts_for_what_it_is(rng: np.random.Generator) -> None:
    rate = np.minimum(1, T / 400) * 0.1
    signals = of(noisy(np.full(N, 2.3), rng), learning_rate=(T, rate))
    assert not standing(signals.until(120), {**TRIVIAL, "learning_rate": 0.1}).known
    assert effort(signals, {"learning_rate": 0.1}) == pytest.approx(200 + N - 400, rel=0.02)
    assert effort(of(rate), {}) == N


def test_a_rate_that_falls_after_its_peak_leaves_every_step_its_weight() -> None:
    signals = of(np.full(N, 2.3), learning_rate=(T, 0.1 * 0.5 ** (T / 2)))
    assert effort(signals, {"learning_rate": 0.1}) == pytest.approx(N, abs=1)


def test_a_loss_that_is_not_finite_is_the_worst(rng: np.random.Generator) -> None:
    loss = noisy(2.3 * np.exp(-T / 100), rng)
    loss[300:] = np.nan
    place = standing(of(loss), TRIVIAL)
    assert place.known and place.worse and place.stuck and not place.learns
    assert standing(of(loss).until(299), TRIVIAL).learns
    assert standing(of(np.full(3, np.nan)), TRIVIAL).worse


def test_an_accuracy_that_no_constant_answer_has_is_not_stuck(rng: np.random.Generator) -> None:
    loss, at = noisy(np.full(N, 2.4), rng), range(99, N, 100)
    facts = {**TRIVIAL, "outputs": 10}
    assert standing(of(loss, train_accuracy=(at, np.full(6, 0.11))), facts).stuck
    assert not standing(of(loss, train_accuracy=(at, np.full(6, 0.7))), facts).stuck


def test_the_share_a_constant_answer_can_have_follows_from_the_entropy() -> None:
    signals = Signals.of({"train_accuracy": ([1], [0.91])})
    rare = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert not guesses_better(signals, {"outputs": 2}, rare)
    assert guesses_better(signals, {"outputs": 2}, math.log(2))


def test_the_trivial_loss_is_taken_from_what_is_known_best() -> None:
    running = Signals.of({"trivial_loss": ([0, 5], [2.0, 2.2])})
    assert trivial_loss(running, {"trivial_loss": 2.3}) == 2.3
    assert trivial_loss(running, {}) == 2.2
    assert trivial_loss(Signals(), {"task": "classification", "outputs": 10}) == pytest.approx(math.log(10))
    assert math.isnan(trivial_loss(Signals(), {"task": "regression", "outputs": 1}))
    assert math.isnan(trivial_loss(running, {"trivial_loss": 2.3, "loss_name": "HuberLoss"}))
    assert trivial_loss(running, {"trivial_loss": 2.3, "loss_name": "cross_entropy"}) == 2.3


def test_movement_adds_up_the_way_of_the_matrix_that_moves_most(rng: np.random.Generator) -> None:
    ratio = float(rng.uniform(0.001, 0.1))
    assert movement(moving(np.ones(101), ratio)) == pytest.approx(ratio * 101)
    assert math.isnan(movement(of(np.ones(5))))


def test_a_standstill_has_a_reason() -> None:
    loss, facts = np.full(100, 2.3), {"total_steps": 1000.0}
    assert standstill(moving(loss, 0.0, 0.0), facts) == "no gradient"
    assert standstill(moving(loss, 1e-5), facts) == "no movement"
    assert standstill(moving(loss, 1e-3), facts) == ""
    assert standstill(moving(loss[:15], 0.0, 0.0), facts) == ""
    assert standstill(of(loss), facts) == ""


def test_a_silent_batch_now_and_then_is_no_standstill(rng: np.random.Generator) -> None:
    signals = moving(np.full(100, 2.3), 1e-3, 0.0)  # the last batches gave none, but the updates go on
    assert standstill(signals, {}) == ""


def test_the_noise_of_the_losses_may_hide_a_fall_until_there_are_more_of_them(
    rng: np.random.Generator,
) -> None:
    quiet, restless, later, falling = [], [], [], []
    for _ in range(200):
        quiet.append(may_fall(of(noisy(np.full(60, 2.4), rng, 0.02)), 2.3))
        restless.append(may_fall(of(noisy(np.full(60, 3.0), rng, 0.4)), 2.3))
        later.append(may_fall(of(noisy(np.full(600, 3.0), rng, 0.1)), 2.3))
        falling.append(may_fall(of(noisy(np.linspace(4.0, 3.0, 60), rng, 0.1)), 2.3))
    assert seldom(quiet, 0.25) and often(restless, 0.82)  # measured: 17.9 and 88.7 %
    assert seldom(later, 0.02) and often(falling, 0.9)  # measured: 0.0 and 95.1 %
    assert may_fall(of(np.full(1, 9.0)), 2.3), "one loss says nothing"


def test_a_level_is_not_moved_by_one_spike(rng: np.random.Generator) -> None:
    x = rng.normal(5, 0.1, 100)
    x[int(rng.integers(100))] = 1e6
    assert level(x)[0] == pytest.approx(5, abs=0.1)


def test_mean_blocks_are_the_means_of_equal_spans(rng: np.random.Generator) -> None:
    n, blocks = int(rng.integers(20, 60)), int(rng.integers(2, 9))
    t = np.sort(rng.choice(200, n, replace=False))
    x = rng.normal(size=n)
    edges = np.linspace(t[0], t[-1] + 1, blocks + 1)
    spans = [x[(t >= low) & (t < high)] for low, high in itertools.pairwise(edges)]
    assert np.allclose(mean_blocks(t, x, blocks), [np.mean(span) for span in spans if len(span)])
