"""What goes to a worker and what comes back. Light: a worker loads it before it knows its device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from trainers.progress import Progress


@dataclass(frozen=True)
class Job:
    """One training to run: the trial's number, the trainer (None for the one that comes along) and
    its flat settings."""

    number: int
    trainer: str | None
    settings: Mapping[str, Any]


class End(StrEnum):
    """How the stream of a trial ended."""

    FINISHED = "finished"  # the trainer had no more to say
    MISTAKE = "mistake"  # settings, data or own code that cannot work: the person has to mend it
    ERROR = "error"  # the trainer raised
    OUT_OF_MEMORY = "out-of-memory"  # of the device
    DIED = "died"  # the worker is gone


@dataclass(frozen=True)
class Ended:
    """The last message of a trial. `cause` is a sentence, empty when it finished; `detail` a
    traceback or the end of the worker's log."""

    end: End
    cause: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Message:
    """What a launcher brings: something that trial `number` said, in the order it was said."""

    number: int
    body: Progress | Ended
