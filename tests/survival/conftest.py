"""Studies in processes of their own, so that they can be killed for real."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

STUDY = """
name = "kills"

[train]
trainer = "quick_trainers:{trainer}"

[metric]
name = "val_loss"

[space]
learning_rate = {{ low = 1e-4, high = 1.0, log = true }}
width = [8, 16, 32]
depth = {{ low = 1, high = 4 }}
beta = {{ low = 0.0, high = 1.0, when = {{ width = 8 }} }}

[search]
sampler = {{ name = "tpe", n_startup_trials = 4 }}
pruner = "{pruner}"
seed = {seed}
trials = {trials}
"""


class Run:
    """One `searcher run` in a process of its own, seen through its JSON lines."""

    def __init__(self, folder: Path, *options: str, study: str = "study.toml") -> None:
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "searcher.cli", "run", study, "--json", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def events(self) -> Iterator[dict[str, object]]:
        """Its events, as they come."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            yield json.loads(line)

    def finish(self) -> list[dict[str, object]]:
        """All events to its end, which must be a good one."""
        events = list(self.events())
        _, errors = self.process.communicate(timeout=60)
        assert self.process.returncode == 0, errors
        return events


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
