"""How long the steps of a training take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Clock:
    """Times the steps between two evaluations, and nothing but them."""

    def __init__(self) -> None:
        self._seconds, self._steps = 0.0, 0
        self._started: float | None = None

    def step(self) -> None:
        """A step begins."""
        self._steps += 1
        if self._started is None:
            self._started = time.perf_counter()

    def stop(self) -> None:
        """What follows is no step."""
        if self._started is not None:
            self._seconds += time.perf_counter() - self._started
            self._started = None

    @contextmanager
    def pause(self) -> Iterator[None]:
        """What is done inside is no part of the step."""
        began = time.perf_counter()
        try:
            yield
        finally:
            if self._started is not None:
                self._started += time.perf_counter() - began

    def take(self) -> float:
        """Seconds per step since the last take."""
        seconds = self._seconds / self._steps
        self._seconds, self._steps = 0.0, 0
        return seconds

    def state_dict(self) -> dict[str, Any]:
        """What it has timed since the last take; only between two steps, when it is stopped."""
        return {"seconds": self._seconds, "steps": self._steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._seconds, self._steps, self._started = state["seconds"], state["steps"], None
