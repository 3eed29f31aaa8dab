"""What earlier trials say about memory, and what a repair means."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diagnostics import Finding, Report, Severity, Verdict
from searcher.identity import MACHINE
from searcher.memory import SHAPING, SWITCHES, predicted_micro_batch, predicted_peak_mb, signature
from searcher.policy import finding_of_memory
from searcher.trial import Outcome, TrialResult
from trainers.config import SETTINGS, WHERE, TrialConfig


def settings(**changed: Any) -> dict[str, Any]:
    return {n: v for n, v in TrialConfig().settings().items() if n not in MACHINE} | changed


def a_trial(facts: dict[str, Any], lost: bool = False, **changed: Any) -> TrialResult:
    fatal = Finding("out-of-memory", Severity.FATAL, 3, {"step": 3}, "no memory", "a smaller model")
    report = Report(Verdict.FAILED if lost else Verdict.CONVERGED, (fatal,) if lost else ())
    outcome = Outcome.DOOMED if lost else Outcome.COMPLETED
    return TrialResult(0, settings(**changed), (), (), outcome, report, facts=facts)


def repaired(at_once: int, peak: float = 900.0, **changed: Any) -> TrialResult:
    return a_trial({"micro_batch": at_once, "out_of_memory_step": 2, "peak_memory_mb": peak}, **changed)


def test_where_says_the_same_on_both_floors() -> None:
    assert MACHINE == WHERE
    assert {*SHAPING, *SWITCHES} <= set(SETTINGS) and not {*SHAPING, *SWITCHES} & WHERE


def test_a_signature_leaves_out_what_needs_no_memory() -> None:
    plain = signature(settings())
    other = {"batch_size": 999, "learning_rate": 0.5, "seed": 9, "epochs": 77, "weight_decay": 0.1}
    assert signature(settings(**other)) == plain
    assert signature(settings(dropout=0.2)) == signature(settings(dropout=0.7)) != plain
    for change in ({"width": 4}, {"optimizer": "sgd"}, {"model": "cnn"}, {"heads": 8}):
        assert signature(settings(**change)) != plain


def test_a_batch_that_had_to_be_split_begins_in_parts_the_next_time(rng: np.random.Generator) -> None:
    at_once = int(rng.integers(1, 200))
    known = [repaired(at_once, batch_size=512), repaired(max(1, at_once // 2), batch_size=512)]
    assert predicted_micro_batch(settings(batch_size=at_once + 1, learning_rate=0.3), known) == at_once
    assert predicted_micro_batch(settings(batch_size=at_once), known) is None, "it fits at once"
    assert predicted_micro_batch(settings(batch_size=512, width=7), known) is None, "another model"
    assert predicted_micro_batch(settings(batch_size=512), []) is None


def test_a_size_that_fitted_is_believed() -> None:
    known = [repaired(64, batch_size=512), a_trial({"peak_memory_mb": 800.0}, batch_size=200)]
    assert predicted_micro_batch(settings(batch_size=150), known) is None
    assert predicted_micro_batch(settings(batch_size=300), known) == 200


def test_parts_that_a_person_asked_for_say_nothing() -> None:
    known = [a_trial({"micro_batch": 4, "peak_memory_mb": 10.0}, batch_size=512)]
    assert predicted_micro_batch(settings(batch_size=512), known) is None


def test_where_not_even_one_sample_fitted_one_is_tried() -> None:
    assert predicted_micro_batch(settings(batch_size=64), [a_trial({}, lost=True, batch_size=512)]) == 1


def test_the_peak_of_the_same_size_is_the_largest_one() -> None:
    known = [a_trial({"peak_memory_mb": peak}, batch_size=64) for peak in (300.0, 310.0, 290.0)]
    assert predicted_peak_mb(settings(batch_size=64), known) == 310.0


def test_peaks_lie_on_a_line(rng: np.random.Generator) -> None:
    fixed, slope = rng.uniform(10, 500), rng.uniform(0.1, 9)
    known = [
        a_trial({"peak_memory_mb": fixed + slope * b}, batch_size=b)
        for b in rng.choice(400, 3, False).tolist()
        if b
    ]
    assert predicted_peak_mb(settings(batch_size=777), known) == pytest.approx(fixed + slope * 777)


def test_one_size_bounds_the_others_from_above() -> None:
    known = [a_trial({"peak_memory_mb": 200.0}, batch_size=50)]
    assert predicted_peak_mb(settings(batch_size=100), known) == 400.0
    assert predicted_peak_mb(settings(batch_size=10), known) == 200.0
    assert predicted_peak_mb(settings(batch_size=10, depth=9), known) is None
    odd = [a_trial({"peak_memory_mb": "much"}, batch_size=50), a_trial({}, batch_size=50)]
    assert predicted_peak_mb(settings(batch_size=10), odd) is None


def test_of_a_split_trial_the_parts_count() -> None:
    known = [repaired(64, peak=900.0, batch_size=512), a_trial({"peak_memory_mb": 500.0}, batch_size=32)]
    assert predicted_peak_mb(settings(batch_size=256), known) == 900.0, "it will be split as well"


def test_a_repair_is_a_warning_with_its_numbers() -> None:
    facts = {"batch_size": 512, "micro_batch": 64, "micro_batches": 8, "out_of_memory_step": 7}
    found = finding_of_memory({**facts, "micro_batch_norms": 0})
    assert found is not None
    assert (found.kind, found.severity, found.step) == ("out-of-memory", Severity.WARNING, 7)
    assert found.evidence == {"batch": 512, "micro_batch": 64, "step": 7, "norms": 0}
    assert "norm" not in found.cause + found.remedy
    with_norms = finding_of_memory({**facts, "micro_batch_norms": 3})
    assert with_norms is not None and "3 batch norm layers" in with_norms.cause


def test_parts_from_the_start_are_a_remark_and_whole_batches_nothing() -> None:
    found = finding_of_memory({"batch_size": 512, "micro_batch": 64})
    assert found is not None and found.severity is Severity.INFO and found.step == 0
    assert finding_of_memory({"batch_size": 512}) is None
