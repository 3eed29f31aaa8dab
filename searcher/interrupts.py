"""Ctrl-C: once parks the study, twice stops it at once. A request to terminate stops it at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any


class Interrupts:
    """While it is open, signals are counted instead of breaking in; it only listens in the main thread."""

    def __init__(self) -> None:
        self.parked = False
        self.at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.at_once = self.at_once or self.parked or number == signal.SIGTERM
        self.parked = True


def parking(running: int) -> str:
    """What a person is told who has pressed Ctrl-C once."""
    trials = "the running trial is" if running == 1 else f"the {running} running trials are"
    return f"parking: {trials} finished first; Ctrl-C again stops at once and queues them again"
