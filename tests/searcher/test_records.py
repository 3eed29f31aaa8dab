"""Results as plain data: what is written is what is read."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from diagnostics import Finding, Report, Severity, Signals, Verdict
from searcher.records import (
    FINDINGS,
    SIGNALS,
    result_from_record,
    to_record,
    trial_folder,
    with_signals,
    write_files,
)
from searcher.trial import Evaluation, Outcome, Reprieve, TrialResult


@pytest.fixture
def result(rng: np.random.Generator) -> TrialResult:
    """A result with everything in it."""
    follows = Finding("weight-blowup", Severity.WARNING, 9, {"growth": 4.0}, "they grew", "decay", ("b",))
    finding = Finding(
        "diverging",
        Severity.FATAL,
        7,
        {"loss": 9.5, "noise": math.inf},
        "it left",
        "a smaller step",
        ("a", "b"),
        (follows,),
    )
    values = {int(i): float(v) for i, v in enumerate(rng.normal(size=4), start=1)}
    return TrialResult(
        number=int(rng.integers(9999)),
        settings={"learning_rate": 0.1, "init": "normal", "own": None, "deep": True},
        sampled=("learning_rate", "init"),
        inactive=("init_std",),
        outcome=Outcome.DOOMED,
        report=Report(
            Verdict.DIVERGED, (finding,), {"slope": math.nan, "best": 0.1}, {"a": "no"}, {"b": "broken"}
        ),
        value=float(rng.normal()),
        values=values,
        best=Evaluation(30, 1.5, {"val_loss": 0.25, "val_accuracy": 1.0}),
        epochs=2.5,
        reason="diverging at step 7",
        detail="Traceback ...",
        signals=Signals.of({"loss": (range(4), [3.0, 2.0, math.nan, math.inf])}),
        facts={"parameters": 1234, "task": "classification", "step_seconds": 0.01},
        seconds=12.5,
        ended_at=1e9 + 0.25,
        attempts=("its worker was killed by SIGKILL",),
        reprieves=(
            Reprieve("spared", 20, 0.5, "diverging", "diverging at step 7: it left", "it is the best"),
            Reprieve("audited", 25, 0.75, "not-learning", "not-learning at step 3", "it was drawn"),
        ),
    )


def read_back(result: TrialResult) -> TrialResult:
    record = json.loads(json.dumps(to_record(result), allow_nan=False))
    return result_from_record(result.number, record, result.values, result.attempts)


def test_a_record_is_json_and_gives_the_result_back(result: TrialResult) -> None:
    again = read_back(result)
    assert math.isnan(again.report.statistics["slope"])
    plain = replace(result.report, statistics={"best": 0.1})
    assert replace(again, report=replace(again.report, statistics={"best": 0.1})) == replace(
        result, report=plain, signals=again.signals
    )
    assert len(again.signals) == 0, "signals are kept in a file"


def test_a_record_from_before_there_were_audits_is_read(result: TrialResult) -> None:
    record = {name: value for name, value in to_record(result).items() if name != "reprieves"}
    again = result_from_record(result.number, record, result.values, result.attempts)
    assert again.reprieves == () and again.reason == result.reason


@pytest.mark.parametrize("outcome", Outcome)
def test_every_outcome(result: TrialResult, outcome: Outcome) -> None:
    bare = replace(result, outcome=outcome, best=None, value=None, reason="", facts={})
    again = read_back(bare)
    assert (again.outcome, again.best, again.value, again.reason) == (outcome, None, None, "")


def test_numbers_that_json_lacks_are_left_out(result: TrialResult) -> None:
    best = Evaluation(3, 1.0, {"val_loss": 0.5, "val_rmse": math.inf})
    again = read_back(replace(result, best=best, facts={"a": math.nan, "b": 2}))
    assert again.best == Evaluation(3, 1.0, {"val_loss": 0.5})
    assert again.facts == {"b": 2}


def test_files_of_a_trial(result: TrialResult, tmp_path: Path) -> None:
    write_files(tmp_path, result)
    folder = trial_folder(tmp_path, result.number)
    assert sorted(file.name for file in folder.iterdir()) == sorted([SIGNALS, FINDINGS])
    assert json.loads((folder / FINDINGS).read_text())["verdict"] == "diverged"
    again = with_signals(tmp_path, replace(result, signals=Signals()))
    np.testing.assert_array_equal(again.signals["loss"].values, result.signals["loss"].values)
    assert again.signals.facts == result.facts, "so that the file tells the whole story by itself"


def test_a_trial_without_files_has_no_signals(result: TrialResult, tmp_path: Path) -> None:
    bare = replace(result, signals=Signals())
    assert with_signals(tmp_path, bare) == bare


def test_folders_sort_by_number(tmp_path: Path) -> None:
    folders = [str(trial_folder(tmp_path, number)) for number in (0, 9, 10, 99, 100, 12345)]
    assert folders == sorted(folders) and len(set(folders)) == 6
