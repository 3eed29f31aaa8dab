"""A slot on a node of a Ray cluster: what its actor does there. Knows nothing of Ray."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

from searcher.errors import SearcherError
from searcher.launchers.job import Job, Message
from searcher.launchers.local import LocalLauncher
from searcher.launchers.site import Site
from searcher.launchers.slots import THREADS, Slot


@dataclass(frozen=True)
class Heard:
    """What was said since an actor was last asked, and whether its worker could begin a job."""

    messages: tuple[Message, ...]
    rests: bool


class Place:
    """One worker process in the folder `here`, with the environment of its actor: the GPUs that Ray gave it.

    Raises: SearcherError when the node has no such folder.
    """

    def __init__(self, site: Site, name: str, here: str) -> None:
        if not Path(here).is_dir():
            raise SearcherError(
                f"the node {platform.node()} has no folder {here}, where the study runs; share that folder "
                "between the nodes, or send it along: ray job submit --working-dir . -- searcher run ..."
            )
        os.chdir(here)
        site.folder.mkdir(parents=True, exist_ok=True)
        slot = Slot(name, dict.fromkeys(THREADS, "1"))
        self._launcher = LocalLauncher(
            [slot], site.folder, site.memory_gb, sample_seconds=site.sample_seconds
        )

    def turn(self, job: Job | None, timeout: float) -> Heard:
        """Begin a job, if there is one; what was said, waiting up to `timeout` seconds for the first word."""
        first: list[Message] = []
        if job is not None:
            first = self._launcher.poll(0)  # a worker that died at rest is replaced
            self._launcher.launch(job)
        messages = [*first, *self._launcher.poll(timeout)]
        return Heard(tuple(messages), self._launcher.free > 0)

    def cancel(self, number: int) -> None:
        """Stop a job."""
        self._launcher.cancel(number)

    def close(self) -> None:
        """End the worker."""
        self._launcher.close()
