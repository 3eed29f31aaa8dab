"""`searcher rehearse`: tables, JSON, sentences and refusals on the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searcher.opening import load_study
from searcher.samplers import PRUNERS

Call = Callable[..., Any]

STUDY = """
name = "crossing"
[train]
trainer = "own_trainers:crossing"
[space]
x = { low = 0.0, high = 1.0 }
late = { low = 0.0, high = 1.0 }
[search]
sampler = "SAMPLER"
pruner = { name = "asha", min_resource = 2 }
trials = 16
[dispatch]
launcher = "inprocess"
"""


@pytest.fixture
def crossing(searcher: Call, monkeypatch: pytest.MonkeyPatch) -> Call:
    """`searcher rehearse` on a study that was run with `asha`, in a terminal wide enough for its table."""
    monkeypatch.setenv("COLUMNS", "160")
    Path("study.toml").write_text(STUDY.replace("SAMPLER", "random"))
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    return lambda *options: searcher("rehearse", "crossing", *options)


def test_without_options_all_pruners_and_samplers_are_compared(crossing: Call) -> None:
    said = crossing("--seeds", "3")
    assert said.code == 0, said.err
    lines = [line.split() for line in said.out.splitlines()]
    first_words = {words[0] for words in lines if words}
    assert first_words >= {"tpe", "random", "qmc", "asha,min_resource=2", *PRUNERS} - {
        "threshold",
        "wilcoxon",
        "asha",
    }
    assert "threshold is left out: Either lower or upper must be specified" in said.out
    assert "wilcoxon is left out: it takes a permutation test" in said.out
    assert "With these points in this order" in said.out and "3 seeds" in said.out
    assert "nearest of 16 recorded points" in said.out and "not known" in said.out


def test_rows_are_sorted_by_the_epochs_until_the_best_is_surely_found(crossing: Call) -> None:
    out = crossing("--seeds", "1").out
    rows = out.split("the study's points in their order\n")[1].split("\n\n")[0].splitlines()[1:]
    cells = [re.split(r"\s{2,}", row.strip())[1] for row in rows]
    at_most = [float(cell.split(" to ")[-1].replace("never", "inf")) for cell in cells]
    assert len(at_most) == len(PRUNERS) - 2 and at_most == sorted(at_most)


def test_the_pruner_that_the_study_had_is_rehearsed_as_it_was(crossing: Call) -> None:
    data = json.loads(crossing("--pruner", "asha,min_resource=2", "--json").out)
    run, recorded = data["rows"][0]["runs"][0], data["recorded"]
    assert run == recorded and run["unknown"] == 0 and run["pruned"] > 0
    assert data["slots"] == 1 and data["trials"] == 16 and data["notes"] == []
    results = load_study("crossing", "sqlite:///studies.db").results()
    assert run["epochs"] == sum(result.epochs for result in results)
    assert run["best"] == min(r.value for r in results if r.value is not None and r.outcome == "completed")
    assert len(data["conclusion"]) == 1 and "asha,min_resource=2" in data["conclusion"][0]


def test_one_setting_is_shown_with_its_best_so_far(crossing: Call) -> None:
    said = crossing("--sampler", "random", "--pruner", "none", "--seeds", "4", "--trials", "8")
    assert said.code == 0, said.err
    assert "best so far, as it was run" in said.out and "the points that random asks for" in said.out
    data = json.loads(crossing("--sampler", "random", "--seeds", "4", "--trials", "8", "--json").out)
    assert [run["trials"] for run in data["rows"][0]["runs"]] == [8] * 4
    assert data["rows"][0]["pruner"] == "asha,min_resource=2", "that of the study"


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--pruner", "medain"), ("--pruner", "medain", "median")),
        (("--pruner", "median,depth=3"), ("--pruner", "depth", "n_startup_trials")),
        (("--pruner", "asha,4"), ("--pruner", "NAME=VALUE", "'4'")),
        (("--sampler", "tpee"), ("--sampler", "tpee", "tpe")),
        (("--sampler", "grid"), ("'grid' cannot be rehearsed", "points of its own", "random")),
        (("--seeds", "0"), ("--seeds", "whole number from 1", "0")),
        (("--slots", "-2"), ("--slots", "whole number from 1", "-2")),
    ],
)
def test_what_cannot_be_rehearsed_is_said(
    crossing: Call, options: tuple[str, ...], parts: tuple[str]
) -> None:
    said = crossing(*options)
    assert said.code == 2 and said.err.startswith("searcher: ") and not said.out
    assert [part for part in parts if part not in said.err] == []


def test_a_study_without_a_trial_that_was_trained_to_its_end_has_nothing_to_find(searcher: Call) -> None:
    text = STUDY.replace("own_trainers:crossing", "own_trainers:non_finite").replace("SAMPLER", "random")
    Path("study.toml").write_text(text)
    assert searcher("run", "study.toml", "--no-tracking", "--trials", "2").code == 0
    said = searcher("rehearse", "crossing")
    assert said.code == 2 and "none of the 2 finished trials" in said.err
    assert searcher("rehearse", "nothing").code == 2


def test_the_studys_own_sampler_is_not_left_out_in_silence(searcher: Call) -> None:
    text = STUDY.replace("SAMPLER", "grid").replace(
        "low = 0.0, high = 1.0", "low = 0.0, high = 1.0, step = 0.2"
    )
    Path("study.toml").write_text(text)
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    said = searcher("rehearse", "crossing", "--seeds", "2")
    assert said.code == 0 and "grid, the study's own sampler, is left out" in " ".join(said.out.split())
