"""Studies in processes of their own, so that they can be killed for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from started import SPACE, Run

HERE = Path(__file__).parent

PATH = os.pathsep.join((str(HERE.parents[1]), str(HERE)))
"""Where processes find this checkout and the trainers beside this file."""

STUDY = """
name = "kills"

[train]
trainer = "quick_trainers:{trainer}"

[metric]
name = "val_loss"

[search]
sampler = {{ name = "tpe", n_startup_trials = 4 }}
pruner = "{pruner}"
seed = {seed}
trials = {trials}
"""
STUDY += SPACE + "beta = {{ low = 0.0, high = 1.0, when = {{ width = 8 }} }}\n"


class Harness:
    """A process that runs studies in forks of itself (see `harness.py`), and folders for them."""

    def __init__(self, template: Path) -> None:
        self._template = template
        environment = {**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, str(HERE / "harness.py")]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        made = self.run(template, stores=True)
        assert made["code"] == 0, (template / "run.log").read_text()

    def folder(self, place: Path, study: str) -> Path:
        """A fresh folder with this study file and empty stores."""
        copytree(self._template, place)
        (place / "study.toml").write_text(study)
        return place

    def run(self, folder: Path, **task: Any) -> dict[str, Any]:
        """Run the study of a folder; its exit code, negative for a signal, and its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        print(json.dumps({"folder": str(folder), **task}), file=self.process.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer

    def finish(self, folder: Path, **task: Any) -> dict[str, Any]:
        """The same, to its end, which must be a good one."""
        answer = self.run(folder, **task)
        assert answer["code"] == 0, (folder / "run.log").read_text()[-4000:]
        return answer


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    """The one harness of this session."""
    one = Harness(tmp_path_factory.mktemp("stores"))
    yield one
    one.process.stdin.close()
    one.process.wait(20)


@pytest.fixture
def start() -> Callable[..., Run]:
    """Starts the study of a folder."""
    return Run


@pytest.fixture
def write_study(tmp_path: Path) -> Callable[..., Path]:
    """Writes `study.toml` into a fresh folder."""

    def write(
        folder: str = ".", trainer: str = "quick", seed: int = 0, trials: int = 8, pruner: str = "asha"
    ) -> Path:
        place = tmp_path / folder
        place.mkdir(exist_ok=True)
        (place / "study.toml").write_text(
            STUDY.format(trainer=trainer, seed=seed, trials=trials, pruner=pruner)
        )
        return place

    return write
