"""Trainers that train nothing, for studies that are killed."""

from __future__ import annotations

import math
import os
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from trainers.progress import Progress

EPOCHS = 6


def quick(settings: Mapping[str, Any], pause: float = 0.01) -> Iterator[Progress]:
    """A loss that depends on the settings alone."""
    for epoch in range(1, EPOCHS + 1):
        time.sleep(pause)
        far = abs(math.log10(settings["learning_rate"]) + 2) + settings["depth"] / 8
        far += settings.get("beta", 0.5) if settings["width"] == 8 else 0.2
        yield Progress(epoch, epoch, EPOCHS, {"val_loss": far + 1 / epoch})


def slow(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """The same, slow enough to be killed in the middle."""
    yield from quick(settings, pause=0.2)


def lingering(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """One evaluation soon, and then nothing for long: the first trial waits to be ended."""
    first = not Path("lingered").exists()
    Path("lingered").touch()
    for progress in quick(settings):
        yield progress
        if first:
            for _ in range(600):
                time.sleep(0.1)
                yield Progress(progress.step, progress.epoch, EPOCHS)


def kills_its_worker_once(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Dies by SIGKILL in the middle of its first attempt at each point."""
    mark = Path(f"mark-{settings['learning_rate']}")
    for progress in quick(settings):
        yield progress
        if progress.epoch == 3 and not mark.exists():
            mark.touch()
            time.sleep(0.3)  # what was said before is on its way
            os.kill(os.getpid(), signal.SIGKILL)


def kills_its_worker_always(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Dies by SIGKILL whenever the depth is 4, else trains."""
    for progress in quick(settings):
        yield progress
        if settings["depth"] == 4:
            os.kill(os.getpid(), signal.SIGKILL)


def gated(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """The same, with a line in `begun` for each beginning; it waits in the middle while there is a `gate`."""
    with Path("begun").open("a") as begun:
        begun.write(f"{settings['learning_rate']}\n")
    for progress in quick(settings, pause=0.04):
        yield progress
        while progress.epoch == 3 and Path("gate").exists():
            time.sleep(0.02)
