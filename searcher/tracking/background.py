"""A tracker that works in a thread of its own, so that a slow record never keeps a slot waiting."""

from __future__ import annotations

import queue
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from searcher.errors import TrackingError
from searcher.tracking.tracker import Started, Tracker
from searcher.trial import TrialResult
from searcher.turns import Lease, OwnLease

RETRY_SECONDS = 30.0
"""The longest time between two attempts to reach a record that failed (house rule)."""

DOUBLINGS = 5
"""The first attempts come sooner: the time between them doubles so often until it is that long."""

Call = Callable[[], None]


class KeptElsewhere(TrackingError):
    """Another coordinator keeps the record."""


class BackgroundTracker:
    """Passes every call on to `tracker`, in order, in one thread.

    A record that cannot be reached raises at the next call: the study has not really begun. Later a failure
    is kept in `failure` and the study goes on. The record is then opened again from time to time with
    all results (see `MlflowTracker.open`), and running trials are told anew: nothing is missed in the end.

    Of several coordinators one writes the record; the others stand by in the same way, and one of them opens
    it when it can take the `lease`. Who has lost the lease for a while opens the record anew as well.
    """

    def __init__(self, tracker: Tracker, lease: Lease | None = None, retry: float = RETRY_SECONDS) -> None:
        self._tracker = tracker
        self._lease = lease or OwnLease()
        self._retry = retry
        self._pause = retry / 2**DOUBLINGS
        self._calls: queue.Queue[Call | None] = queue.Queue()
        self._results: list[TrialResult] = []
        self._running: defaultdict[int, list[Call]] = defaultdict(list)  # what was told of each
        self._failed_at = 0.0
        self._is_asked, self._begun = False, threading.Event()
        self.was_open = False
        self.failure: TrackingError | None = None
        self._thread = threading.Thread(target=self._work, name="tracker", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raises: TrackingError when the record could not be opened."""
        if self.failure is not None and not self.was_open:
            raise self.failure

    def wait_open(self) -> bool:
        """Wait until the record was opened, when that was asked for; whether it worked."""
        if self._is_asked:
            self._begun.wait()
        return self.was_open

    def open(self, results: Sequence[TrialResult]) -> None:
        self._is_asked = True
        self._results = list(results)  # the thread reads it from here on, and adds to it

        def call() -> None:
            try:
                self._open()
                self.was_open = True
            except TrackingError as error:
                self.was_open = error.reached
                raise
            finally:
                self._begun.set()

        self._calls.put(self._guarded(call))

    def start(self, trial: Started) -> None:
        self._tell(trial.number, lambda: self._tracker.start(trial))

    def evaluate(self, number: int, step: int, metrics: Mapping[str, float]) -> None:
        self._tell(number, lambda: self._tracker.evaluate(number, step, metrics))

    def end(self, result: TrialResult) -> None:
        def call() -> None:
            self._running.pop(result.number, None)
            self._results.append(result)
            self._guarded(lambda: self._tracker.end(result), is_kept=True)()

        self._calls.put(call)

    def forget(self, number: int) -> None:
        def call() -> None:
            self._running.pop(number, None)
            self._guarded(lambda: self._tracker.forget(number), is_kept=True)()

        self._calls.put(call)

    def report(self, files: Sequence[Path]) -> None:
        as_of_now = tuple(files)
        self._calls.put(self._guarded(lambda: self._tracker.report(as_of_now)))

    def close(self, summary: str, best: Sequence[int]) -> None:
        """Wait until everything is written."""
        self._calls.put(self._guarded(lambda: self._tracker.close(summary, best)))
        self._calls.put(None)
        self._thread.join()

    def _tell(self, number: int, of_trial: Call) -> None:
        def call() -> None:
            self._running[number].append(of_trial)
            self._guarded(of_trial, is_kept=True)()

        self._calls.put(call)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call()

    def _guarded(self, call: Call, *, is_kept: bool = False) -> Call:
        """The call; while the record fails, now and then an attempt to bring it up to date as a whole first.

        What a call that `is_kept` tells is known here by then, and written with that.
        """

        def guarded() -> None:
            is_behind = self.failure is not None
            if is_behind and not (self.was_open and time.monotonic() - self._failed_at >= self._pause):
                return
            try:
                if is_behind or (self.was_open and not self._lease.is_held()):
                    self._reopen()
                    if is_kept:
                        return
                call()
            except TrackingError as error:
                self._pause = min(2 * self._pause, self._retry) if is_behind else self._retry / 2**DOUBLINGS
                self.failure, self._failed_at = error, time.monotonic()

        return guarded

    def _open(self) -> None:
        if not self._lease.take():
            raise KeptElsewhere("another coordinator of this study keeps the record", reached=True)
        self._tracker.open(tuple(self._results))

    def _reopen(self) -> None:
        """Everything that was told up to now once more."""
        self._open()
        for calls in self._running.values():
            for call in calls:
                call()
        self.failure = None
