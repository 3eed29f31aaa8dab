"""Study files: what they may hold, and every mistake at once with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from searcher.catalog import find_study, shipped
from searcher.checks import read_checked
from searcher.errors import NotFound, SpecError
from searcher.spec import Choices, Metric, Range, StudySpec, parse_spec, read_spec
from searcher.toml_lines import lines_of

GOOD: dict[str, Any] = {
    "name": "s",
    "space": {"learning_rate": {"low": 0.1, "high": 1}},
    "search": {"trials": 1},
}


def mistakes(**sections: Any) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        parse_spec({**GOOD, **sections}, "study.toml")
    return {mistake.place: mistake.message for mistake in caught.value.mistakes}


def test_a_range_and_choices_are_told_apart() -> None:
    spec = parse_spec(
        {
            **GOOD,
            "space": {
                "a": {"low": 1, "high": 8, "log": True},
                "b": ["x", 2, 0.5, True],
                "c": {"choices": [1, 2]},
            },
        },
        "study.toml",
    )
    assert spec.space["a"] == Range(low=1, high=8, log=True)
    assert spec.space["b"] == Choices(choices=["x", 2, 0.5, True])
    assert spec.space["c"] == Choices(choices=[1, 2])


def test_a_condition_may_be_one_value_or_several() -> None:
    space = {
        "init": ["normal", "orthogonal"],
        "init_std": {"low": 0.1, "high": 1.0, "when": {"init": "normal"}},
    }
    assert parse_spec({**GOOD, "space": space}, "s").space["init_std"].when == {"init": ["normal"]}


def test_parts_take_options() -> None:
    spec = parse_spec(
        {
            **GOOD,
            "search": {"sampler": {"name": "tpe", "n_startup_trials": 3}, "pruner": "median", "trials": 1},
        },
        "s",
    )
    assert (spec.search.sampler.name, spec.search.sampler.options) == ("tpe", {"n_startup_trials": 3})
    assert (spec.search.pruner.name, spec.search.pruner.options) == ("median", {})


def test_a_spec_survives_its_record(make_spec: Callable[..., StudySpec]) -> None:
    spec = make_spec(
        space={"a": ["x", 1, True], "b": {"low": 1, "high": 2, "when": {"a": ["x"]}}},
        search={"sampler": {"name": "tpe", "gamma": 3}, "hours": 0.5},
        train={"trainer": "a:b", "own_list": [1, 2]},
    )
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("section", "value", "place", "message"),
    [
        ("space", {"width": {"low": 9, "high": 3}}, "space.width", "low 9 is above high 3"),
        (
            "space",
            {"width": {"low": 0, "high": 3, "log": True}},
            "space.width",
            "start above 0, but low is 0",
        ),
        (
            "space",
            {"width": {"low": 1, "high": 3, "log": True, "step": 1}},
            "space.width",
            "cannot have a step",
        ),
        ("space", {"width": {"low": 1, "high": 3, "step": 0}}, "space.width", "has to be above 0, but is 0"),
        ("space", {"width": []}, "space.width", "is empty; name at least one"),
        ("space", {"width": [3, 4, 3]}, "space.width", "repeat themselves: [3, 4, 3]"),
        ("space", {"width": 3}, "space.width", "{ low = ..., high = ... } or a list of choices, but got 3"),
        ("space", {"width": {"low": 1}}, "space.width.high", "is missing"),
        ("space", {"width": {"low": 1, "hihg": 3}}, "space.width.hihg", "did you mean 'high'?"),
        (
            "space",
            {"width": {"low": float("nan"), "high": 3}},
            "space.width.low",
            "needs a finite number, but got nan",
        ),
        (
            "space",
            {"width": {"low": 1, "high": "3"}},
            "space.width.high",
            "needs a finite number, but got '3'",
        ),
        (
            "space",
            {"width": [1, [2]]},
            "space.width.choices.1",
            "needs a text, a finite number, true or false, but got [2]",
        ),
        ("space", {"int": {"low": 2, "high": 1}}, "space.int", "low 2 is above high 1"),
        ("space", {}, "space", "but got {}"),
        ("train", 3, "train", "needs a table, but got 3"),
        (
            "search",
            {"trials": 1, "sampler": 3},
            "search.sampler",
            "needs a table, or for a sampler or pruner its name",
        ),
        ("search", {"sampler": "tpe"}, "search", "at least one of trials, hours, device_hours"),
        ("search", {"trials": 0}, "search.trials", "but got 0"),
        ("search", {"trials": 1, "sed": 0}, "search.sed", "did you mean 'seed'?"),
        ("metric", {"goal": "maximise"}, "metric.goal", "but got 'maximise'"),
        ("name", "a b", "name", "needs letters, digits, dots, dashes or underscores"),
        ("name", "", "name", "but got ''"),
        ("sapce", {}, "sapce", "did you mean 'space'?"),
    ],
)
def test_mistakes_of_structure(section: str, value: Any, place: str, message: str) -> None:
    found = mistakes(**{section: value})
    assert message in found[place]


def test_every_mistake_at_once_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "many"\n'  # 1
        "[train]\n"
        "epochs = 0\n"  # 3
        "[metric]\n"
        'name = "val_los"\n'  # 5
        "[space]\n"
        'activation = ["relu", "swich"]\n'  # 7
        "dropuot = [0.1]\n"  # 8
        "[search]\n"
        "trials = 1\n"
        'sampler = "tep"\n'  # 11
    )
    with pytest.raises(SpecError) as caught:
        read_checked(file, {})
    lines = {mistake.place: mistake.line for mistake in caught.value.mistakes}
    expected = {
        "train.epochs": 3,
        "metric.name": 5,
        "space.activation": 7,
        "space.dropuot": 8,
        "search.sampler": 11,
    }
    assert lines == expected
    text = str(caught.value)
    assert text.startswith(f"{file} has 5 mistakes:") and "  line 8: space.dropuot: " in text


def test_mistakes_of_structure_have_their_lines_too(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text('name = "x"\n[space]\nwidth = { low = 2, high = 1 }\ndepth = { low = "2", high = 1 }\n')
    with pytest.raises(SpecError) as caught:
        read_spec(file)
    lines = {mistake.place: mistake.line for mistake in caught.value.mistakes}
    assert (
        lines["space.width"] == 3
        and lines["space.depth.low"] == 4
        and len(lines) == 3
        and lines["search"] == 0
    )
    assert " has 3 mistakes:" in str(caught.value)


def test_files_that_are_no_study(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot be read: .*No such file"):
        read_spec(tmp_path / "none.toml")
    bad = tmp_path / "bad.toml"
    bad.write_text("name = \n")
    with pytest.raises(SpecError, match=r"is not valid TOML: .*line 1"):
        read_spec(bad)
    bad.write_bytes(b"name = '\xff\xfe'")
    with pytest.raises(SpecError, match="cannot be read"):
        read_spec(bad)


def test_a_section_that_is_no_table(tmp_path: Path) -> None:
    """Changes from the command line meet a file whose section is a plain value."""
    file = tmp_path / "study.toml"
    file.write_text('name = "x"\ntrain = 3\nspace = { width = [1] }\n[search]\ntrials = 1\n')
    with pytest.raises(SpecError, match="train"):
        read_spec(file, {"train": {"epochs": 3}})


def test_changes_are_laid_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "study.toml"
    file.write_text(
        'name = "x"\n[train]\nepochs = 2\nwidth = 4\n[space]\ndepth = [1]\n[search]\ntrials = 1\n'
    )
    spec = read_spec(file, {"": {"name": "y"}, "train": {"epochs": 9}, "dispatch": {"slots": 2}})
    assert (spec.name, spec.train, spec.dispatch.slots) == ("y", {"epochs": 9, "width": 4}, 2)


def test_places_know_sections_keys_and_dotted_keys() -> None:
    found = lines_of('a = 1\n[b]\n  c = 2 # c\n# d = 3\n"e" = 4\n[f.g]\nh=5\n')
    assert found == {"a": 1, "b": 2, "b.c": 3, "b.e": 5, "f.g": 6, "f.g.h": 7}


def test_which_value_is_better() -> None:
    up, down = Metric(goal="maximize"), Metric(goal="minimize")
    assert up.is_better(2, 1) and not up.is_better(1, 1) and not up.is_better(0, 1)
    assert down.is_better(0, 1) and not down.is_better(1, 1) and not down.is_better(2, 1)
    assert up.is_better(-9, None) and down.is_better(9, None)


@pytest.mark.parametrize("entry", shipped(), ids=lambda entry: entry.name)
def test_shipped_studies_are_sound(entry: Any) -> None:
    assert find_study(entry.name) == entry.path and entry.path.stem == entry.name
    spec = read_spec(entry.path)
    assert read_checked(entry.path, {}) == spec
    assert spec.question.endswith("?")


def test_studies_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NotFound, match=r"no study is called 'digit-mlp'.*did you mean 'digits-mlp'.*\.toml"):
        find_study("digit-mlp")
    with pytest.raises(NotFound, match=r"no study file 'mine.toml' in "):
        find_study("mine.toml")
    (tmp_path / "mine").write_text("")
    assert find_study("mine") == Path("mine")
