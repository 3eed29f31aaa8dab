"""Trainers whose first attempts die where a plan says, as a worker that is killed does.

`plan.json` in the folder of the study: learning rate of a trial -> the message before which its process is
killed, counted from 0. A file `died-...` says that this has happened.
"""

from __future__ import annotations

import json
import math
import os
import signal
from collections.abc import Iterator, Mapping
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
