"""A tracker that works in a thread of its own, so that a slow record never keeps a slot waiting."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from searcher.errors import TrackingError
from searcher.tracking.tracker import Started, Tracker
from searcher.trial import TrialResult


class BackgroundTracker:
    """Passes every call on to `tracker`, in order, in one thread.

    A record that cannot be opened raises at the next call: the study has not really begun. Once it
    is open, a failure is kept in `failure` and the study goes on; what was missed is written by
    opening the record again with all results (see `MlflowTracker.open`).
    """

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._calls: queue.Queue[Callable[[], None] | None] = queue.Queue()
        self.was_open = False
        self.failure: TrackingError | None = None
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises: TrackingError when the record could not be opened."""
        if self.failure is not None and not self.was_open:
            raise self.failure

    def open(self, results: Sequence[TrialResult]) -> None:
        as_of_now = tuple(results)  # the list grows while the thread is still opening the record

        def call() -> None:
            self._tracker.open(as_of_now)
            self.was_open = True

        self._calls.put(call)

    def start(self, trial: Started) -> None:
        self._calls.put(lambda: self._tracker.start(trial))

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        self._calls.put(lambda: self._tracker.evaluate(number, step, metrics))

    def end(self, result: TrialResult) -> None:
        self._calls.put(lambda: self._tracker.end(result))

    def forget(self, number: int) -> None:
        self._calls.put(lambda: self._tracker.forget(number))

    def report(self, files: Sequence[Path]) -> None:
        as_of_now = tuple(files)
        self._calls.put(lambda: self._tracker.report(as_of_now))

    def close(self, summary: str, best: Sequence[int]) -> None:
        """Wait until everything is written."""
        self._calls.put(lambda: self._tracker.close(summary, best))
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            if self.failure is not None:
                continue  # a record with a gap is brought up to date as a whole
            try:
                call()
            except TrackingError as error:
                self.failure = error
