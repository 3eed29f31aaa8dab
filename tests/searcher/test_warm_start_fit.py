"""Which trials of an earlier study may guide a new one, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from told_trials import told

from diagnostics import Report, Verdict
from searcher.errors import SearcherError
from searcher.opening import load_study, open_study
from searcher.settings import settings_of
from searcher.spec import StudySpec, parse_spec
from searcher.trial import Outcome, TrialResult
from searcher.warmstart import warm_start

Make = Callable[..., StudySpec]
X = {"low": 0.0, "high": 1.0}
TPE = {"sampler": "tpe", "pruner": "none", "trials": 8}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def left_out(here: StudySpec, there: StudySpec, url: str) -> str:
    """What is said of ten trials of a study `there`, of which some may guide one `here`."""
    told(there, url, 10)
    store = load_study(there.name, url)
    return warm_start(here, [(there, store.results())]).notes[0].removeprefix("warm start: ")


def test_points_outside_of_the_space_are_left_out(make_spec: Make, url: str) -> None:
    here = make_spec(name="warm", space={"x": {"low": 0.0, "high": 1.0}, "kind": ["a"]})
    there = make_spec(name="early", space={"x": X, "kind": ["a", "b"]})
    told_of = left_out(here, there, url)
    results = load_study("early", url).results()
    others = sum(result.settings["kind"] == "b" for result in results)
    assert told_of.startswith(f"{10 - others} of 10 finished trials")
    assert not others or f"its kind is outside of the space ({others})" in told_of


def test_settings_that_the_earlier_study_fixed_count(make_spec: Make, url: str) -> None:
    there = make_spec(name="early", train={"trainer": "own_trainers:quick", "noise": 0.25})
    here = make_spec(name="warm", space={"x": X, "noise": {"low": 0.0, "high": 1.0}})
    told(there, url, 3)
    guides = warm_start(here, [(there, load_study("early", url).results())]).guides
    assert [guide.params["noise"] for guide in guides] == [0.25] * 3


@pytest.mark.parametrize(
    ("there", "here", "reason"),
    [
        ({"noise": 1}, {"noise": 2}, "noise was 1 and is 2 here (10)"),
        ({"noise": 1}, {}, "noise was 1 and is not set here (10)"),
        ({}, {"noise": 2}, "noise was not set and is 2 here (10)"),
    ],
)
def test_settings_that_the_new_study_fixes_have_to_agree(
    there: dict[str, Any], here: dict[str, Any], reason: str, make_spec: Make, url: str
) -> None:
    with pytest.raises(SearcherError) as refused:
        left_out(make_spec(name="warm", train=here), make_spec(name="early", train=there), url)
    assert reason in str(refused.value) and "0 of 10 finished trials" in str(refused.value)
    assert "leave the warm start out" in str(refused.value)


def test_a_setting_without_a_value_there_is_told(make_spec: Make, url: str) -> None:
    with pytest.raises(SearcherError, match=r"it has no z \(10\)"):
        left_out(make_spec(name="warm", space={"x": X, "z": X}), make_spec(name="early"), url)


def test_conditions_hold_here(make_spec: Make, url: str) -> None:
    """A setting that is switched off here is none of the point, one that is on needs its value."""
    here = make_spec(
        name="warm", space={"x": X, "kind": ["a", "b"], "z": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}}}
    )
    there = make_spec(name="early", space={"x": X, "kind": ["a", "b"]})
    told(there, url, 12)
    results = load_study("early", url).results()
    start = warm_start(here, [(there, [*results, replace(results[0], settings={"x": 0.5, "kind": "a"})])])
    assert all(guide.params.keys() == {"x", "kind"} and guide.params["kind"] == "a" for guide in start.guides)
    assert len(start.trials(here)) == len(start.guides) >= 1


def builtin(name: str, space: dict[str, Any], train: dict[str, Any]) -> StudySpec:
    raw = {"name": name, "train": train, "space": space, "search": TPE, "metric": {"name": "val_loss"}}
    return parse_spec(raw, name)


def test_settings_of_the_trainer_that_comes_along_have_their_defaults(url: str) -> None:
    rate = {"learning_rate": {"low": 1e-3, "high": 0.1, "log": True}}
    there = builtin("early", rate, {"optimizer": "sgd", "epochs": 3})
    wider = {**rate, "dropout": {"low": 0.0, "high": 0.5}, "optimizer": ["sgd", "adam"]}
    here = builtin("warm", wider, {"epochs": 3, "threads": 2})
    store = open_study(there, url)
    for _ in range(3):
        trial, point = store.ask()
        result = TrialResult(
            *(trial.number, settings_of(there, point), tuple(point.sampled), (), Outcome.COMPLETED),
            Report(Verdict.CONVERGED, ()),
            value=0.5,
        )
        store.tell(trial, result)
    guides = warm_start(here, [(there, store.results())]).guides
    assert [(g.params["dropout"], g.params["optimizer"]) for g in guides] == [(0.0, "sgd")] * 3
    longer = builtin("longer", wider, {"epochs": 4})
    with pytest.raises(SearcherError, match=r"epochs was 3 and is 4 here \(3\)"):
        warm_start(longer, [(there, store.results())])
