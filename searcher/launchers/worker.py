"""The life of a worker process: wait for a job, stream what it says, stop when told, leave with the
coordinator.

Nothing here loads torch before the environment of the slot is set.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path

from searcher.launchers.job import Job, Message


def work(pipe: Connection, environment: Mapping[str, str], log: Path, path: list[str]) -> None:
    """Serve jobs from `pipe` until it closes.

    Over the pipe come jobs, and None to stop the running one; back go messages. A job's last message
    always is `Ended`, unless it was stopped: then nothing follows.
    """
    os.environ.update(environment)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the coordinator's business
    _write_to(log)
    sys.path[:] = path
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _warm_up()
    while True:
        try:
            job = pipe.recv()
            if job is not None and not _serve(job, pipe):  # None: a stop that came after the end
                return
        except (EOFError, OSError):
            return


def _serve(job: Job, pipe: Connection) -> bool:
    """Run a job; whether this process is fit for another one."""
    from searcher.launchers.training import is_fit, run_job

    for body in run_job(job):
        while pipe.poll():
            if pipe.recv() is None:
                return True
        pipe.send(Message(job.number, body))
    return is_fit(body)


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
