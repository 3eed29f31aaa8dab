"""The life of a worker process: wait for a job, stream what it says, stop when told, leave with the
coordinator.

Nothing here loads torch before the environment of the slot is set.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from searcher.launchers.hostmemory import limit_memory
from searcher.launchers.job import Body, End, Ended, Job, Message
from searcher.launchers.metering import Meter, Sampler
from trainers.progress import Progress


@dataclass(frozen=True)
class Orders:
    """What a worker is born with: its environment, its log, the path of imports, the host memory it may take
    in GB (None: any) and how often it measures, in seconds."""

    environment: Mapping[str, str]
    log: Path
    path: tuple[str, ...]
    memory_gb: float | None
    sample_seconds: float


@dataclass(frozen=True)
class Said:
    """What a worker puts into its pipe. With the last word of a job comes whether it is `fit` for another
    one; a job that was stopped has no last word, and its `message` is None."""

    message: Message | None
    fit: bool | None = None


class _Mouth:
    """The pipe to the launcher, for two threads."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._turn = threading.Lock()

    def say(self, said: Said) -> None:
        with self._turn:
            self._pipe.send(said)


def work(pipe: Connection, orders: Orders) -> None:
    """Serve jobs from `pipe` until it closes.

    Over the pipe come jobs, and None to stop the running one; back goes what was `Said`.
    """
    os.environ.update(orders.environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    _write_to(orders.log)
    sys.path[:] = orders.path
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _warm_up()
    worker = _Worker(pipe, orders)
    while True:
        try:
            job = pipe.recv()
            if job is not None and not worker.serve(job):  # None: a stop that came after the end
                return
        except (EOFError, OSError):
            return


class _Worker:
    """Serves one job after the other."""

    def __init__(self, pipe: Connection, orders: Orders) -> None:
        self._pipe = pipe
        self._mouth = _Mouth(pipe)
        self._orders = orders
        self._meter = Meter()
        self._is_limited = orders.memory_gb is None

    def serve(self, job: Job) -> bool:
        """Run a job; whether this process is fit for another one."""
        from searcher.launchers.training import is_fit

        last: Progress | Ended | None = None
        stream = self._stream(job)
        sampler = Sampler(self._meter, self._orders.sample_seconds, lambda usage: self._tell(job, usage))
        try:
            for last in stream:
                if self._is_told_to_stop():
                    last = None
                    break
                if not isinstance(last, Ended):
                    self._tell(job, last)
        finally:
            sampler.stop()
        _close(stream)
        fit = is_fit(last)
        self._mouth.say(Said(None if last is None else Message(job.number, last), fit))
        return fit

    def _stream(self, job: Job) -> Iterator[Progress | Ended]:
        from searcher.launchers.training import run_job

        if not self._is_limited:
            problem = limit_memory(self._orders.memory_gb or 0.0)
            if problem:
                yield Ended(End.MISTAKE, problem)
                return
            self._is_limited = True
        yield from run_job(job)

    def _tell(self, job: Job, body: Body) -> None:
        self._mouth.say(Said(Message(job.number, body)))

    def _is_told_to_stop(self) -> bool:
        while self._pipe.poll():
            if self._pipe.recv() is None:
                return True
        return False


def _close(stream: Iterator[Progress | Ended]) -> None:
    """End a training that was stopped, now and not when its memory is next looked at."""
    close = getattr(stream, "close", None)
    try:
        if close is not None:
            close()
    except Exception:
        traceback.print_exc()  # of own code that objects; into the log


def _warm_up() -> None:
    """Load what every job needs while the coordinator is still busy with its stores."""
    import trainers.loop  # noqa: F401


def _write_to(log: Path) -> None:
    """Send what this process and its libraries print to `log`, so that a crash leaves its words."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    os.close(file)


def _leave_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
