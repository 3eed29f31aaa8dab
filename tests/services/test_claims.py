"""Whose trial is whose, on a real PostgreSQL server."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import optuna
import pytest
import sqlalchemy
import told_trials
from optuna.trial import TrialState
from servers import PostgreSQL

from searcher.claims import Among, Claims
from searcher.errors import StorageError
from searcher.opening import open_study
from searcher.spec import parse_spec
from searcher.storage import LETS_GO, open_storage, translated
from searcher.store import StudyStore
from searcher.turns import SessionLease, advisory_lock

GRACE = 1.0

SPEC = {
    "name": "claimed",
    "space": {"x": {"low": 0.0, "high": 1.0}},
    "search": {"trials": 4},
    "dispatch": {"grace_seconds": GRACE},
}

ADD_ONE = """
import sys, time
from searcher.claims import Among
from searcher.errors import StorageError
from searcher.storage import LETS_GO, open_storage, translated
storage = open_storage(sys.argv[1])
claims = Among(storage, "counting", 60.0)
for _ in range(20):
    with claims.exclusive(), storage.engine.connect() as connection:
        count = connection.exec_driver_sql("SELECT number FROM counter").scalar()
        time.sleep(0.005)
        connection.exec_driver_sql(f"UPDATE counter SET number = {count + 1}")
        connection.commit()
"""


@pytest.fixture
def make_store(storage: str) -> Callable[[], StudyStore]:
    """Another coordinator's view of the same study."""
    return lambda: open_study(parse_spec(SPEC, "test"), storage)


def states(storage: str) -> list[TrialState]:
    return [trial.state for trial in optuna.load_study(study_name="claimed", storage=storage).trials]


