"""A trial that goes on beyond its end does so wherever its study is killed, once, and is trained the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from killed_studies import FOUR_EPOCHS, Killed, numbers

STUDY = """
name = "kills"
[train]
{train}
width = 16
seed = {seed}
[space]
learning_rate = {{ low = 1e-4, high = 0.1, log = true }}
{points}
[search]
sampler = "random"
pruner = "none"
trials = 6
extend = 1.5
[dispatch]
launcher = "inprocess"
state_seconds = {state_seconds}
"""

POINTS = "".join(f"[[enqueue]]\nlearning_rate = {rate}\n" for rate in (1e-4, 2e-4, 3e-4, 4e-4, 3e-3, 0.01))


PLACES = (
    "set_trial_user_attr",
    "StudyStore.tell",
    "InProcessLauncher.launch",
    "Keeper._write",
    "end is heard",
)


@pytest.mark.parametrize("share", range(4))
def test_the_same_trials_go_on_wherever_the_coordinator_was_killed(
    harness: Any, tmp_path: Path, rng: np.random.Generator, share: int
) -> None:
    seconds = (60.0, 1e-6)[share % 2]  # states at the end of a training alone, or with every message
    text = STUDY.format(train=FOUR_EPOCHS, seed=numbers(rng), points=POINTS, state_seconds=seconds)
    study = Killed(harness, tmp_path, text)
    epochs = [trial["told"]["epochs"] for trial in study.twin["trials"]]
    assert epochs[:4] == [4.0] * 4 and 6.0 in epochs[4:]
    assert [trial["told"]["settings"]["epochs"] for trial in study.twin["trials"]] == epochs
    points = [point for point in sorted(study.passed) if any(place in point for place in PLACES)]
    assert len(points) >= 8
    for point in points[share::4]:
        study.at(rng, point, late=True)
