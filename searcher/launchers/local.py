"""Trials in child processes of this machine: one long-lived worker per slot."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from searcher.errors import SearcherError
from searcher.launchers.job import End, Ended, Job, Message
from searcher.launchers.slots import Slot
from searcher.launchers.worker import work

LOG_TAIL = 4000
"""Characters of a dead worker's log that are kept as evidence."""

STILLBIRTHS = 3
"""Workers in a row that die before their first job until the launcher gives up."""


class _Worker:
    """One slot's process, the pipe to it and the trial it is busy with."""

    def __init__(self, slot: Slot, folder: Path) -> None:
        self.slot = slot
        self.log = folder / f"{slot.name.replace(':', '-').replace('/', '-')}.log"
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        self.busy_with: int | None = None
        self.served = False
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(
            target=work, args=(theirs, dict(slot.environment), self.log, list(sys.path)), name=slot.name
        )
        self.process.start()
        theirs.close()

    def send(self, job: Job | None) -> None:
        """Tell the worker; if it is gone, its sentinel will say so at the next poll."""
        try:
            self.pipe.send(job)
        except OSError:
            self.process.join(1)

    def received(self) -> list[Message]:
        """Everything it has said so far about the trial it is busy with."""
        messages: list[Message] = []
        try:
            while self.pipe.poll():
                message: Message = self.pipe.recv()
                if message.number == self.busy_with:
                    messages.append(message)
                    self.busy_with = None if isinstance(message.body, Ended) else self.busy_with
        except (EOFError, OSError):
            pass  # the sentinel tells how it ended
        return messages

    def death(self) -> Ended:
        """How the process ended, with the last words in its log."""
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"left with exit code {code}"
        return Ended(End.DIED, f"its worker {how}", self.last_words())

    def last_words(self) -> str:
        """The end of what this process wrote to the slot's log."""
        if not self.log.exists():
            return ""
        with self.log.open("rb") as file:
            file.seek(self._log_began)
            return file.read().decode(errors="replace")[-LOG_TAIL:]

    def close(self) -> None:
        """End the process, gently first."""
        self.pipe.close()
        if self.busy_with is not None:
            self.process.terminate()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


class LocalLauncher:
    """A launcher with one child process per slot. A worker that dies takes only its trial with it."""

    def __init__(self, slots: Sequence[Slot], folder: Path) -> None:
        self.slots = tuple(slot.name for slot in slots)
        self._folder = folder
        self._stillbirths = 0
        self._workers = [_Worker(slot, folder) for slot in slots]

    def launch(self, job: Job) -> str:
        """Send the job to a free slot; the slot's name."""
        free = [worker for worker in self._workers if worker.busy_with is None]
        if not free:
            raise RuntimeError("no slot is free")
        worker = free[0]
        worker.busy_with = job.number
        worker.served = True
        worker.send(job)
        return worker.slot.name

    def poll(self, timeout: float) -> list[Message]:
        """What the workers said since the last poll; waits up to `timeout` seconds for the first word."""
        waiting = [w.pipe for w in self._workers] + [w.process.sentinel for w in self._workers]
        wait(waiting, timeout)
        messages: list[Message] = []
        for i, worker in enumerate(self._workers):
            gone = not worker.process.is_alive()  # asked first: what it said before is still in the pipe
            messages += worker.received()
            if gone:
                messages += self._bury(i)
        return messages

    def cancel(self, number: int) -> None:
        """Stop a trial; nothing more is heard of it."""
        for worker in self._workers:
            if worker.busy_with == number:
                worker.busy_with = None
                worker.send(None)

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            worker.pipe.close()  # all at once: an idle one leaves by itself
        for worker in self._workers:
            worker.close()
        self._workers = []

    def _bury(self, i: int) -> list[Message]:
        """Replace a dead worker and say what became of its trial."""
        dead = self._workers[i]
        self._stillbirths = 0 if dead.served else self._stillbirths + 1
        if self._stillbirths >= STILLBIRTHS:
            raise SearcherError(
                f"workers of slot {dead.slot.name} die before their first trial "
                f"({dead.death().cause}); the end of {dead.log}:\n{dead.last_words()}"
            )
        dead.pipe.close()
        self._workers[i] = _Worker(dead.slot, self._folder)
        return [] if dead.busy_with is None else [Message(dead.busy_with, dead.death())]
