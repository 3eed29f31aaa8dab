"""A sample of the planted faults and of the odd healthy trainings; `benchmarks/diagnosis.py` runs all."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from planted.cases import HELD_OUT_SEEDS, PLAIN, SEEDS, Case, choose
from planted.data import is_here, load
from planted.faults import FAULTS
from planted.oddities import ODDITIES
from planted.outcomes import Outcome, Truth, is_healthy_alone, judge, outcome_of
from planted.programs import PROGRAMS
from planted.watching import unwatched, watched

from benchmarks.diagnosis_tables import Said, Seen, summary
from diagnostics import Report, Severity

SICK = [
    Case("rate-x100", "digits-mlp", 0),
    Case("rate-x1000", "moons-tanh", 1),
    Case("zero-init", "wine-tanh", 2),
    Case("dead-biases", "digits-mlp", 1),
    Case("one-unit-softmax", "moons-tanh", 0),
    Case("nan-labels", "diabetes-mlp", 2),
    Case("nan-inputs", "wine-tanh", 0),
    Case("constant-labels", "wine-tanh", 1),
    Case("optimizer-of-another-model", "moons-tanh", 2),
    Case("weight-decay-1", "moons-tanh", 1),
    Case("stale-statistics", "digits-norm", 0),
]
WELL = [
    Case(PLAIN, "digits-mlp", 0),
    Case(PLAIN, "wine-tanh", 1),
    Case(PLAIN, "diabetes-mlp", 2),
    Case(PLAIN, "moons-tanh", 0),
    Case("healthy-batch-of-one", "moons-tanh", 1),
    Case("healthy-zero-head", "wine-tanh", 0),
    Case("healthy-warm-up", "digits-mlp", 2),
    Case("healthy-sparse-relu", "digits-mlp", 1),
    Case("healthy-large-targets", "diabetes-mlp", 0),
    Case("healthy-label-smoothing", "wine-tanh", 2),
    Case("healthy-cosine-to-zero", "digits-sgd", 1),
]


def diagnosed(case: Case) -> tuple[Outcome, Report]:
    """What became of a case, and what is said of it."""
    outcome, monitor = watched(case.recipe, case.seed)
    return outcome, monitor.report(ended="finished")


@pytest.mark.parametrize("case", SICK, ids=str)
def test_a_planted_fault_is_caught_and_named(case: Case) -> None:
    outcome, report = diagnosed(case)
    twin = unwatched(case.twin.recipe, case.seed)
    assert is_healthy_alone(twin)
    assert judge(outcome, twin, case.recipe.comparable) is Truth.FAILS
    named = {finding.kind for finding in report.findings if finding.severity >= Severity.WARNING}
    assert named & set(FAULTS[case.variant].causes), report.findings
    assert report.errors == {}


@pytest.mark.parametrize("case", WELL, ids=str)
def test_an_odd_but_healthy_training_gets_no_warning(case: Case) -> None:
    outcome, report = diagnosed(case)
    twin = outcome if case.variant == PLAIN else unwatched(case.twin.recipe, case.seed)
    assert judge(outcome, twin, own_budget=case.oddity.short) is Truth.WORKS
    assert [finding for finding in report.findings if finding.severity >= Severity.WARNING] == []
    assert report.errors == {}


def test_watching_changes_nothing() -> None:
    recipe = replace(PROGRAMS["wine-tanh"].recipe, steps=60)
    seed = int(torch.randint(10_000, (1,)))
    assert watched(recipe, seed)[0] == unwatched(recipe, seed)


@pytest.mark.parametrize("name", [n for n, p in PROGRAMS.items() if is_here(p.recipe.data)])
def test_every_base_program_trains(name: str) -> None:
    recipe = replace(PROGRAMS[name].recipe, steps=20)
    outcome = unwatched(recipe, 0)
    data = load(recipe.data, 0)
    assert outcome.finite and outcome.train_loss < 1.5 * outcome.trivial_loss
    assert len(data.x) > len(data.val_x) > 20


def test_every_fault_and_every_oddity_is_tried_under_every_seed() -> None:
    cases = choose()
    assert len(cases) == len(set(cases))
    tried = {(case.variant, case.seed) for case in cases}
    variants = [*FAULTS, *(f"healthy-{name}" for name in ODDITIES)]
    assert tried == {(variant, seed) for variant in variants for seed in SEEDS}
    assert sum(case.is_faulty for case in cases) >= 300
    assert sum(not case.is_faulty for case in cases) >= 300


def test_what_is_held_out_is_kept_apart() -> None:
    kept = [case for case in choose() if case.held_out]
    assert {case.seed for case in kept if not PROGRAMS[case.program].held_out} == set(HELD_OUT_SEEDS)


def ended_at(*losses: tuple[float, float]) -> Outcome:
    """A training whose evaluations gave these losses, where the trivial predictor has 1."""
    evaluations = [{"train_loss": train, "val_loss": val} for train, val in losses]
    return outcome_of(evaluations, (1.0, 1.0), (0.0, 0.0), 100)


def test_what_failed_is_decided_by_the_outcome_beside_its_twin() -> None:
    low = float(np.random.default_rng().uniform(0.05, 0.2))
    twin = ended_at((0.5, 0.6), (low, low))
    assert is_healthy_alone(twin)
    assert judge(twin, twin) is Truth.WORKS
    assert judge(ended_at((math.nan, low)), twin) is Truth.FAILS
    assert judge(ended_at((0.98, 0.98)), twin) is Truth.FAILS
    assert judge(ended_at((0.5, 0.5)), twin) is Truth.FAILS
    assert judge(ended_at((low, low), (low, low + 0.2)), twin) is Truth.FAILS
    assert judge(ended_at((0.22 + low, 0.22 + low)), twin) is Truth.BETWEEN
    assert judge(ended_at((0.5, 0.5)), twin, own_budget=True) is Truth.WORKS


def test_the_shares_of_the_check_count_what_they_say() -> None:
    def seen(truth: str, is_faulty: bool, held_out: bool, said: Said) -> Seen:
        about = (held_out, is_faulty, truth, truth == "fails", ("dead-units",), True)
        return Seen("fault", "program", 0, *about, said)

    named = Said((("dead-units", 2), ("not-learning", 1)), "not-learning", 0.1)
    late = Said((("plateau", 1), ("dead-units", 1)), "converged")
    by_verdict = Said((("dead-units", 0),), "diverged")
    silent = Said((), "converged")
    cases = [seen("fails", True, held, said) for said in (named, late, by_verdict, silent) for held in (0, 1)]
    cases += [seen("works", True, False, silent), seen("between", False, False, late)]
    cases += [seen("works", False, False, said) for said in (silent, silent, silent, late)]
    head, *lines = summary(cases)
    rows = {line[0]: dict(zip(head, line, strict=True)) for line in lines}
    assert set(rows) == {"calibration", "held out", "all"}
    assert rows["all"]["failing"] == "8" and rows["held out"]["failing"] == "4"
    assert rows["all"]["recall"] == "75.0%"
    assert rows["all"]["named first"] == "50.0%" and rows["all"]["named"] == "50.0%"
    assert rows["all"]["early"] == "100% (2/8)"
    assert rows["all"]["healthy"] == "4" and rows["all"]["alarms"] == "25.0%"
