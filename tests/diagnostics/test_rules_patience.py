"""How long a training is given before it is called fatal: by its plan, and by what it has learnt."""

from __future__ import annotations

import numpy as np
import pytest
from chance import often, seldom
from loss_curves import layered, noisy, of, said

from diagnostics import Severity
from diagnostics.findings import Facts, Finding
from diagnostics.rules import diverging, not_learning

GUESSING = 2.3
KNOWN: Facts = {"trivial_loss": GUESSING, "task": "classification", "outputs": 10}


def plateau(
    rng: np.random.Generator, steps: int, facts: Facts, level: float = GUESSING, noise: float = 0.02
) -> list[Finding]:
    """What is said of a training that has stood still for so many steps while its layers moved."""
    return said(not_learning, layered(noisy(np.full(steps, level), rng, noise)), facts)


@pytest.mark.parametrize("planned", [8_000, 30_000])
def test_a_long_plan_gives_a_plateau_a_tenth_of_its_steps(planned: int, rng: np.random.Generator) -> None:
    facts = {**KNOWN, "total_steps": planned}
    for share in (0.02, 0.05, 0.09):
        assert plateau(rng, int(share * planned), facts) == []
    late = [plateau(rng, int(0.12 * planned), facts) for _ in range(20)]
    assert often((len(found) == 1 and found[0].severity is Severity.FATAL for found in late), 0.9)


def test_a_short_plan_gives_it_no_more_than_before(rng: np.random.Generator) -> None:
    for planned, patience in ((400, 120), (1000, 300), (3000, 300)):
        facts = {**KNOWN, "total_steps": planned}
        assert plateau(rng, patience - 20, facts) == []
        called = [plateau(rng, patience + 60, facts) for _ in range(20)]
        assert often((len(found) == 1 for found in called), 0.9)


def test_without_a_plan_it_is_a_warning_at_first(rng: np.random.Generator) -> None:
    for steps, severity in ((400, Severity.WARNING), (1200, Severity.FATAL)):
        called = [plateau(rng, steps, KNOWN) for _ in range(20)]
        assert often(([f.severity for f in found] == [severity] for found in called), 0.9)
    over = [plateau(rng, 400, {**KNOWN, "ended": "finished"}) for _ in range(20)]
    assert often(([f.severity for f in found] == [Severity.FATAL] for found in over), 0.9)


def test_a_weak_signal_is_not_fatal(rng: np.random.Generator) -> None:
    facts = {**KNOWN, "total_steps": 600}
    weak = [f for _ in range(40) for f in plateau(rng, 600, facts, 0.98 * GUESSING)]
    assert len(weak) >= 20
    assert {finding.severity for finding in weak} == {Severity.WARNING}
    assert all("hardly better than the 2.3" in finding.cause for finding in weak)
    none = [f for _ in range(40) for f in plateau(rng, 600, facts, GUESSING)]
    assert len(none) >= 30
    assert seldom((finding.severity is Severity.WARNING for finding in none), 0.05)


def test_noise_as_large_as_a_weak_signal_hides_it(rng: np.random.Generator) -> None:
    facts = {**KNOWN, "total_steps": 600}
    found = [f for _ in range(40) for f in plateau(rng, 600, facts, 0.997 * GUESSING, 0.3)]
    assert found and often((finding.severity is Severity.FATAL for finding in found), 0.9)


def test_a_level_below_guessing_that_was_there_from_the_start_is_no_signal(rng: np.random.Generator) -> None:
    facts = {**KNOWN, "total_steps": 600}
    for still in ({"ratio": 0.0, "gradient": 0.0}, {"ratio": 2e-6}):
        trained = [layered(noisy(np.full(200, 0.985 * GUESSING), rng, 0.02), **still) for _ in range(20)]
        called = [finding for signals in trained for finding in said(not_learning, signals, facts)]
        assert len(called) >= 8
        assert {finding.severity for finding in called} == {Severity.FATAL}


@pytest.mark.parametrize(
    ("steps", "evaluated", "severity"), [(0.98, 1.0, Severity.FATAL), (1.0, 0.98, Severity.WARNING)]
)
def test_evaluations_tell_more_than_the_noise_of_batches(
    steps: float, evaluated: float, severity: Severity, rng: np.random.Generator
) -> None:
    e = (range(39, 600, 40), np.full(15, evaluated * GUESSING))
    facts, called = {**KNOWN, "total_steps": 600}, []
    for _ in range(20):
        loss = noisy(np.full(600, steps * GUESSING), rng, 0.02)
        called.append(said(not_learning, layered(loss, train_loss=e), facts))
    assert often(([f.severity for f in found] in ([], [severity]) for found in called), 0.95)
    assert any(called)