def test_what_is_exclusive_excludes_other_processes(storage: str) -> None:
    engine = open_storage(storage).engine
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE counter AS SELECT 0 AS number")
        connection.commit()
    command = [sys.executable, "-c", ADD_ONE, storage]
    processes = [subprocess.Popen(command) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT number FROM counter").scalar() == 40


def test_a_trial_without_signs_of_life_is_taken_over_after_the_grace(
    make_store: Callable[[], StudyStore], storage: str
) -> None:
    dead, alive = make_store(), make_store()
    trial, point = dead.ask()
    kept, _ = alive.ask()
    assert alive.requeue_orphans(besides=[kept.number]) == 0
    end = time.monotonic() + 1.5 * GRACE
    while time.monotonic() < end:
        assert alive.beat([kept.number]) == []
        time.sleep(GRACE / 10)
    third = make_store()  # it judges at once, and finds one of the two silent
    assert third.requeue_orphans() == 1
    assert states(storage) == [TrialState.WAITING, TrialState.RUNNING]
    again, same = alive.ask()
    assert (again.number, same) == (trial.number, point)
    assert dead.beat([trial.number]) == [trial.number], "it is told that its trial is another's now"
    assert not dead.is_ours(trial.number) and alive.is_ours(trial.number)


def test_who_was_away_itself_judges_nobody_yet(make_store: Callable[[], StudyStore]) -> None:
    one, other = make_store(), make_store()
    one.ask()
    time.sleep(1.2 * GRACE)
    assert other.requeue_orphans() == 0, "it has not been heard of itself"
    other.beat([])
    assert other.requeue_orphans() == 0
    end = time.monotonic() + 1.5 * GRACE
    while time.monotonic() < end:
        other.beat([])
        time.sleep(GRACE / 10)
    assert other.requeue_orphans() == 1


def test_a_server_that_was_away_has_silenced_nobody(storage: str, postgresql: PostgreSQL) -> None:
    grace = 6.0  # a server takes a while to start, and a study to be opened

    def make_store() -> StudyStore:
        return open_study(parse_spec({**SPEC, "dispatch": {"grace_seconds": grace}}, "test"), storage)

    make_store().ask()
    time.sleep(1.2 * grace)
    postgresql.stop("immediate")
    postgresql.start()
    assert make_store().requeue_orphans() == 0
    time.sleep(1.2 * grace)
    assert make_store().requeue_orphans() == 1


def test_own_trials_are_left_alone_and_begun_ones_that_were_lost_are_queued_again(
    make_store: Callable[[], StudyStore], storage: str
) -> None:
    store = make_store()
    kept, _ = store.ask()
    lost, _ = store.ask()  # the server went away before anybody was told of it
    assert store.requeue_orphans(besides=[kept.number]) == 1
    assert states(storage) == [TrialState.RUNNING, TrialState.WAITING]
    assert store.ask()[0].number == lost.number


def test_the_record_is_handed_on_when_its_keeper_is_gone(storage: str, postgresql: PostgreSQL) -> None:
    leases = [SessionLease(open_storage(storage).engine, "record") for _ in range(2)]
    assert [lease.take() for lease in leases] == [True, False]
    assert leases[0].take() and leases[0].is_held() and not leases[1].is_held()
    leases[0].release()
    assert leases[1].take() and not leases[0].take()
    postgresql.stop()
    assert not leases[1].is_held() and not leases[1].take()
    postgresql.start()
    assert not leases[1].is_held(), "somebody else may have had it meanwhile"
    assert leases[0].take() and not leases[1].take()


def test_who_hangs_while_it_excludes_others_is_ended(storage: str) -> None:
    engine = open_storage(storage).engine
    holds, hung = threading.Event(), threading.Event()

    def hang() -> None:
        with (
            contextlib.suppress(sqlalchemy.exc.OperationalError),
            advisory_lock(engine, "trials", GRACE),
        ):
            holds.set()
            hung.wait(60)

    thread = threading.Thread(target=hang)
    thread.start()
    assert holds.wait(60)
    with (
        pytest.raises(sqlalchemy.exc.OperationalError, match="lock timeout"),
        advisory_lock(engine, "trials", GRACE),
    ):
        pass
    with advisory_lock(engine, "trials", GRACE):
        hung.set()
    thread.join(60)


def test_beats_are_several_in_a_grace(storage: str) -> None:
    claims: list[Claims] = [Among(open_storage(storage), "any", grace) for grace in (3.0, 60.0, 600.0)]
    assert [claim.beat_seconds for claim in claims] == [0.5, 10.0, 10.0]


def test_who_stands_still_in_the_middle_of_a_change_holds_nobody_up(
    make_store: Callable[[], StudyStore], storage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LETS_GO, "idle_in_transaction_session_timeout", "500")
    still, other = make_store(), make_store()
    trial, _ = still.ask()
    stands = open_storage(storage).engine.connect()
    stands.exec_driver_sql("UPDATE trial_heartbeats SET heartbeat = now()")
    begin = time.monotonic()
    other.claims.beat([trial._trial_id])  # waits for it
    assert 0.3 < time.monotonic() - begin < 30
    with pytest.raises(StorageError) as error, translated(storage):
        stands.exec_driver_sql("SELECT 1")
    assert error.value.passing, "it goes on once it is awake"


def test_listed_points_are_queued_once_by_coordinators_that_start_together(
    make_store: Callable[[], StudyStore], storage: str
) -> None:
    make_store()
    points = [{"x": place / 8} for place in range(6)]
    stores: list[StudyStore] = []
    starts = [
        threading.Thread(
            target=lambda: stores.append(open_study(parse_spec({**SPEC, "enqueue": points}, "test"), storage))
        )
        for _ in range(4)
    ]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    asked = []
    for store in [*stores, *stores[:2]]:
        with store.exclusive():
            asked.append(store.ask()[1].sampled)
    assert asked == points and states(storage) == [TrialState.RUNNING] * 6


def test_coordinators_of_a_study_are_guided_by_the_same_earlier_trials(storage: str) -> None:
    own = {**SPEC, "train": {"trainer": "some:trainer"}}
    early = open_study(parse_spec({**own, "name": "early"}, "test"), storage)
    for _ in range(3):
        told_trials.train(early)
    warm = {**own, "search": {"trials": 4, "warm_start": ["early"]}}
    first = open_study(parse_spec(warm, "test"), storage)
    told_trials.train(early)
    second = open_study(parse_spec(warm, "test"), storage)
    assert first.notes == second.notes and "3 of 3 finished trials" in first.notes[-1]
