"""A trial that was asked for and waits for room in the memory of a device."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from searcher.events import Event
from searcher.launchers.inprocess import InProcessLauncher
from searcher.launchers.job import Job
from searcher.opening import load_study
from searcher.spec import parse_spec
from searcher.study import Places, run_study
from searcher.trial import Outcome, TrialResult
from trainers.progress import Progress

HOLD = 4.0
"""Seconds for which the first trial finds no room."""


def quick(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """One evaluation."""
    yield Progress(1, 1.0, 1.0, {"val_loss": settings["x"]})


class Full(InProcessLauncher):
    """Has no room for the first trial for a while."""

    def __init__(self, when_full: Callable[[], None]) -> None:
        super().__init__()
        self._when_full = when_full
        self._until = time.monotonic() + HOLD
        self.launched: list[int] = []

    def fits(self, job: Job) -> bool:
        """Not yet."""
        if job.number == 0 and time.monotonic() < self._until:
            self._when_full()
            time.sleep(0.02)
            return False
        return super().fits(job)

    def launch(self, job: Job) -> str:
        """Begin it, and remember it."""
        self.launched.append(job.number)
        return super().launch(job)


def run(tmp_path: Path, launcher: Full) -> list[TrialResult]:
    spec = parse_spec(
        {
            "name": "held",
            "train": {"trainer": f"{__name__}:quick"},
            "space": {"x": {"low": 0.0, "high": 1.0}},
            "search": {"sampler": "random", "pruner": "none", "trials": 2},
            "dispatch": {"timeout_minutes": HOLD / 2 / 60},
        },
        "test",
    )
    places = Places(f"sqlite:///{tmp_path}/studies.db", None, tmp_path / "runs", report=False)

    def nobody(event: Event) -> None: ...

    return run_study(spec, places, nobody, launcher)


def test_waiting_is_no_time_of_a_trial(tmp_path: Path) -> None:
    launcher = Full(lambda: None)
    results = run(tmp_path, launcher)
    assert [result.outcome for result in results] == [Outcome.COMPLETED] * 2
    assert launcher.launched == [0, 1]
    assert results[0].seconds < HOLD


def test_a_waiting_trial_that_people_end_is_never_begun(tmp_path: Path) -> None:
    told: list[int] = []

    def end() -> None:
        if not told:
            told.append(0)
            load_study("held", f"sqlite:///{tmp_path}/studies.db").end_trial(0, "somebody")

    launcher = Full(end)
    first, second = run(tmp_path, launcher)
    assert (first.outcome, first.reason) == (Outcome.PRUNED, "ended by somebody")
    assert second.outcome is Outcome.COMPLETED
    assert launcher.launched == [1]