def test_what_validation_gains_is_a_signal_too(rng: np.random.Generator) -> None:
    at, facts = range(39, 600, 40), {**KNOWN, "total_steps": 600}
    gains, stands = np.linspace(2.3, 2.25, 15), np.full(15, 2.25) + 0.001 * rng.normal(size=15)
    for values, severity in ((gains, Severity.WARNING), (stands, Severity.FATAL)):
        trained = [layered(noisy(np.full(600, 2.301), rng, 0.02), val_loss=(at, values)) for _ in range(20)]
        called = [said(not_learning, signals, facts) for signals in trained]
        assert often(([f.severity for f in found] == [severity] for found in called), 0.85)


@pytest.mark.parametrize(
    ("samples", "best", "severity"),
    [
        (200, 0.7, Severity.WARNING),
        (200, 0.9, Severity.FATAL),  # other samples may be as much easier
        (30, 0.6, Severity.FATAL),
        (0, 0.4, Severity.WARNING),
        (0, 0.7, Severity.FATAL),
    ],
)
def test_what_was_far_better_in_validation_once_may_be_so_again(
    samples: int, best: float, severity: Severity, rng: np.random.Generator
) -> None:
    facts: Facts = {**KNOWN, "total_steps": 600, "validation_samples": samples}
    values = np.full(15, GUESSING)
    values[int(rng.integers(15))] = best * GUESSING
    evaluated = (range(39, 600, 40), values)
    trained = [layered(noisy(np.full(600, 2.31), rng, 0.02), val_loss=evaluated) for _ in range(20)]
    called = [said(not_learning, signals, facts) for signals in trained]
    assert often(([f.severity for f in found] == [severity] for found in called), 0.9)


T = np.arange(600)


def risen(rng: np.random.Generator, facts: Facts, factor: float, ratio: float | None = None) -> list[Finding]:
    """What is said of losses that rise to a multiple of their start for good, with updates of this share of
    the weights; by chance one may look as if it came back."""
    due = range(0, 600, 10)
    more = {"total_weight_norm": (due, np.ones(60)), "total_update_norm": (due, np.full(60, ratio or 0.0))}
    losses = [noisy(np.where(T < 100, 0.7, factor * 0.7), rng, 0.05) for _ in range(10)]
    called = [said(diverging, of(loss, **(more if ratio else {})), facts) for loss in losses]
    assert often((len(found) == 1 for found in called), 0.9)
    return [finding for found in called for finding in found]


@pytest.mark.parametrize("facts", [{}, {"task": "other"}, {"task": "other", "trivial_loss": 0.7}])
def test_without_a_loss_of_guessing_a_rise_is_a_warning(facts: Facts, rng: np.random.Generator) -> None:
    rise = risen(rng, facts, 4.0)
    assert {finding.severity for finding in rise} == {Severity.WARNING}
    assert all("nobody can say whether that is harm" in finding.cause for finding in rise)
    far = risen(rng, facts, 15.0)
    assert {finding.severity for finding in far} == {Severity.FATAL}
    assert not any("nobody" in finding.cause for finding in far)
    assert {finding.severity for finding in risen(rng, facts, 4.0, ratio=0.5)} == {Severity.FATAL}
    assert {finding.severity for finding in risen(rng, facts, 4.0, ratio=0.01)} == {Severity.WARNING}


def test_with_a_loss_of_guessing_the_same_rise_is_fatal(rng: np.random.Generator) -> None:
    rise = risen(rng, {"task": "classification", "trivial_loss": 0.7}, 4.0)
    assert {finding.severity for finding in rise} == {Severity.FATAL}


def test_what_had_been_learnt_and_is_lost_is_fatal_unless_two_models_play(rng: np.random.Generator) -> None:
    found: dict[str, set[Severity]] = {}
    for task in ("", "other"):
        losses = [noisy(np.where(T < 300, 2.5 * np.exp(-T / 60) + 0.1, 6.0), rng) for _ in range(10)]
        found[task] = {f.severity for loss in losses for f in said(diverging, of(loss), {"task": task})}
    assert found == {"": {Severity.FATAL}, "other": {Severity.WARNING}}
