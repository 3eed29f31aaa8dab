"""Studies in processes of their own, so that they can be killed for real."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

TESTS = Path(__file__).parent
TRAINERS = TESTS / "survival"
"""Where the trainers of these studies are."""

SPACE = """
[space]
learning_rate = {{ low = 1e-4, high = 1.0, log = true }}
width = [8, 16, 32]
depth = {{ low = 1, high = 4 }}
"""
"""What they search: the end of a study file, to be formatted."""

Event = dict[str, object]


class Run:
    """One `searcher run` in a process of its own, seen through its JSON lines, which are kept in `seen`."""

    def __init__(self, folder: Path, *options: str, study: str = "study.toml") -> None:
        path = os.pathsep.join((str(TESTS.parent), str(TRAINERS)))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "searcher.cli", "run", study, "--json", *options]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.seen: list[Event] = []
        self._fresh: queue.Queue[Event | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()  # else a full pipe would hold it up

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.seen.append(json.loads(line))
            self._fresh.put(self.seen[-1])
        self._fresh.put(None)

    def events(self) -> Iterator[Event]:
        """Its events, as they come."""
        while (event := self._fresh.get()) is not None:
            yield event

    def wait_for(self, is_it: Callable[[Event], object], times: int = 1, seconds: float = 90) -> None:
        """Wait until so many events of this kind have come."""
        end = time.monotonic() + seconds
        while sum(bool(is_it(event)) for event in list(self.seen)) < times:
            assert self.process.poll() is None, f"it ended before: {self.errors()}"
            assert time.monotonic() < end, f"not within {seconds} s, but: {self.seen[-3:]}"
            time.sleep(0.05)

    def finish(self) -> list[Event]:
        """All events to its end, which must be a good one."""
        events = list(self.events())
        errors = self.errors()
        assert self.process.returncode == 0, errors
        return events

    def kill(self) -> None:
        """Kill it together with its workers."""
        family = [self.process, *psutil.Process(self.process.pid).children(recursive=True)]
        for process in family:
            process.kill()
        self.errors()

    def errors(self) -> str:
        """What it said on standard error, once it is gone."""
        assert self.process.stderr is not None
        said = self.process.stderr.read()
        self.process.wait(60)
        return said
