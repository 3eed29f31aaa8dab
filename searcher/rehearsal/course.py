"""One rehearsal: recorded trials in some order before some pruner, evaluation by evaluation.

Nothing is trained and no clock is waited for: whose evaluation comes next follows from the recorded seconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from searcher.contest import FinishedTrial, Judge
from searcher.rehearsal.recordings import Ending, Evaluated, Recording


@dataclass(frozen=True)
class Ended:
    """How a trial ended in a rehearsal.

    `values` are the evaluations it had (evaluations due -> value), `value` is the objective of one that was
    trained to its end, `epochs` and `seconds` are its own. `spent` are the epochs of all trials by then;
    `most` are those if every trial whose further course is not known had been trained to its end.
    """

    number: int
    recording: Recording
    ending: Ending
    values: dict[int, float]
    value: float | None
    epochs: float
    seconds: float
    spent: float
    most: float


class Order(Protocol):
    """Which recorded trial comes next."""

    def next(self) -> tuple[int, Recording] | None:
        """The next trial with its number for the pruner; None when there are no more."""

    def learn(self, ended: Ended) -> None:
        """A trial has ended."""


class AsRecorded:
    """The trials in the study's own order."""

    def __init__(self, recordings: Iterable[Recording]) -> None:
        self._left: Iterator[Recording] = iter(recordings)

    def next(self) -> tuple[int, Recording] | None:
        """The next one, under the number it had."""
        recording = next(self._left, None)
        return None if recording is None else (recording.number, recording)

    def learn(self, ended: Ended) -> None:
        """Nothing: the order is settled."""


@dataclass
class _Run:
    """A trial that is being replayed."""

    number: int
    recording: Recording
    began: float  # seconds since the rehearsal began
    values: dict[int, float] = field(default_factory=dict)
    epochs: float = 0.0

    @property
    def upcoming(self) -> Evaluated | None:
        """The next evaluation; None when there are no more."""
        done, all_ = len(self.values), self.recording.evaluations
        return all_[done] if done < len(all_) else None

    @property
    def next_at(self) -> float:
        """Seconds since the rehearsal began until its next evaluation, or its end."""
        if (evaluated := self.upcoming) is None:
            return self.began + self.recording.seconds
        return self.began + self.seconds_at(evaluated.epochs)

    def seconds_at(self, epochs: float) -> float:
        """Its seconds until so many of its epochs, at its own pace."""
        whole = self.recording
        return whole.seconds * epochs / whole.epochs if whole.epochs else whole.seconds


def rehearse(order: Order, judge: Judge, slots: int = 1) -> list[Ended]:
    """Replay trials in some order before a pruner, so many at once; how they ended, one after the other."""
    now, spent, beyond = 0.0, 0.0, 0.0
    running: list[tuple[float, int, _Run]] = []
    ends: list[Ended] = []
    while True:
        while len(running) < slots and (asked := order.next()) is not None:
            judge.forget(asked[0])
            run = _Run(*asked, began=now)
            heapq.heappush(running, (run.next_at, run.number, run))
        if not running:
            return ends
        now, _, run = heapq.heappop(running)
        evaluated, before = run.upcoming, run.epochs
        if evaluated is not None:
            run.values[evaluated.due] = evaluated.value
            run.epochs = evaluated.epochs
            ending = Ending.PRUNED if judge.should_prune(run.number, run.values) else None
        else:
            ending, run.epochs = run.recording.ending, run.recording.epochs
        spent += run.epochs - before
        if ending is None:
            heapq.heappush(running, (run.next_at, run.number, run))
            continue
        if ending is Ending.UNKNOWN:
            beyond += run.recording.longest - run.epochs
        ended = _ended(run, ending, spent, spent + beyond)
        completed, notes = ending is Ending.COMPLETED, judge.notes(run.number)
        judge.end(FinishedTrial(run.number, completed, ended.value, run.values, notes))
        order.learn(ended)
        ends.append(ended)


def _ended(run: _Run, ending: Ending, spent: float, most: float) -> Ended:
    completed = ending is Ending.COMPLETED
    return Ended(
        number=run.number,
        recording=run.recording,
        ending=ending,
        values=run.values,
        value=run.recording.value if completed else None,
        epochs=run.epochs,
        seconds=run.recording.seconds if ending is not Ending.PRUNED else run.seconds_at(run.epochs),
        spent=spent,
        most=most,
    )
