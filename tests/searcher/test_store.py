"""Optuna's store: ask and tell, queue again, prune, and go on as if nothing had happened."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from diagnostics import Finding, Report, Severity, Verdict
from searcher.opening import load_study, open_study
from searcher.samplers import SAMPLERS
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.trial import Evaluation, Outcome, TrialResult

Make = Callable[..., StudySpec]
NUMBERS = {
    "x": {"low": 0.0, "high": 1.0},
    "y": {"low": 1e-4, "high": 1.0, "log": True},
    "n": {"low": 1, "high": 64},
}
STEPS = {"x": {"low": 0, "high": 4}, "y": ["a", "b", "c"], "n": {"low": 1, "high": 7, "step": 2}}
CONDITIONS = {**NUMBERS, "kind": ["a", "b"], "only_b": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}}}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def result_of(
    number: int, point: Point, outcome: Outcome = Outcome.COMPLETED, value: float = 0.5
) -> TrialResult:
    findings = [Finding("diverging", Severity.FATAL, 7, {}, "it left", "a smaller step")]
    return TrialResult(
        number=number,
        settings={**point.sampled, "fixed": 1},
        sampled=tuple(point.sampled),
        inactive=point.inactive,
        outcome=outcome,
        report=Report(Verdict.INCOMPLETE, tuple(findings) if outcome is Outcome.DOOMED else ()),
        value=value,
        values={1: value + 1, 3: value},
        best=Evaluation(30, 3.0, {"val_loss": value}),
        epochs=3.0,
        reason="" if outcome is Outcome.COMPLETED else "it had to end",
        seconds=1.0,
        ended_at=10.0 + number,
    )


def value_of(point: Point) -> float:
    numbers = [len(v) if isinstance(v, str) else float(v) for v in point.sampled.values()]
    return sum((number - 0.3) ** 2 for number in numbers)


def train(store: StudyStore, outcome: Outcome = Outcome.COMPLETED, value: float | None = None) -> Point:
    """One trial from asking to telling."""
    trial, point = store.ask()
    result = result_of(trial.number, point, outcome, value_of(point) if value is None else value)
    for due in result.values:
        store.should_prune(trial, {d: v for d, v in result.values.items() if d <= due})
    store.tell(trial, result)
    return point


def states_of(url: str) -> dict[str, int]:
    """How many trials there are in each of Optuna's states."""
    trials = optuna.load_study(study_name="own", storage=url).trials
    return dict(Counter(trial.state.name.lower() for trial in trials))


def test_results_are_read_as_they_were_told(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(space=CONDITIONS), url)
    told = []
    for outcome in (*Outcome, Outcome.COMPLETED):
        trial, point = store.ask()
        result = result_of(trial.number, point, outcome)
        store.tell(trial, result)
        told.append(result)
    read = load_study("own", url).results()
    for before, after in zip(told, read, strict=True):
        if before.outcome is Outcome.DOOMED:  # what the sampler gets to see stands among the values
            assert after.values == {**before.values, 4: before.value}
            after = replace(after, values=before.values)
        assert replace(after, signals=before.signals) == before
    assert states_of(url) == {"complete": 2, "pruned": 3, "fail": 1}
    assert store.results() == read and load_study("own", url).spec == store.spec


def test_what_optuna_learns_of_each_outcome(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(), url)
    for outcome in Outcome:
        train(store, outcome, 2.0)
    by_outcome = dict(zip(Outcome, optuna.load_study(study_name="own", storage=url).trials, strict=True))
    states = {outcome: trial.state.name for outcome, trial in by_outcome.items()}
    assert list(states.items()) == [
        (Outcome.COMPLETED, "COMPLETE"),
        (Outcome.PRUNED, "PRUNED"),
        (Outcome.DOOMED, "PRUNED"),
        (Outcome.INFEASIBLE, "PRUNED"),
        (Outcome.FAILED, "FAIL"),
    ]
    assert by_outcome[Outcome.COMPLETED].value == 2.0
    doomed = by_outcome[Outcome.DOOMED]
    assert doomed.intermediate_values[doomed.last_step or 0] == 2.0
    assert doomed.constraints == {"diverging": 1.0}
    assert not any(by_outcome[outcome].constraints for outcome in Outcome if outcome is not Outcome.DOOMED)


def test_a_doomed_trial_keeps_the_sampler_away(make_spec: Make, tmp_path: Path) -> None:
    """With the optimum beside a cliff, few of the later points fall over it, unlike without the word."""

    def fallen(outcome: Outcome, url: str) -> int:
        search = {"sampler": {"name": "tpe", "n_startup_trials": 8}, "seed": 1}
        store = open_study(make_spec(space={"x": {"low": 0.0, "high": 1.0}}, search=search), url)
        points = []
        for _ in range(24):
            trial, point = store.ask()
            x = point.sampled["x"]
            over = x > 0.5
            result = result_of(
                trial.number, point, outcome if over else Outcome.COMPLETED, 9.0 if over else 1 - x
            )
            store.tell(trial, result)
            points.append(over)
        return sum(points[8:])

    assert fallen(Outcome.DOOMED, f"sqlite:///{tmp_path / 'a.db'}") < fallen(
        Outcome.FAILED, f"sqlite:///{tmp_path / 'b.db'}"
    )


