"""Whose trial is whose, when several coordinators run one study: claims, heartbeats and a lock between them.

On a server (PostgreSQL) coordinators take turns by advisory locks, which the server lets go when the process
that holds one is gone, however that ended. SQLite knows no such locks: there a file keeps a second
coordinator away (`searcher/lock.py`), and every running trial that a new one finds is an orphan.
"""

from __future__ import annotations

import math
import os
import socket
import uuid
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

import sqlalchemy
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import Connection, column, extract, func, select, table

from searcher.addresses import is_shareable

BEAT_SECONDS = 10.0
"""Between two signs of life of a running trial."""

GRACE_SECONDS = 60.0
"""Without a sign of life for so long a trial's coordinator counts as dead (house rule: six beats)."""

OWNER = "searcher:owner"
"""The attribute of a trial that names the coordinator which runs it."""

BEATS = table("trial_heartbeats", column("trial_id"), column("heartbeat"))
"""Where Optuna keeps the signs of life."""


class Claims(Protocol):
    """How the coordinators of one study keep out of each other's way."""

    me: str
    shared: bool

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other coordinator counts, asks, tells or takes over trials meanwhile."""
        ...

    def beat(self, trial_ids: Iterable[int]) -> None:
        """These trials are alive."""
        ...

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the running trials whose coordinator is gone."""
        ...

    def keeps_record(self) -> bool:
        """Whether this coordinator is the one that writes the record; if nobody does, from now on it is."""
        ...

    def close(self) -> None:
        """Let everything go."""
        ...


class Alone:
    """The only coordinator: a lock file keeps others away."""

    shared = False

    def __init__(self) -> None:
        self.me = _name()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        yield

    def beat(self, trial_ids: Iterable[int]) -> None: ...

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        return list(running)

    def keeps_record(self) -> bool:
        return True

    def close(self) -> None: ...


class Among:
    """One coordinator among others, on a PostgreSQL server."""

    shared = True

    def __init__(self, storage: RDBStorage, study: str, grace: float = GRACE_SECONDS) -> None:
        self.me = _name()
        self._engine = storage.engine
        self._storage = storage
        self._study = study
        self._grace = grace
        self._record: Connection | None = None  # holds the record's lock as long as it is open

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with advisory_lock(self._engine, f"trials of {self._study}"):
            yield

    def beat(self, trial_ids: Iterable[int]) -> None:
        for trial_id in trial_ids:
            self._storage.record_heartbeat(trial_id)

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        trials = {trial._trial_id: trial for trial in running}
        age = extract("epoch", func.localtimestamp() - BEATS.c.heartbeat)  # by the server's clock alone
        with self._engine.connect() as connection:
            rows = connection.execute(select(BEATS.c.trial_id, age).where(BEATS.c.trial_id.in_(list(trials))))
            ages = {trial_id: float(seconds) for trial_id, seconds in rows}
        # a trial is claimed with its first beat, under the lock: without one nobody has it
        return [trial for trial_id, trial in trials.items() if ages.get(trial_id, math.inf) > self._grace]

    def keeps_record(self) -> bool:
        if self._record is not None and _is_open(self._record):
            return True
        connection = self._engine.connect()
        key = _key(f"record of {self._study}")
        if connection.execute(select(func.pg_try_advisory_lock(key))).scalar_one():
            connection.commit()  # the lock is the session's, not the transaction's
            self._record = connection
            return True
        connection.close()
        return False

    def close(self) -> None:
        if self._record is not None:
            self._record.invalidate()  # the session ends with its lock, instead of going back to the pool
            self._record.close()
            self._record = None


def claims_for(storage: RDBStorage, study: str) -> Claims:
    """How coordinators of `study` share this store."""
    return Among(storage, study) if is_shareable(str(storage.url)) else Alone()


@contextmanager
def advisory_lock(engine: sqlalchemy.Engine, what: str) -> Iterator[None]:
    """Hold the server's lock called `what`; it is waited for, and goes with this process."""
    with engine.connect() as connection:
        connection.execute(select(func.pg_advisory_lock(_key(what))))
        connection.commit()
        try:
            yield
        finally:
            connection.execute(select(func.pg_advisory_unlock(_key(what))))
            connection.commit()


def _is_open(connection: Connection) -> bool:
    """Whether the session behind it still lives: a server that was restarted has let its locks go."""
    try:
        connection.execute(select(1))
        connection.commit()
    except sqlalchemy.exc.SQLAlchemyError:
        connection.invalidate()
        connection.close()
        return False
    return True


def _key(what: str) -> int:
    return zlib.crc32(f"searcher: {what}".encode())


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
