"""Whether the next trial is asked for before a slot is free for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from statistics import fmean

from searcher.trial import TrialResult

SHARE = 0.02
"""Time of an ask, as a share of a trial's, from which on it pays to ask ahead (house rule): slots would be
idle for that share of their time, against a sampler that knows one result less."""

NEWEST = 8
"""Asks and trials that tell how long the next ones take."""


class Asking:
    """How long asks take, held against how long trials train."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=NEWEST)

    @contextmanager
    def timed(self) -> Iterator[None]:
        """An ask."""
        began = time.perf_counter()
        yield
        self._seconds.append(time.perf_counter() - began)

    def pays_ahead(self, slots: int, results: Sequence[TrialResult]) -> bool:
        """Whether slots would wait for asks too long.

        Never with a single slot: its points hang on all results before them, and on nothing else.
        """
        if slots < 2 or not self._seconds or not results:
            return False
        return fmean(self._seconds) > SHARE * fmean(result.seconds for result in results[-NEWEST:])
