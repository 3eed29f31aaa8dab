"""Where trials train: the door every launcher has, and the table of launchers.

A new launcher is one class with this door and one line in `LAUNCHERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from searcher.launchers.job import Job, Message


class Launcher(Protocol):
    """Runs jobs somewhere and brings what they say.

    For every launched job the messages come in the order they were said, the last one being
    `Ended`; after `cancel` none comes. A failure is a message, never an exception.
    """

    slots: tuple[str, ...]

    def launch(self, job: Job) -> str:
        """Begin a job in a free slot; at most `len(slots)` run at once. Returns the slot's name."""
        ...

    def poll(self, timeout: float) -> list[Message]:
        """What was said since the last poll; waits up to `timeout` seconds for the first word."""
        ...

    def cancel(self, number: int) -> None:
        """Stop the job of trial `number`; nothing more is heard of it."""
        ...

    def close(self) -> None:
        """End everything that runs."""
        ...


def _local(slots: int | None, device: str, folder: Path) -> Launcher:
    from searcher.launchers.local import LocalLauncher
    from searcher.launchers.slots import find_slots

    return LocalLauncher(find_slots(slots, device), folder)


def _inprocess(slots: int | None, device: str, folder: Path) -> Launcher:
    from searcher.launchers.inprocess import InProcessLauncher

    return InProcessLauncher()


LAUNCHERS: dict[str, Callable[[int | None, str, Path], Launcher]] = {
    # name: slots wanted (none: as many as there are devices), device, folder for logs -> launcher
    "local": _local,
    "inprocess": _inprocess,
}
