"""The next trial is asked for while slots are busy, where asks would keep them waiting; and put back if it
is not wanted any more."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from benchmarks.scale import Simulated
from diagnostics import Report, Verdict
from searcher.asking import SHARE, Asking
from searcher.events import Event, TrialEnded, TrialStarted
from searcher.launchers.job import Job, Message
from searcher.opening import load_study
from searcher.orders import Order
from searcher.spec import parse_spec
from searcher.store import StudyStore
from searcher.study import Places, run_study
from searcher.trial import Outcome, TrialResult
from trainers.progress import Progress

ROUNDS = 6


def quick(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """One evaluation."""
    yield Progress(1, 1.0, 1.0, {"val_loss": settings["x"]})


class Slow(Simulated):
    """Slots whose trials take some rounds of `poll`, each one more than the one before, and then say all."""

    def __init__(self, slots: int) -> None:
        super().__init__(slots)
        self._left: dict[int, int] = {}

    def launch(self, job: Job) -> str:
        """Begin a trial."""
        self._left[job.number] = ROUNDS + job.number % len(self.slots)
        return super().launch(job)

    def poll(self, timeout: float) -> list[Message]:
        """What those say that are through."""
        time.sleep(0.01)
        said = []
        for number in list(self._running):
            self._left[number] -= 1
            if self._left[number] <= 0:
                said += [Message(number, body) for body in self._running.pop(number)]
        return said


class Log:
    """Which trials were asked for, began and ended, in order."""

    def __init__(self) -> None:
        self.words: list[str] = []

    def __call__(self, event: Event) -> None:
        """Note it."""
        if isinstance(event, TrialStarted):
            self.words.append(f"begin {event.number}")
        elif isinstance(event, TrialEnded):
            self.words.append(f"end {event.result.number}")


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log, ask = Log(), StudyStore.ask

    def noted(store: StudyStore, *repeat: Any) -> Any:
        time.sleep(0.01)  # an ask that trials of a tenth of a second would wait for
        asked = ask(store, *repeat)
        log.words.append(f"ask {asked[0].number}")
        return asked

    monkeypatch.setattr(StudyStore, "ask", noted)
    return log


def run(tmp_path: Path, slots: int, log: Any, **search: Any) -> list[TrialResult]:
    spec = parse_spec(
        {
            "name": "ahead",
            "train": {"trainer": f"{__name__}:quick"},
            "space": {"x": {"low": 0.0, "high": 1.0}},
            "search": {"sampler": "random", "pruner": "none", "trials": 8, **search},
        },
        "test",
    )
    places = Places(f"sqlite:///{tmp_path}/studies.db", None, tmp_path / "runs", report=False)
    return run_study(spec, places, log, Slow(slots))


def test_with_two_slots_the_next_point_is_there_when_one_is_free(tmp_path: Path, log: Log) -> None:
    results = run(tmp_path, 2, log)
    assert sorted(result.number for result in results) == list(range(8))
    ahead = [
        word
        for i, word in enumerate(log.words)
        if word.startswith("ask") and log.words[i + 1] != word.replace("ask", "begin")
    ]
    assert len(ahead) >= 4, log.words
    for number in range(8):
        assert log.words.index(f"ask {number}") < log.words.index(f"begin {number}")


def test_with_one_slot_a_point_hangs_on_all_results_before_it(tmp_path: Path, log: Log) -> None:
    run(tmp_path, 1, log)
    assert log.words == [f"{word} {n}" for n in range(8) for word in ("ask", "begin", "end")]


def test_a_point_that_was_asked_ahead_is_put_back_when_the_study_is_told_to_stop(
    tmp_path: Path, log: Log
) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"

    def stopping(event: Event) -> None:
        log(event)
        if isinstance(event, TrialEnded) and event.result.number == 3:
            load_study("ahead", url).give_order(Order.STOP)

    stopped = run(tmp_path, 2, stopping, trials=500)
    study = optuna.load_study(study_name="ahead", storage=url)
    states = [trial.state for trial in study.get_trials()]
    assert states.count(TrialState.COMPLETE) == len(stopped) and TrialState.RUNNING not in states
    asked = {int(word.split()[1]) for word in log.words if word.startswith("ask")}
    begun = {int(word.split()[1]) for word in log.words if word.startswith("begin")}
    waiting = {trial.number for trial in study.get_trials() if trial.state is TrialState.WAITING}
    assert asked - begun == waiting and len(waiting) <= 1
    whole = run(tmp_path, 2, log, trials=len(states) + 3)
    assert sorted(result.number for result in whole) == list(range(len(states) + 3)), "none is lost"


def trained(seconds: float) -> TrialResult:
    report = Report(Verdict.CONVERGED, ())
    return TrialResult(0, {}, (), (), Outcome.COMPLETED, report, seconds=seconds)


def test_it_pays_where_asks_take_more_than_their_share() -> None:
    asking = Asking()
    assert not asking.pays_ahead(4, [trained(1.0)]), "nothing was asked yet"
    with asking.timed():
        time.sleep(0.02)
    assert asking.pays_ahead(4, [trained(0.5)]) and not asking.pays_ahead(4, [])
    assert not asking.pays_ahead(4, [trained(0.5 / SHARE)])
    assert not asking.pays_ahead(1, [trained(0.1)]), "with one slot points are those of any other run"
