"""How long things are waited for: a silent trial, one that takes too long, a store that is away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from searcher.dispatch import Dispatch
from searcher.errors import StorageError
from searcher.launchers.job import End, Ended

SEVERAL = 10.0
"""A trial hangs when it has been silent for so many times its longest silence so far (house rule: an
evaluation may take several times as long as what lies between two messages)."""

STORE_SECONDS = 600.0
"""How long a store that is away is waited for, such as a server that starts again."""

PAUSE_SECONDS = 2.0
"""Between two attempts to reach it."""

T = TypeVar("T")


@dataclass
class Patience:
    """The clock of one running trial. Times are seconds of one clock.

    `timeout` bounds the whole attempt, None not at all; `least` is the shortest silence that can be a hang.
    """

    began: float
    timeout: float | None
    least: float
    longest: float = 0.0
    messages: int = 0

    def __post_init__(self) -> None:
        self.heard_at = self.began

    @classmethod
    def of(cls, dispatch: Dispatch, now: float) -> Patience:
        """That of a trial which begins now, as the study file has it."""
        minutes = dispatch.timeout_minutes
        return cls(now, None if minutes is None else 60 * minutes, 60 * dispatch.hang_minutes)

    def heard(self, now: float) -> None:
        """The trial said something. Before its first word it loads data: that silence tells nothing."""
        if self.messages:
            self.longest = max(self.longest, now - self.heard_at)
        self.messages += 1
        self.heard_at = now

    def lost(self, now: float) -> Ended | None:
        """How the trial has to be ended, if it has to."""
        if self.timeout is not None and now - self.began > self.timeout:
            cause = f"it took longer than the {_span(self.timeout)} a trial may take"
            return Ended(End.TIMEOUT, cause, numbers={"seconds": now - self.began, "limit": self.timeout})
        silence, usual = now - self.heard_at, self.longest
        if self.messages > 1 and silence > max(self.least, SEVERAL * usual):
            cause = f"it said nothing for {_span(silence)}, and before never for longer than {_span(usual)}"
            return Ended(End.HUNG, cause, numbers={"silence": silence, "longest_before": usual})
        return None


class Pace:
    """Says now and then that it is time for something: at most once in `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = time.monotonic() + seconds

    def is_due(self) -> bool:
        """Whether it is time; if so, the next time is `seconds` away."""
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def patiently(call: Callable[[], T], tell: Callable[[str], None], gives_up: Callable[[], bool]) -> T:
    """What `call` gives; while the store is away it is called again, and somebody is told once.

    Raises: StorageError when it stays away, when `gives_up` says so, or for what will not pass by itself.
    """
    began = time.monotonic()
    told = False
    while True:
        try:
            result = call()
        except StorageError as error:
            if not error.passing or gives_up() or time.monotonic() - began > STORE_SECONDS:
                raise
            if not told:
                tell(f"{error}; waiting for it")
                told = True
            time.sleep(PAUSE_SECONDS)
        else:
            if told:
                tell("the study store is back")
            return result


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} seconds"
    return f"{seconds / 60:.3g} minutes" if seconds < 7200 else f"{seconds / 3600:.3g} hours"