def test_a_stand_in_is_the_worst_that_was_reached(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(), url)
    assert store.stand_in([], {}) == 1e6
    assert store.stand_in([3.0], {}) == 3.0
    train(store, value=5.0)
    train(store, value=4.0)
    store.ask()
    assert store.stand_in([], {}) == 5.0 and store.stand_in([7.0], {}) == 7.0


def test_a_queued_trial_comes_again_as_it_was(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(space=CONDITIONS), url)
    first, point = store.ask()
    second, other = store.ask()
    store.requeue(first.number)
    assert states_of(url) == {"running": 1, "waiting": 1}
    assert store.unfinished() == [(first.number, point), (second.number, other)]
    again, same = store.ask()
    assert (again.number, same) == (first.number, point)
    store.tell(again, result_of(again.number, same))
    assert [result.number for result in store.results()] == [first.number]


def test_trials_of_a_dead_coordinator_are_queued_again(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(), url)
    train(store)
    points = {trial.number: point for trial, point in (store.ask(), store.ask())}
    restarted = open_study(make_spec(), url)
    assert restarted.requeue_orphans() == 2
    assert restarted.requeue_orphans() == 0
    asked = {trial.number: point for trial, point in (restarted.ask(), restarted.ask())}
    assert asked == points
    assert restarted.ask()[0].number == 3


def test_attempts_are_remembered(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(), url)
    trial, point = store.ask()
    assert store.attempts(trial) == ()
    assert store.note_attempt(trial, "killed") == ("killed",)
    assert store.note_attempt(trial, "killed again") == ("killed", "killed again")
    store.requeue(trial.number)
    again, _ = open_study(make_spec(), url).ask()
    assert store.attempts(again) == ("killed", "killed again")
    store.tell(again, result_of(again.number, point))
    assert load_study("own", url).results()[0].attempts == ("killed", "killed again")


def test_the_pruner_gives_up_what_is_behind(make_spec: Make, url: str) -> None:
    pruner = {"name": "median", "n_startup_trials": 2, "n_warmup_steps": 0}
    store = open_study(make_spec(search={"pruner": pruner}), url)
    for value in (1.0, 2.0, 3.0):
        train(store, value=value)
    (good, _), (bad, point) = store.ask(), store.ask()
    assert not store.should_prune(good, {1: 1.5})
    assert not store.should_prune(good, {1: 1.5, 3: 1.2})
    assert store.should_prune(bad, {1: 9.5})
    kept = optuna.load_study(study_name="own", storage=url).trials[bad.number]
    assert kept.intermediate_values == {}, "an attempt that is interrupted leaves no values behind"
    store.requeue(bad.number)
    again, _ = store.ask()
    assert again.number == bad.number and not store.should_prune(again, {1: 1.5})
    store.tell(again, result_of(again.number, point))


def test_successive_halving_needs_no_values_in_the_store(make_spec: Make, url: str) -> None:
    store = open_study(make_spec(search={"pruner": "asha"}), url)
    given_up = []
    for number in range(6):
        trial, point = store.ask()
        given_up.append(store.should_prune(trial, {1: float(number)}))
        store.tell(trial, result_of(trial.number, point))
    assert given_up == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    ("sampler", "space"),
    [(name, STEPS if name in ("grid", "brute-force") else NUMBERS) for name in SAMPLERS]
    + [(name, CONDITIONS) for name in ("tpe", "random", "cma-es")],
)
def test_an_interrupted_study_asks_what_an_uninterrupted_one_asks(
    make_spec: Make, tmp_path: Path, sampler: str, space: dict[str, Any], rng: np.random.Generator
) -> None:
    """Killed between trials and in the middle of one, and continued, with one worker."""
    options = {"n_startup_trials": 5} if sampler in ("tpe", "gp", "cma-es") else {}
    search = {"sampler": {"name": sampler, **options}, "seed": int(rng.integers(1 << 31)), "trials": 9}
    spec = make_spec(space=space, search=search)
    outcomes = [
        Outcome.COMPLETED,
        *(Outcome(str(o)) for o in rng.choice(list(Outcome), 8, p=[0.6, 0.1, 0.1, 0.1, 0.1])),
    ]

    def points(name: str, kills: tuple[int, ...]) -> list[Point]:
        url, asked = f"sqlite:///{tmp_path / name}.db", []
        store = open_study(spec, url)
        for number, outcome in enumerate(outcomes):
            if number in kills:
                if number % 2:
                    store.ask()
                store = open_study(spec, url)
                store.requeue_orphans()
            asked.append(train(store, outcome))
        return asked

    whole = points("whole", ())
    assert points("killed", (1, 4, 7)) == whole
    assert len({str(point) for point in whole}) > 5


def test_sqlite_writes_ahead_and_waits_for_others(make_spec: Make, url: str, tmp_path: Path) -> None:
    store = open_study(make_spec(), url)
    file = tmp_path / "studies.db"
    with store._storage.engine.connect() as connection:
        pragmas = {
            p: connection.exec_driver_sql(f"PRAGMA {p}").scalar() for p in ("journal_mode", "synchronous")
        }
        assert pragmas == {"journal_mode": "wal", "synchronous": 1}
        assert (connection.exec_driver_sql("PRAGMA busy_timeout").scalar() or 0) >= 30_000
    store.ask()
    assert (tmp_path / "studies.db-wal").exists()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
