"""Trainers whose first attempts die where a plan says, as a worker that is killed does.

`plan.json` in the folder of the study: learning rate of a trial -> the message before which its process is
killed, counted from 0. A file `died-...` says that this has happened.
"""

from __future__ import annotations

import json
import math
import os
import random
import signal
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from quick_trainers import quick

from diagnostics import Signals
from trainers.progress import Progress


def planned(settings: Mapping[str, Any]) -> Any:
    """When this attempt at a trial has to die; None when it has not."""
    plan = Path("plan.json")
    if not plan.exists() or _mark(settings).exists():
        return None
    return json.loads(plan.read_text()).get(str(settings["learning_rate"]))


def die(settings: Mapping[str, Any]) -> None:
    """End this process as nothing can prevent it."""
    _mark(settings).touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _mark(settings: Mapping[str, Any]) -> Path:
    return Path(f"died-{settings['learning_rate']}")


def mixed(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Most trainings go well; of depth 1 the loss turns NaN, of depth 2 and width 16 the code raises."""
    for progress in quick(settings, pause=0.0):
        if settings["depth"] == 1 and progress.epoch == 3:
            yield Progress(3, 3, 6, signals=Signals.of({"loss": ([2], [math.nan])}))
        if settings["depth"] == 2 and settings["width"] == 16 and progress.epoch == 4:
            raise RuntimeError("the glue came off")
        yield progress


def seeded(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """All trainings go well; what the seed does to them is drawn."""
    luck = 0.05 * random.random()
    for progress in quick(settings, pause=0.0):
        metrics = {name: value + luck for name, value in progress.metrics.items()}
        yield replace(progress, metrics=metrics)


def returning(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Losses are NaN from the third epoch on, for good where the depth is 1 or 2, else for half an epoch; the
    weights stay sound."""
    for progress in quick(settings, pause=0.0):
        epoch = int(progress.epoch)
        for half in (0, 1):
            first = 40 * (epoch - 1) + 20 * half
            rows = range(first, first + 20)
            lost = epoch > 2 if settings["depth"] <= 2 else epoch == 3 and not half
            loss = [math.nan if lost else 1.0 / (row + 1) for row in rows]
            signals = Signals.of({"loss": (rows, loss), "total_weight_norm": (rows, [5.0] * 20)})
            metrics = progress.metrics if half else {}
            yield Progress(first + 20, epoch - 0.5 * (1 - half), progress.of_epochs, metrics, signals)


def dying(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """The same; its process is killed where the plan says."""
    moment, said = planned(settings), 0
    for progress in mixed(settings):
        if said == moment:
            die(settings)
        yield progress
        said += 1
    if said == moment:
        die(settings)
