"""Studies in processes of their own, so that they can be killed for real."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from started import Run

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
