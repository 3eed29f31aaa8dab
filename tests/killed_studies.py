"""Studies that are killed at points of their way and go on, held against their uninterrupted twins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from started import SPACE

KILLED = -9

STUDY = """
name = "kills"
[train]
{train}
[search]
sampler = {{ name = "tpe", n_startup_trials = 2 }}
pruner = "asha"
seed = {seed}
trials = {trials}
[dispatch]
launcher = "{launcher}"
slots = 1
state_seconds = 1e-6
"""
STUDY += SPACE + "{space}\n"

BETA = "beta = { low = 0.0, high = 1.0, when = { width = 8 } }"

FOUR_EPOCHS = """data = "digits"
max_samples = 200
epochs = 4
batch_size = 32"""

DIGITS = """data = "digits"
max_samples = 240
epochs = 2
batch_size = 64"""


def own(trainer: str, seed: int, launcher: str = "inprocess", trials: int = 4) -> str:
    train = f'trainer = "dying_trainers:{trainer}"'
    return STUDY.format(train=train, space=BETA, seed=seed, trials=trials, launcher=launcher)


def digits(seed: int, launcher: str = "inprocess", trials: int = 2, model: str = "mlp") -> str:
    train = f'{DIGITS}\nmodel = "{model}"'
    return STUDY.format(train=train, space="", seed=seed, trials=trials, launcher=launcher)


def numbers(rng: np.random.Generator) -> int:
    return int(rng.integers(1000))


def some_kill(
    rng: np.random.Generator, passed: dict[str, int], point: str, late: bool = False
) -> tuple[str, int]:
    first = passed[point] // 2 + 1 if late else 1
    return point, int(rng.integers(first, passed[point] + 1))


def assert_whole(answer: dict[str, Any], twin: dict[str, Any], trials: int, attempts: bool = True) -> None:
    """The same trials as in the study that was never killed, all of them finished, each once."""
    assert [trial["number"] for trial in answer["trials"]] == list(range(trials))
    assert {trial["state"] for trial in answer["trials"]} <= {"COMPLETE", "PRUNED", "FAIL"}
    for one, other in zip(answer["trials"], twin["trials"], strict=True):
        drop = () if attempts else ("attempts",)
        assert {k: v for k, v in one.items() if k not in drop} == {
            k: v for k, v in other.items() if k not in drop
        }
    assert answer["differs"] == 0


class Killed:
    """Kills a study at points of its way, and holds what becomes of it against its uninterrupted twin."""

    def __init__(self, harness: Any, folder: Path, study: str, plan: str = "{}", **task: Any) -> None:
        self._harness, self._folder, self._study, self._task = harness, folder, study, task
        self._count = 0
        self._plan = plan
        self.twin = harness.finish(self._fresh("twin"), **task)
        self.passed: dict[str, int] = self.twin["passed"]

    def _fresh(self, name: str) -> Path:
        folder: Path = self._harness.folder(self._folder / name, self._study)
        (folder / "plan.json").write_text(self._plan)
        return folder

    def at(self, rng: np.random.Generator, point: str, attempts: bool = True, late: bool = False) -> None:
        """Kill it there, `late` in its second half, perhaps at one or two other points after that, and see it
        to its end."""
        self._count += 1
        folder = self._fresh(str(self._count))
        kills = [some_kill(rng, self.passed, point, late)]
        for other in rng.choice(sorted(self.passed), rng.choice([0, 0, 0, 1, 2])):
            kills.append(some_kill(rng, self.passed, str(other)))
        print("killed at", kills)
        codes = [self._harness.run(folder, kill=kill, **self._task)["code"] for kill in kills]
        assert codes[0] == KILLED, (folder / "run.log").read_text()
        assert set(codes) <= {KILLED, 0}, (folder / "run.log").read_text()
        answer = self._harness.finish(folder, **self._task)
        assert_whole(answer, self.twin, len(self.twin["trials"]), attempts)
        left = [path.name for path in folder.rglob("*") if path.name in ("state.pt", "said.pkl")]
        assert left == [], "the state of a training outlives its trial"
