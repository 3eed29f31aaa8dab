"""How long a training is given before it is called fatal: by its plan, and by what it has learnt."""

from __future__ import annotations

import numpy as np
import pytest
from chance import often, seldom
from loss_curves import layered, noisy, of, said

from diagnostics import Severity, diagnose
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


def test_what_validation_gains_is_a_signal_too(rng: np.random.Generator) -> None:
    at, facts = range(39, 600, 40), {**KNOWN, "total_steps": 600}
    gains, stands = np.linspace(2.3, 2.25, 15), np.full(15, 2.25) + 0.001 * rng.normal(size=15)
    for values, severity in ((gains, Severity.WARNING), (stands, Severity.FATAL)):
        trained = [layered(noisy(np.full(600, 2.301), rng, 0.02), val_loss=(at, values)) for _ in range(20)]
        called = [said(not_learning, signals, facts) for signals in trained]
        assert often(([f.severity for f in found] == [severity] for found in called), 0.85)


T = np.arange(600)


def rising(factor: float, rng: np.random.Generator) -> np.ndarray:
    """A loss that rises to a multiple of its start, for good."""
    return np.asarray(noisy(np.where(T < 100, 0.7, factor * 0.7), rng, 0.05))


@pytest.mark.parametrize("facts", [{}, {"task": "other"}, {"task": "other", "trivial_loss": 0.7}])
def test_without_a_loss_of_guessing_a_rise_is_a_warning(facts: Facts, rng: np.random.Generator) -> None:
    (finding,) = said(diverging, of(rising(4.0, rng)), facts)
    assert finding.severity is Severity.WARNING
    assert "nobody can say whether that is harm" in finding.cause
    assert diagnose(of(rising(4.0, rng)), facts).fatal is None
    (far,) = said(diverging, of(rising(15.0, rng)), facts)
    assert far.severity is Severity.FATAL and "nobody" not in far.cause
    (violent,) = said(diverging, with_updates(rising(4.0, rng), 0.5), facts)
    assert violent.severity is Severity.FATAL
    (calm,) = said(diverging, with_updates(rising(4.0, rng), 0.01), facts)
    assert calm.severity is Severity.WARNING


def with_updates(loss: np.ndarray, ratio: float) -> object:
    """The loss, and updates of this share of the weights."""
    due = range(0, 600, 10)
    return of(loss, total_weight_norm=(due, np.ones(60)), total_update_norm=(due, np.full(60, ratio)))


def test_with_a_loss_of_guessing_the_same_rise_is_fatal(rng: np.random.Generator) -> None:
    (finding,) = said(diverging, of(rising(4.0, rng)), {"task": "classification", "trivial_loss": 0.7})
    assert finding.severity is Severity.FATAL


def test_what_had_been_learnt_and_is_lost_is_fatal_unless_two_models_play(rng: np.random.Generator) -> None:
    loss = noisy(np.where(T < 300, 2.5 * np.exp(-T / 60) + 0.1, 6.0), rng)
    (finding,) = said(diverging, of(loss), {})
    assert finding.severity is Severity.FATAL
    (game,) = said(diverging, of(loss), {"task": "other"})
    assert game.severity is Severity.WARNING
