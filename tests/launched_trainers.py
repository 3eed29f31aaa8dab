"""Own trainers for the tests of launchers: some end badly, and none trains anything."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diagnostics import Signals
from searcher.launchers.metering import Meter
from trainers.progress import Progress

SEEN = ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")


def counts(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Says `n` messages with `x` in them."""
    for i in range(1, settings.get("n", 3) + 1):
        rows = Signals.of({"loss": ([i - 1], [settings.get("x", 0.0)])})
        yield Progress(i, i, settings.get("n", 3), {"val_loss": settings.get("x", 0.0) + i}, rows)


def looks_around(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Tells of its process, its devices and where it is."""
    facts = {name: os.environ.get(name, "nothing") for name in SEEN}
    place = {"pid": os.getpid(), "folder": str(Path.cwd()), "gpus": torch.cuda.device_count()}
    yield Progress(1, 1, 1, {"val_loss": 1.0}, facts={**facts, **place, "threads": torch.get_num_threads()})


def goes_on(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Never ends by itself; leaves its process number in the file `pid`."""
    _leave_pid(settings)
    for i in range(1, 10**9):
        time.sleep(0.01)
        yield Progress(i, i, 10**9, {"val_loss": 1.0})


def hangs(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Says one word, then hangs in a step."""
    _leave_pid(settings)
    yield Progress(1, 1, 2, {"val_loss": 1.0})
    time.sleep(3600)


def ends_badly(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Says a word and ends as `how` says."""
    yield Progress(1, 1, 2, {"val_loss": 1.0})
    match settings["how"]:
        case "raises":
            raise RuntimeError("the glue came off")
        case "exits":
            print("last words", flush=True)
            os._exit(3)
        case "SIGSEGV" | "SIGKILL" as name:
            os.kill(os.getpid(), signal.Signals[name])
            time.sleep(3600)
        case "device memory":
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")
        case "memory":
            raise MemoryError


def allocates(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Takes `gb` of host memory, by numpy or by torch."""
    yield Progress(1, 1, 2, {"val_loss": 1.0})
    count = int(settings["gb"] * 2**30 / 4)
    if settings["by"] == "torch":
        torch.zeros(count, dtype=torch.float32)
    else:
        np.ones(count, dtype=np.float32)
    yield Progress(2, 2, 2, {"val_loss": 1.0})


def pretends(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Goes on, on a GPU that is not there: this worker measures what the settings say."""
    gpu = {"gpu_memory_mb": settings["takes"], "gpu_memory_total_mb": settings["of"]}
    Meter.read = lambda self: gpu  # type: ignore[method-assign]
    yield from goes_on(settings)


def _leave_pid(settings: Mapping[str, Any]) -> None:
    if "pid" in settings:
        Path(settings["pid"]).write_text(str(os.getpid()))
    sys.stdout.flush()
