"""Bad input: what the person is told, and that nothing recorded is lost.

Every test begins with a study that has recorded trials, does something wrong to it, reads the
message, finds the recorded trials unchanged, mends it and goes on.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Begun = Any  # the fixtures `table` and `own` in conftest.py

MISTAKES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    # what is wrong: (in the study file, what stands there instead, what must be said)
    "unknown setting": (
        "width = 4", "widht = 4", ("line 6: train.widht: no such setting", "did you mean 'width'")
    ),
    "unknown searched setting": (
        "learning_rate =",
        "lerning_rate =",
        ("line 13: space.lerning_rate: no such setting", "did you mean 'learning_rate'"),
    ),
    "unknown choice": (
        '"relu", "tanh"',
        '"rleu", "tanh"',
        ("line 14: space.activation: there is no 'rleu'", "did you mean 'relu'", "known: ", "tanh"),
    ),
    "unknown fixed choice": (
        "width = 4",
        'optimizer = "adan"',
        ("line 6: train.optimizer: there is no 'adan'", "did you mean 'adam", "known: "),
    ),
    "value of the wrong kind": (
        "width = 4", 'width = "4"', ("line 6: train.width: needs a whole number, but got '4'",)
    ),
    "unknown data set": (
        '"table.csv"',
        '"digts"',
        ("data: there is no 'digts'", "did you mean 'digits'", "fashion-mnist", "a path to a table"),
    ),
    "unknown metric": (
        '"val_loss"',
        '"val_los"',
        ("line 11: metric.name: there is no 'val_los'", "did you mean 'val_loss'", "val_accuracy"),
    ),
    "metric of another task": (
        'width = 4\n', 'task = "regression"\n', ("metric.name", "val_accuracy", "val_rmse")
    ),
    "low above high": (
        "low = 1e-3", "low = 0.5", ("line 13: space.learning_rate: low 0.5 is above high 0.1",)
    ),
    "log range from 0": (
        "low = 1e-3",
        "low = 0.0",
        ("line 13: space.learning_rate: a log range has to start above 0, but low is 0.0",),
    ),
    "empty choices": (
        '["relu", "tanh"]',
        "[]",
        ("line 14: space.activation: the list of choices is empty; name at least one",),
    ),
    "a condition on an unknown setting": (
        "log = true }",
        'log = true, when = { actvation = "relu" } }',
        ("line 13: space.learning_rate: its condition names 'actvation'", "did you mean 'activation'"),
    ),
    "a model that cannot read the data": (
        "width = 4",
        'model = "cnn"',
        ("line 6: train.model: 'cnn' reads image, but 'table.csv' holds features; choose from: mlp",),
    ),
    "a label column that is not there": (
        'target = "label"',
        'target = "labl"',
        ("target: no such column 'labl'; ", "did you mean 'label'", "height, weight, label"),
    ),
    "no label column named": (
        'target = "label"\n',
        "\n",
        ("a table needs the name of its label column", "one of: height, weight, label"),
    ),
    "a data file that is not there": (
        '"table.csv"',
        '"tables.csv"',
        ("data: there is no 'tables.csv'; looked for ", "/tables.csv", "--data-dir"),
    ),
    "no budget": ("trials = 2", "", ("search", "at least one of trials, hours, device_hours")),
    "no TOML": ("[space]", "[space", ("file: is not valid TOML", "line 12")),
}  # fmt: skip


@pytest.mark.parametrize("what", MISTAKES)
def test_mistakes_in_a_study_file(table: Begun, what: str) -> None:
    old, new, parts = MISTAKES[what]
    if what == "metric of another task":
        table.change('"val_loss"', '"val_accuracy"')
        table.file.write_text(table.file.read_text().replace(old, new, 1))
    elif what == "no budget":
        table.change(old, new)
        said = table.call("run", "study.toml", "--no-tracking")
        table.assert_refused(said, *parts)
        return
    else:
        table.change(old, new)
    table.assert_refused(table.run(), *parts)
    table.mend()
    table.assert_goes_on()


def test_mistakes_on_the_command_line(table: Begun) -> None:
    table.assert_refused(
        table.run("--set", "widht=3"), "train.widht: no such setting", "did you mean 'width'"
    )
    table.assert_refused(table.run("--set", "epochs"), "--set takes NAME=VALUE", "but got 'epochs'")
    table.assert_refused(table.run("--launcher", "slurm"), "dispatch.launcher", "known: local, inprocess")
    table.assert_refused(table.run("--slots", "0"), "dispatch.slots", "but got 0")
    table.assert_refused(table.run("--name", "a b"), "name: needs letters, digits", "but got 'a b'")
    table.assert_goes_on()


def test_unknown_studies(table: Begun, searcher: Callable[..., Any]) -> None:
    table.assert_refused(
        searcher("run", "digit-mlp"), "no study is called 'digit-mlp'", "did you mean 'digits-mlp'"
    )
    table.assert_refused(searcher("run", "studdy.toml"), "there is no study file 'studdy.toml' in ")
    for command in ("status", "show", "best"):
        said = searcher(command, "tabel")
        table.assert_refused(
            said, "no study 'tabel' is recorded", "did you mean 'table'", "sqlite:///studies.db"
        )
    table.assert_goes_on()


def test_a_study_file_that_no_longer_fits(table: Begun, recorded: Callable[..., Any]) -> None:
    table.change('"relu", "tanh"', '"relu", "elu"')
    table.assert_refused(
        table.run("--set", "width=8"),
        "no longer fits the trials recorded as 'table'",
        "  train.width: recorded 4, now 8",
        "  space.activation: recorded {'choices': ['relu', 'tanh']}, now {'choices': ['relu', 'elu']}",
        "undo the change, or start a new study with: --name table-2",
    )
    said = table.run("--name", "table-2")
    assert said.code == 0 and len(recorded("table-2")) == 4
    table.mend()
    table.assert_goes_on()


def corrupt_bytes(file: Path) -> None:
    file.write_bytes(np.random.default_rng().bytes(5000))


def cut_in_a_row(file: Path) -> None:
    file.write_text(file.read_text()[:-9] + "\n")


def emptied(file: Path) -> None:
    file.write_text("")


def only_a_header(file: Path) -> None:
    file.write_text("height,weight,label\n")


def another_header(file: Path) -> None:
    file.write_text(file.read_text().replace("label", "class", 1))


def gone(file: Path) -> None:
    file.unlink()


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("spoil", "parts"),
    [
        (gone, ("there is no 'table.csv'; looked for ", "name a folder with --data-dir")),
        (corrupt_bytes, ("table.csv is no text table in UTF-8", "save it as one")),
        (emptied, ("table.csv is empty; a table needs rows",)),
        (another_header, ("target: no such column 'label'; ", "height, weight, class")),
        (a_folder, ("table.csv",)),
        (cut_in_a_row, ("table.csv, line 91: ", "cells, but the table has 3 columns")),
        (only_a_header, ("table.csv has a header, but no rows",)),
    ],
)
def test_missing_and_corrupt_data(
    table: Begun, spoil: Callable[[Path], None], parts: tuple[str, ...]
) -> None:
    file = Path("table.csv")
    good = file.read_bytes()
    spoil(file)
    table.assert_refused(table.run(), *parts)
    if file.is_dir():
        file.rmdir()
    file.write_bytes(good)
    table.assert_goes_on()


def test_a_published_data_set_with_the_wrong_bytes(
    table: Begun, searcher: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path("data/adult")
    folder.mkdir(parents=True)
    (folder / "adult-train.csv").write_text("39, State-gov\n")
    for proxy in ("http_proxy", "https_proxy"):  # no network: a refused address for every request
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    said = searcher("run", "adult-mlp", "--no-tracking", "--launcher", "inprocess", "--trials", "1")
    table.assert_refused(
        said,
        "adult-train.csv is not the published file of adult",
        "expected SHA-256",
        "put the right file there",
    )
    (folder / "adult-train.csv").unlink()
    said = searcher("run", "adult-mlp", "--no-tracking", "--launcher", "inprocess", "--trials", "1")
    table.assert_refused(
        said, "adult needs files that are not here: adult-train.csv", "put them into ", "--data-dir"
    )
    table.assert_goes_on()


FROM_OWN = "from own_trainers import {} as train\n"
OWN_CODE: dict[str, tuple[str | None, tuple[str, ...]]] = {
    # what is wrong: (the module instead, or None for no module; what must be said)
    "cannot be found": (
        None,
        ("trainer: module 'mine' of 'mine:train' cannot be imported", "working folder"),
    ),
    "cannot be parsed": ("def train(:\n", ("cannot be imported: SyntaxError", "mine.py")),
    "breaks when imported": ("1 / 0\n", ("cannot be imported: ZeroDivisionError: division by zero",)),
    "needs what is not there": ("import no_such_thing\n", ("No module named 'no_such_thing'",)),
    "lacks the function": ("def trian(settings): ...\n", ("there is no 'train'", "did you mean 'trian'")),
    "is no function": ("train = 'a text'\n", ("'mine:train' cannot be called", "name a function")),
    "returns instead of yielding": (
        FROM_OWN.format("number"),
        ("has to be a generator of Progress, but returned float", "use 'yield' in it"),
    ),
    "yields the wrong thing": (
        FROM_OWN.format("words"),
        ("has to yield trainers.progress.Progress, but yielded str",),
    ),
    "reports another metric": (
        FROM_OWN.format("another_metric"),
        ("the metric 'val_loss' was never reported; the trainer reported: val_charm",),
    ),
    "says nothing": (
        FROM_OWN.format("says_nothing"),
        ("the metric 'val_loss' was never reported; the trainer reported: nothing",),
    ),
}


@pytest.mark.parametrize("what", OWN_CODE)
def test_own_code_that_cannot_be_used(own: Begun, what: str) -> None:
    code, parts = OWN_CODE[what]
    good = Path("mine.py").read_text()
    if code is None:
        Path("mine.py").unlink()
    else:
        Path("mine.py").write_text(code)
    own.assert_refused(own.run(), *parts)
    Path("mine.py").write_text(good)
    own.assert_goes_on()


@pytest.mark.parametrize("what", OWN_CODE)
def test_own_code_that_never_worked(
    workplace: Path,
    beginnings: dict[str, Path],
    searcher: Callable[..., Any],
    recorded: Callable[..., Any],
    what: str,
) -> None:
    """The very first run of a study: nothing is recorded of it, and the mended code begins at trial 0."""
    code, parts = OWN_CODE[what]
    good = (beginnings["own"] / "mine.py").read_text()
    Path("study.toml").write_text((beginnings["own"] / "study.toml").read_text())
    if code is not None:
        Path("mine.py").write_text(code)
    sys.modules.pop("mine", None)
    said = searcher("run", "study.toml", "--no-tracking")
    assert said.code == 2 and all(part in said.err for part in parts), said.err
    Path("mine.py").write_text(good)
    sys.modules.pop("mine", None)
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    assert [trial[0] for trial in recorded("own")] == [0, 1]
