"""The whole report: of nothing, of one trial, of failures alone, of many, and of a real study."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from made_up_study import Settings, made_up_study, never

from diagnostics import Signals
from searcher.opening import load_study
from searcher.records import SIGNALS, trial_folder, write_files
from searcher.report.numbers.build import build
from searcher.report.numbers.cases import recorded_signals
from searcher.report.study_report import StudyReport

Call = Callable[..., Any]


def fails(settings: Settings) -> str:
    """Several illnesses, each with a rule of its own, and crashes that have none."""
    if settings["learning_rate"] > 0.1 and settings["norm"] != "batch":
        return "diverging"
    if settings["dropout"] > 0.5 and settings["depth"] > 4:
        return "not-learning"
    if settings["init"] == "normal" and settings["init_std"] > 0.3:
        return "exploding-gradients"
    return "crashed" if settings["learning_rate"] * 1e6 % 50 < 1 else ""


def is_json(report: StudyReport) -> bool:
    """Whether all numbers of a report are ones that JSON has."""
    text = json.dumps(report.to_dict(), allow_nan=False)
    return json.loads(text)["study"] == report.study


@pytest.mark.parametrize("trials", [0, 1, 60])
@pytest.mark.parametrize("illness", [never, fails, lambda _: "diverging"], ids=["never", "some", "all"])
def test_every_study_has_a_report(trials: int, illness: Callable[[Settings], str], tmp_path: Path) -> None:
    spec, results = made_up_study(trials, 1, illness)
    report = build(spec, results, tmp_path, ended="its trials are done")
    assert is_json(report)
    assert report.headline.trials == trials and report.ended == "its trials are done"
    assert abs(report.made_at - time.time()) < 60
    assert report.convergence.text and report.matters.note and report.next.study_file
    said = (report.headline.text, report.convergence.text, report.failures.note, report.matters.note)
    assert not [text for text in said if "nan" in text.split() or "None " in text.replace("None of the", "")]
    if not trials:
        assert (
            report.failures.note == report.matters.note == report.verdicts.note == "No trial has ended yet."
        )


def test_signals_are_read_from_the_folder_of_the_trials(tmp_path: Path) -> None:
    spec, results = made_up_study(20, 1)
    for result in results:
        write_files(tmp_path, result)
    without = [replace(result, signals=Signals()) for result in results]
    report, same = build(spec, without, tmp_path, made_at=0.0), build(spec, results, tmp_path, made_at=0.0)
    assert report.headline == same.headline and report.headline.best is not None
    assert report.headline.best.spread is not None
    assert len(report.curves.losses) == 20
    gone = build(spec, without, tmp_path / "nowhere", made_at=0.0)
    assert is_json(gone) and gone.curves.losses == () and gone.curves.note


@pytest.mark.parametrize("kept", [0, 30, 0.5, 0.98])
def test_a_file_of_signals_that_is_broken_off_leaves_one_trial_without_curves(
    kept: float, tmp_path: Path
) -> None:
    spec, results = made_up_study(20, 1)
    for result in results:
        write_files(tmp_path, result)
    without = [replace(result, signals=Signals()) for result in results]
    file = trial_folder(tmp_path, results[3].number) / SIGNALS
    whole = file.read_bytes()
    file.write_bytes(whole[: int(kept if kept >= 1 else kept * len(whole))])
    report = build(spec, without, tmp_path)
    assert is_json(report) and 3 not in {line.trial for line in report.curves.losses if line.steps}
    end = len(whole) - 600
    for place in (len(whole) // 2, *range(end, len(whole), 50)):
        file.write_bytes(whole[:place] + bytes([99] * 50) + whole[place + 50 :])
        assert isinstance(recorded_signals(tmp_path)(without[3], ["loss"]), Signals)


def test_two_thousand_trials(tmp_path: Path) -> None:
    spec, results = made_up_study(2000, 1, fails)
    report = build(spec, results, tmp_path)
    texts = [region.text for region in report.failures.regions]
    for parts in (
        ("learning_rate above 0.1", "norm other than batch", "diverged"),
        ("dropout above 0.5", "depth above 4", "did not learn"),
        ("init_std above 0.3", "had exploding gradients"),
    ):
        assert any(all(part in text for part in parts) for text in texts), texts
    assert [text for text in texts if "crashed" in text and not text.startswith("no clear rule")] == []
    assert report.matters.importance[0].setting == "learning_rate"
    assert math.isfinite(report.convergence.best[-1]) and report.next.changes


def test_a_study_that_was_run(searcher: Call, workplace: Path) -> None:
    said = searcher(
        *(
            "run",
            "digits-mlp",
            "--trials",
            "3",
            "--set",
            "epochs=2",
            "--launcher",
            "inprocess",
            "--no-tracking",
        )
    )
    assert said.code == 0
    store = load_study("digits-mlp", "sqlite:///studies.db")
    report = build(store.spec, store.results(), Path("searcher-runs") / "digits-mlp")
    assert is_json(report)
    assert report.headline.trials == 3 and "3 trials searched learning_rate" in report.headline.text
    assert report.reproduction.command == "searcher run digits-mlp --trials 3 --set epochs=2"
    assert report.reproduction.data_digest and report.reproduction.device == "cpu"
    assert len(report.curves.losses) == 3
