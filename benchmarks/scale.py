"""What the coordinator costs per trial when a study has many, through 64 simulated slots.

Notation
    control    CPU time of the coordinator's process per trial, without what the sampler's own ask takes
    ask        CPU time of `study.ask` and of suggesting the point, per trial

Trials train nothing: all that is left is the coordinator, its store and the pruner.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks.control import SPACE
from benchmarks.rows import Result, Row, to_text
from searcher.events import Event, TrialEnded
from searcher.launchers.job import Ended, Job, Message
from searcher.launchers.training import run_job
from searcher.spec import StudySpec, parse_spec
from searcher.store import StudyStore
from searcher.study import Places, run_study
from trainers.progress import Progress

SLOTS = 64
EVALUATIONS = 3
LENGTHS = (1_000, 10_000)
WINDOW = 2 * SLOTS
"""Trials over which the costs are averaged, before the last ones, for which no other is asked any more."""

TARGET = 1.0
"""Control grows no faster than the sampler's own ask."""

BY_TPE = 4 * SLOTS
"""Trials that TPE asks on top of each length."""


class Simulated:
    """A launcher of many slots in this process: each poll brings one message of every running trial."""

    notes: tuple[str, ...] = ()

    def __init__(self, slots: int) -> None:
        self.slots = tuple(f"simulated:{i}" for i in range(slots))
        self._running: dict[int, Iterator[Any]] = {}

    @property
    def free(self) -> int:
        """Slots without a trial."""
        return len(self.slots) - len(self._running)

    def fits(self, job: Job) -> bool:
        """Whether a slot is free."""
        return self.free > 0

    def launch(self, job: Job) -> str:
        """Begin a trial."""
        self._running[job.number] = run_job(job)
        return self.slots[len(self._running) - 1]

    def poll(self, timeout: float) -> list[Message]:
        """One message of each."""
        messages = [Message(number, next(stream)) for number, stream in self._running.items()]
        for message in messages:
            if isinstance(message.body, Ended):
                del self._running[message.number]
        return messages

    def cancel(self, number: int) -> None:
        """Hear no more of a trial."""
        self._running.pop(number, None)

    def close(self) -> None:
        """Nothing is left behind."""
        self._running.clear()


def do_nothing(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A trainer whose numbers cost nothing; the settings make the order of the trials."""
    for epoch in range(1, EVALUATIONS + 1):
        loss = settings["dropout"] + 1 / epoch
        yield Progress(epoch * 20, epoch, EVALUATIONS, {"train_loss": loss, "val_loss": 1.1 * loss})


@dataclass
class Meter:
    """Counts CPU time between the ends of trials; the sampler `asked` and the pruner `pruned` for so long."""

    ended: list[tuple[float, float, float]] = field(default_factory=list)
    asked: float = 0.0
    pruned: float = 0.0

    def __call__(self, event: Event) -> None:
        """A trial ended: note where the clocks stand."""
        if isinstance(event, TrialEnded):
            self.ended.append((time.process_time(), self.asked, self.pruned))

    def per_trial(self) -> tuple[float, float, float]:
        """Seconds of control, of asking and, as a part of control, of pruning per trial, near the end."""
        first, last = self.ended[-SLOTS - WINDOW], self.ended[-SLOTS]
        took, asked, pruned = ((after - before) / WINDOW for before, after in zip(first, last, strict=True))
        return took - asked, asked, pruned


@dataclass(frozen=True)
class Point:
    """What a study costs at one length."""

    sampler: str
    trials: int
    control: float
    ask: float
    pruning: float
    memory_mb: float


def measure(lengths: tuple[int, ...] = LENGTHS) -> Result:
    """One study that grows: random trials up to each length, then some by TPE."""
    points: list[Point] = []
    meter = Meter()
    ask, should_prune = StudyStore.ask, StudyStore.should_prune

    def timed(store: StudyStore) -> Any:
        began = time.process_time()
        found = ask(store)
        meter.asked += time.process_time() - began
        return found

    def timed_pruning(store: StudyStore, *given: Any) -> bool:
        began = time.process_time()
        found = should_prune(store, *given)
        meter.pruned += time.process_time() - began
        return found

    StudyStore.ask, StudyStore.should_prune = timed, timed_pruning  # type: ignore[method-assign]
    try:
        with tempfile.TemporaryDirectory() as name:
            for length in lengths:
                for sampler, trials in (("random", length), ("tpe", length + BY_TPE)):
                    meter.ended.clear()
                    memory = _run(Path(name), sampler, trials, meter)
                    points.append(Point(sampler, trials, *meter.per_trial(), memory))
    finally:
        StudyStore.ask, StudyStore.should_prune = ask, should_prune  # type: ignore[method-assign]
    return result(points)


def result(points: list[Point]) -> Result:
    """The points as rows: the growth of control over that of asking, since the shortest study."""
    first = {point.sampler: point for point in reversed(points)}
    rows = []
    for point in points:
        base = first[point.sampler]
        growth = (point.control / base.control) / (point.ask / base.ask)
        name = f"{point.sampler}, {point.trials:,} trials, {point.memory_mb:.0f} MB"
        name += f", {1e3 * point.pruning:.2f} ms of ours in the pruner"
        limit = None if point is base else TARGET
        rows.append(Row(name, growth, (growth, growth), point.control, point.ask, WINDOW, limit))
    about = (
        f"A study with a do-nothing trainer through {SLOTS} simulated slots, on SQLite, with successive "
        "halving, no MLflow, no report. “Ours” is the coordinator's CPU time per trial without the sampler's "
        f"ask, which is “bare”; over {WINDOW} trials near the end of each length; TPE asks {BY_TPE} on top. "
        "The ratio is the growth of the first over that of the second, since the shorter study. The memory "
        "is that of the process."
    )
    return Result("Scale: the coordinator of a long study", about, rows)


def _run(folder: Path, sampler: str, trials: int, meter: Meter) -> float:
    """Go on with the study; the memory of this process in MB while it is still whole."""
    places = Places(f"sqlite:///{folder / 'studies.db'}", None, folder / "runs", report=False)
    results = run_study(_spec(sampler, trials), places, meter, Simulated(SLOTS))
    assert len(results) == trials, f"{len(results)} trials instead of {trials}"
    assert [result.number for result in sorted(results, key=lambda r: r.number)] == list(range(trials))
    return float(psutil.Process().memory_info().rss) / 1e6


def _spec(sampler: str, trials: int) -> StudySpec:
    raw = {
        "name": "many",
        "train": {"trainer": "benchmarks.scale:do_nothing"},
        "metric": {"name": "val_loss", "goal": "minimize"},
        "space": SPACE,
        "search": {"sampler": sampler, "pruner": "asha", "trials": trials},
    }
    return parse_spec(raw, "benchmark")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, action="append", help="a length; may be repeated")
    print(to_text(measure(tuple(parser.parse_args().trials or LENGTHS))))
