"""What goes to a worker and what comes back. Light: a worker loads it before it knows its device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from searcher.usage import Usage
from trainers.progress import Progress


@dataclass(frozen=True)
class Job:
    """One training to run: the trial's number, the trainer (None for the one that comes along), its flat
    settings and the device memory it is predicted to take at most, in MB, where that is known."""

    number: int
    trainer: str | None
    settings: Mapping[str, Any]
    memory_mb: float | None = None


class End(StrEnum):
    """How the stream of a trial ended."""

    FINISHED = "finished"  # the trainer had no more to say
    MISTAKE = "mistake"  # settings, data or own code that cannot work: the person has to mend it
    ERROR = "error"  # the trainer raised
    OUT_OF_MEMORY = "out-of-memory"  # of the device, or of the host memory a worker may take
    DIED = "died"  # the worker is gone
    HUNG = "hung"  # it said nothing for far too long
    TIMEOUT = "timeout"  # it took longer than a trial may take


@dataclass(frozen=True)
class Ended:
    """The last message of a trial. `cause` is a sentence, empty when it finished; `detail` a
    traceback or the end of the worker's log; `numbers` are what was seen of it."""

    end: End
    cause: str = ""
    detail: str = ""
    numbers: Mapping[str, float] = field(default_factory=dict)


Body = Progress | Usage | Ended


@dataclass(frozen=True)
class Message:
    """What a launcher brings: something that trial `number` said, in the order it was said.

    `Usage` comes from beside the training, every few seconds, and never after `Ended`.
    """

    number: int
    body: Body
