"""Where trials train: the door every launcher has, and the table of launchers.

A new launcher is one class with this door and one line in `LAUNCHERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from searcher.launchers.job import Job, Message
from searcher.launchers.site import Site


class Launcher(Protocol):
    """Runs jobs somewhere and brings what they say.

    For every launched job the messages come in the order they were said, the last one being
    `Ended`; after `cancel` none comes. A failure is a message, never an exception. Nothing here waits
    for a training but `poll`.

    `slots` names all places; `notes` says what of the site's wishes cannot be met.
    """

    slots: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def free(self) -> int:
        """Places where a job may begin now. One whose cancelled job has not let go yet is not free."""
        ...

    def fits(self, job: Job) -> bool:
        """Whether there is a free place with room for this job now; later there may be one."""
        ...

    def launch(self, job: Job) -> str:
        """Begin a job in a free place; the name of that. While none is free the job waits for the next.

        Raises: RuntimeError when as many jobs run or wait already as there are slots.
        """
        ...

    def poll(self, timeout: float) -> list[Message]:
        """What was said since the last poll; waits up to `timeout` seconds for the first word.

        Raises: SearcherError when no job can ever run.
        """
        ...

    def cancel(self, number: int) -> None:
        """Stop the job of trial `number`; nothing more is heard of it, even if it hangs."""
        ...

    def close(self) -> None:
        """End everything that runs."""
        ...


def _local(site: Site) -> Launcher:
    from searcher.launchers.local import LocalLauncher
    from searcher.launchers.slots import find_slots

    slots = find_slots(site.slots, site.device, site.devices, site.slots_per_device)
    packed = site.slots_per_device == "auto"
    return LocalLauncher(slots, site.folder, site.memory_gb, packed, site.sample_seconds)


def _inprocess(site: Site) -> Launcher:
    from searcher.launchers.inprocess import InProcessLauncher

    return InProcessLauncher()


def _ray(site: Site) -> Launcher:
    from searcher.launchers.ray import RayLauncher

    return RayLauncher(site)


LAUNCHERS: dict[str, Callable[[Site], Launcher]] = {
    "local": _local,
    "inprocess": _inprocess,
    "ray": _ray,
}
