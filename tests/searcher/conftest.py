"""What several tests of the searcher share: study files, runs of the command line, what is recorded."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from damaged_record import Damaged
from mixed_study import study_file
from mlflow.tracking._tracking_service import utils

from searcher.cli import main
from searcher.spec import StudySpec, parse_spec
from trainers.data import forget_data


@dataclass(frozen=True)
class Said:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder from which the own trainers can be imported."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEARCHER_DATA", raising=False)
    forget_data()
    return tmp_path


@pytest.fixture
def searcher(workplace: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """The command line in this process."""

    def call(*argv: str) -> Said:
        capsys.readouterr()
        code = main(argv)
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return call


@pytest.fixture
def make_spec() -> Callable[..., StudySpec]:
    """A small study; sections given by name are laid over it."""

    def make(**sections: Any) -> StudySpec:
        raw: dict[str, Any] = {
            "name": "own",
            "train": {"trainer": "own_trainers:quick"},
            "space": {"x": {"low": 0.0, "high": 1.0}},
            "search": {"sampler": "random", "pruner": "none", "trials": 4},
            "dispatch": {"launcher": "inprocess"},
        }
        for section, values in sections.items():
            whole = section in ("name", "question", "space")
            raw[section] = values if whole else {**raw.get(section, {}), **values}
        return parse_spec(raw, "study.toml")

    return make


@pytest.fixture(scope="session")
def recorded() -> Callable[..., list[tuple[Any, ...]]]:
    """Reads all that Optuna's store holds of the finished trials of a study, by number."""

    def read(name: str, storage: str = "sqlite:///studies.db") -> list[tuple[Any, ...]]:
        trials = optuna.load_study(study_name=name, storage=storage).trials
        return [
            (t.number, t.state, t.values, t.params, t.user_attrs, t.intermediate_values, t.datetime_complete)
            for t in trials
            if t.state.is_finished()
        ]

    return read


TABLE = """
name = "table"
[train]
data = "table.csv"
target = "label"
width = 4
depth = 1
epochs = 1
batch_size = 32
[metric]
name = "val_loss"
[space]
learning_rate = { low = 1e-3, high = 0.1, log = true }
activation = ["relu", "tanh"]
"""

OWN = """
name = "own"
[train]
trainer = "mine:train"
[space]
x = { low = 0.0, high = 1.0 }
"""

ENDING = """[search]
sampler = "random"
pruner = "none"
trials = 2
[dispatch]
launcher = "inprocess"
"""


class Begun:
    """A study in the working folder with two recorded trials, and the ways to spoil and mend it."""

    def __init__(self, name: str, call: Call, read: Callable[..., list[tuple[Any, ...]]]) -> None:
        self.name = name
        self.file = Path("study.toml")
        self.call, self._read = call, read
        self._text = self.file.read_text()
        self.trials = 4
        self._before = read(name)
        assert len(self._before) == 2

    def run(self, *options: str) -> Said:
        """Go on with it, wanting four trials in all."""
        sys.modules.pop("mine", None)
        return self.call("run", "study.toml", "--no-tracking", "--trials", str(self.trials), *options)

    def recorded(self) -> list[tuple[Any, ...]]:
        """Its finished trials."""
        return self._read(self.name)

    def change(self, old: str, new: str) -> None:
        """Change the study file."""
        assert old in self._text
        self.file.write_text(self._text.replace(old, new, 1))

    def mend(self) -> None:
        """Bring the study file back."""
        self.file.write_text(self._text)

    def assert_refused(self, said: Said, *parts: str) -> None:
        """The message has these parts, is no traceback, and the record is untouched."""
        assert said.code == 2, said
        assert said.err.startswith("searcher: ") and "Traceback" not in said.err
        for part in parts:
            assert part in said.err
        assert self._read(self.name) == self._before

    def assert_goes_on(self, *options: str) -> None:
        """A run that is right trains the two trials that lack; the first two stay as they were."""
        said = self.run(*options)
        assert said.code == 0, said.err
        after = self._read(self.name)
        assert [trial[0] for trial in after] == [0, 1, 2, 3] and after[:2] == self._before


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory, recorded: Callable[..., Any]) -> dict[str, Path]:
    """A folder for each study, with two trials recorded in it."""
    folders = {}
    for name, text in (("table", TABLE + ENDING), ("own", OWN + ENDING)):
        folders[name] = folder = tmp_path_factory.mktemp(name)
        (folder / "study.toml").write_text(text)
        shutil.copy(Path(__file__).with_name("own_trainers.py"), folder / "mine.py")
        with (folder / "mine.py").open("a") as file:
            file.write("\n\ntrain = quick\n")
        rng = np.random.default_rng()
        rows = [f"{x:.4f},{y:.4f},{'yes' if x > y else 'no'}" for x, y in rng.normal(size=(90, 2))]
        (folder / "table.csv").write_text("\n".join(["height,weight,label", *rows]) + "\n")
        with contextlib.chdir(folder):
            sys.modules.pop("mine", None)
            forget_data()
            assert main(["run", "study.toml", "--no-tracking"]) == 0
        sys.path[:] = [place for place in sys.path if place != str(folder)]
    return folders


@pytest.fixture
def begun(
    workplace: Path, beginnings: dict[str, Path], searcher: Call, recorded: Callable[..., Any]
) -> Callable[[str], Begun]:
    """Puts a study with two recorded trials into the working folder: `table` or `own`."""

    def put(name: str) -> Begun:
        shutil.copytree(beginnings[name], workplace, dirs_exist_ok=True)
        return Begun(name, searcher, recorded)

    return put


@pytest.fixture
def table(begun: Callable[[str], Begun]) -> Begun:
    """A study of a table by the trainer that comes along."""
    return begun("table")


@pytest.fixture
def own(begun: Callable[[str], Begun]) -> Begun:
    """A study of an own trainer in `mine.py`."""
    return begun("own")


@pytest.fixture(scope="session")
def mixed_places(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a study of made-up trainings of all kinds, recorded in MLflow; not to be changed."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "study.toml").write_text(study_file(int(np.random.default_rng().integers(1000)), trials=7))
    with contextlib.chdir(folder):
        assert main(["run", "study.toml"]) == 0
    sys.path[:] = [place for place in sys.path if place != str(folder)]
    return folder


@pytest.fixture
def mixed(workplace: Path, mixed_places: Path) -> Path:
    """The working folder with that study in it; its artifacts too are those of this copy."""
    shutil.copytree(mixed_places, workplace, dirs_exist_ok=True)
    with contextlib.closing(sqlite3.connect(workplace / "mlflow.db")) as tables, tables:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            moved = f"UPDATE {table} SET {column} = replace({column}, ?, ?)"
            tables.execute(moved, (str(mixed_places), str(workplace)))
    utils._artifact_repos_cache.clear()  # MLflow remembers by the id of a run where its artifacts are
    return workplace


@pytest.fixture
def damaged(mixed: Path) -> Damaged:
    return Damaged(mixed)


@pytest.fixture
def call(searcher: Callable[..., Said], workplace: Path) -> Callable[..., Said]:
    """A command on the record of the study `mixed`."""
    return lambda command: searcher(
        command, "mixed", "--tracking-uri", f"sqlite:///{workplace / 'mlflow.db'}"
    )
