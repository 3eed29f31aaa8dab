"""Trials in child processes of this machine: one long-lived worker per slot."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from multiprocessing.connection import wait
from pathlib import Path

from searcher.errors import SearcherError
from searcher.launchers.child import Child
from searcher.launchers.hostmemory import LIMITED, NO_LIMIT
from searcher.launchers.job import Job, Message
from searcher.launchers.packing import Load, fits, is_probed
from searcher.launchers.site import SAMPLE_SECONDS
from searcher.launchers.slots import Slot

GRACE = 2.0
"""Seconds that a job which was stopped may take to free its worker, before this is killed."""

STILLBIRTHS = 3
"""Workers in a row that die before their first job until the launcher gives up."""

WAITING = "the next free slot"
"""Where a job trains that was launched while no slot was free."""


class LocalLauncher:
    """A launcher with one child process per slot. A worker that dies takes only its trial with it.

    `memory_gb` is the host memory of one worker, None for any. With `packed`, slots of a device are
    given out as its memory allows: see `fits`.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        folder: Path,
        memory_gb: float | None = None,
        packed: bool = False,
        sample_seconds: float = SAMPLE_SECONDS,
    ) -> None:
        self.slots = tuple(slot.name for slot in slots)
        self.notes: tuple[str, ...] = (NO_LIMIT,) if memory_gb is not None and not LIMITED else ()
        self._packed = packed
        self._born_with = (folder, memory_gb, sample_seconds)
        self._stillbirths = 0
        self._waiting: deque[Job] = deque()
        self._children = [Child(slot, *self._born_with) for slot in slots]

    @property
    def free(self) -> int:
        """How many jobs may begin now, where each of them fits."""
        resting = [child for child in self._children if child.rests and not self._is_closed(child)]
        return max(0, len(resting) - len(self._waiting))

    def fits(self, job: Job) -> bool:
        """Whether there is a free slot for this job now: packed, one on a device with room for it."""
        return not self._waiting and self._place(job) is not None

    def launch(self, job: Job) -> str:
        """Send the job to a free slot; the slot's name. Without one it waits for the next."""
        if len(self._waiting) + sum(child.is_training for child in self._children) >= len(self._children):
            raise RuntimeError("as many jobs run as there are slots")
        child = None if self._waiting else self._place(job)
        if child is None:
            self._waiting.append(job)
            return WAITING
        child.begin(job)
        return child.slot.name

    def poll(self, timeout: float) -> list[Message]:
        """What the workers said since the last poll; waits up to `timeout` seconds for the first word."""
        ends = [c.stop_by for c in self._children if c.stop_by is not None]
        patience = max(0.0, min([timeout, *(end - time.monotonic() for end in ends)]))
        wait([c.pipe for c in self._children] + [c.process.sentinel for c in self._children], patience)
        messages: list[Message] = []
        for i, child in enumerate(self._children):
            if child.stop_by is not None and time.monotonic() > child.stop_by:
                child.process.kill()  # it hangs
                child.process.join()
            gone = not child.process.is_alive()  # asked first: what it said before is still in the pipe
            messages += child.received()
            if gone:
                messages += self._bury(i)
        while self._waiting and (child_for_it := self._place(self._waiting[0])) is not None:
            child_for_it.begin(self._waiting.popleft())
        return messages

    def cancel(self, number: int) -> None:
        """Stop a trial; nothing more is heard of it. One that hangs costs its worker."""
        self._waiting = deque(job for job in self._waiting if job.number != number)
        for child in self._children:
            if child.is_training and child.job is not None and child.job.number == number:
                child.stop(time.monotonic() + GRACE)

    def close(self) -> None:
        """End every worker."""
        for child in self._children:
            child.leave()  # all at once
        for child in self._children:
            child.close()
        self._children = []
        self._waiting.clear()

    def _place(self, job: Job) -> Child | None:
        """A worker that rests, on the device with the fewest trainings among those with room."""
        there = [c for c in self._children if c.rests and (not self._packed or self._has_room(c, job))]
        return min(there, key=lambda child: len(self._loads(child.slot.device)), default=None)

    def _has_room(self, child: Child, job: Job) -> bool:
        device = child.slot.device
        neighbours = [c for c in self._children if c.slot.device == device and c is not child]
        totals = [c.total_mb for c in [child, *neighbours] if c.total_mb is not None]
        contexts = sum(c.rests and c.total_mb is not None for c in neighbours)
        return device == "cpu" or fits(
            max(totals, default=None), self._loads(device), job.memory_mb, contexts
        )

    def _is_closed(self, child: Child) -> bool:
        """Whether nothing may begin beside what trains on its device."""
        return self._packed and child.slot.device != "cpu" and is_probed(self._loads(child.slot.device))

    def _loads(self, device: str) -> list[Load]:
        return [c.load for c in self._children if c.slot.device == device and not c.rests]

    def _bury(self, i: int) -> list[Message]:
        """Replace a dead worker and say what became of its trial."""
        dead = self._children[i]
        self._stillbirths = 0 if dead.served else self._stillbirths + 1
        if self._stillbirths >= STILLBIRTHS:
            raise SearcherError(
                f"workers of slot {dead.slot.name} die before their first trial "
                f"({dead.death().cause}); the end of {dead.log}:\n{dead.last_words()}"
            )
        dead.pipe.close()
        self._children[i] = Child(dead.slot, *self._born_with)
        if dead.job is None or not dead.is_training:
            return []
        return [Message(dead.job.number, dead.death())]
