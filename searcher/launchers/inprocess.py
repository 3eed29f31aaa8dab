"""Trials in the coordinator's own process, one after the other: for debuggers and tests."""

from __future__ import annotations

from collections.abc import Iterator

from searcher.launchers.job import Ended, Job, Message
from searcher.launchers.training import run_job
from trainers.progress import Progress


class InProcessLauncher:
    """A launcher without processes: a trial goes on by one message each time somebody asks.

    A trainer that hangs or dies takes the whole study along, and no usage is measured.
    """

    def __init__(self) -> None:
        self.slots: tuple[str, ...] = ("this process",)
        self.notes: tuple[str, ...] = ()
        self._running: tuple[int, Iterator[Progress | Ended]] | None = None

    @property
    def free(self) -> int:
        """One, unless a trial is running."""
        return int(self._running is None)

    def fits(self, job: Job) -> bool:
        """Whether no trial is running."""
        return self._running is None

    def launch(self, job: Job) -> str:
        """Begin a trial; the slot it runs in."""
        if self._running is not None:
            raise RuntimeError("as many jobs run as there are slots")
        self._running = (job.number, run_job(job))
        return self.slots[0]

    def poll(self, timeout: float) -> list[Message]:
        """The next message of the running trial."""
        if self._running is None:
            return []
        number, stream = self._running
        body = next(stream)
        if isinstance(body, Ended):
            self._running = None
        return [Message(number, body)]

    def cancel(self, number: int) -> None:
        """Ask the trial for no more."""
        if self._running is not None and self._running[0] == number:
            self._running = None

    def close(self) -> None:
        """Nothing is left behind."""
        self._running = None
