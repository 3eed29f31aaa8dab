"""The record is written beside the study: what happens when it fails for a while."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from made_up_study import made_up_study

from searcher.errors import TrackingError
from searcher.tracking import BackgroundTracker, NullTracker, Started
from searcher.trial import TrialResult
from searcher.turns import OwnLease


class Blinking(NullTracker):
    """Keeps what it is told, and loses all of it while it is `out`."""

    def __init__(self, out: int) -> None:
        self.out = out
        self.results: list[int] = []
        self.told: list[tuple[int, int]] = []

        self.closed = 0

    def close(self, summary: str, best: Sequence[int]) -> None:
        self._check()
        self.closed += 1

    def _check(self) -> None:
        if self.out > 0:
            self.out -= 1
            raise TrackingError("the server is away")

    def open(self, results: Sequence[TrialResult]) -> None:
        if self.told or self.results:
            self._check()
        self.results, self.told = [result.number for result in results], []

    def start(self, trial: Started) -> None:
        self.told.append((trial.number, -1))

    def evaluate(self, number: int, step: int, metrics: Any) -> None:
        self._check()
        self.told.append((number, step))

    def end(self, result: TrialResult) -> None:
        self._check()
        self.results.append(result.number)


@pytest.mark.parametrize("out", [1, 2, 3])
def test_a_record_that_was_away_has_everything_in_the_end(out: int) -> None:
    _, results = made_up_study(4)
    record = Blinking(out)
    tracker = BackgroundTracker(record, retry=0.0)
    tracker.open(results[:1])
    assert tracker.wait_open()
    for result in results[1:3]:
        tracker.start(Started(result.number, {}, {}))
        tracker.evaluate(result.number, 10, {})
        tracker.end(result)
    tracker.start(Started(3, {}, {}))
    for step in range(1, 6):
        tracker.evaluate(3, step, {})
    tracker.close("", [])
    assert tracker.failure is None
    assert record.results == [0, 1, 2]
    assert [told for told in record.told if told[0] == 3] == [(3, -1), *((3, step) for step in range(1, 6))]


def test_a_record_that_was_away_until_the_end_is_closed_as_well() -> None:
    record = Blinking(1)
    tracker = BackgroundTracker(record, retry=0.0)
    tracker.open([])
    tracker.start(Started(0, {}, {}))
    tracker.evaluate(0, 1, {})  # lost
    tracker.close("", [])
    assert tracker.failure is None and record.closed == 1 and record.told == [(0, -1), (0, 1)]


class Passed(OwnLease):
    """A lease that is lost now and then, and had by another one for a while."""

    def __init__(self) -> None:
        self.lost, self.refusals = False, 0

    def take(self) -> bool:
        self.refusals -= 1
        self.lost = self.refusals >= 0
        return not self.lost

    def is_held(self) -> bool:
        return not self.lost


@pytest.mark.parametrize("refusals", [0, 1, 2])
def test_a_record_that_another_one_may_have_written_is_opened_anew(refusals: int) -> None:
    _, results = made_up_study(3)
    record, lease = Blinking(0), Passed()
    tracker = BackgroundTracker(record, lease, retry=0.0)
    tracker.open(results[:1])
    assert tracker.wait_open()
    lease.lost, lease.refusals = True, refusals
    record.results = []  # whatever the other one has done
    tracker.start(Started(1, {}, {}))
    tracker.evaluate(1, 1, {})
    tracker.end(results[1])
    tracker.start(Started(2, {}, {}))
    tracker.close("", [])
    assert tracker.failure is None and record.closed == 1
    assert record.results == [0, 1] and (2, -1) in record.told


def test_a_record_that_stays_away_is_not_asked_again_at_once() -> None:
    record = Blinking(1)
    tracker = BackgroundTracker(record, retry=1e6)
    tracker.open([])
    tracker.start(Started(0, {}, {}))
    tracker.evaluate(0, 1, {})
    tracker.evaluate(0, 2, {})
    tracker.close("", [])
    assert str(tracker.failure) == "the server is away" and record.told == [(0, -1)]


def test_a_record_that_was_never_asked_for_is_not_waited_for() -> None:
    tracker = BackgroundTracker(NullTracker())
    assert not tracker.wait_open()
    tracker.close("", [])
