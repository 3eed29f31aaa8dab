"""A child process that trains, seen from its launcher: the pipe to it and the job it is busy with."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from searcher.launchers.job import End, Ended, Job, Message
from searcher.launchers.packing import TOTAL, Load
from searcher.launchers.slots import Slot
from searcher.launchers.worker import Orders, Said, work
from searcher.usage import Usage

LOG_TAIL = 4000
"""Characters of a dead worker's log that are kept as evidence."""


class Child:
    """One slot's process.

    `job` is what it is busy with; `stop_by` until when it may take to stop that, None when it was not
    told to. `load` is what the job takes of the device, `total_mb` what the device has, once it is known.
    """

    def __init__(self, slot: Slot, folder: Path, memory_gb: float | None, sample_seconds: float) -> None:
        self.slot = slot
        self.log = folder / f"{slot.name.replace(':', '-').replace('/', '-')}.log"
        self._log_began = self.log.stat().st_size if self.log.exists() else 0
        self.job: Job | None = None
        self.stop_by: float | None = None
        self.load = Load()
        self.total_mb: float | None = None
        self.served = False
        self._is_fit = True
        context = multiprocessing.get_context("spawn")
        self.pipe: Connection
        self.pipe, theirs = context.Pipe()
        orders = Orders(dict(slot.environment), self.log, tuple(sys.path), memory_gb, sample_seconds)
        self.process: BaseProcess = context.Process(target=work, args=(theirs, orders), name=slot.name)
        self.process.start()
        theirs.close()

    @property
    def rests(self) -> bool:
        """Whether it can begin a job."""
        return self.job is None and self._is_fit

    @property
    def is_training(self) -> bool:
        """Whether it is busy with a job that was not stopped."""
        return self.job is not None and self.stop_by is None

    def begin(self, job: Job) -> None:
        """Hand it a job; if it is gone, its sentinel will say so at the next poll."""
        self.job, self.served = job, True
        self.load = Load(job.memory_mb)
        self._send(job)

    def stop(self, by: float) -> None:
        """Tell it to stop its job, `by` a moment of the monotonic clock."""
        self.stop_by = by
        self._send(None)

    def received(self) -> list[Message]:
        """Everything it has said so far about the job it is busy with; nothing of one that was stopped."""
        messages: list[Message] = []
        try:
            while self.pipe.poll():
                said: Said = self.pipe.recv()
                if said.message is not None:
                    self._note(said.message)
                    if self.stop_by is None:
                        messages.append(said.message)
                if said.fit is not None:
                    self.job, self.stop_by, self._is_fit = None, None, said.fit
        except (EOFError, OSError):
            pass  # the sentinel tells how it ended
        return messages

    def _note(self, message: Message) -> None:
        self.load = self.load.after(message.body)
        if isinstance(message.body, Usage):
            self.total_mb = message.body.figures.get(TOTAL, self.total_mb)

    def _send(self, job: Job | None) -> None:
        try:
            self.pipe.send(job)
        except OSError:
            self.process.join(1)

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

    def leave(self) -> None:
        """Tell it to go: one that rests leaves by itself when its pipe closes."""
        self.pipe.close()
        if self.job is not None:
            self.process.terminate()

    def close(self) -> None:
        """See it end, gently or not."""
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
