"""Whose trial is whose, when several coordinators run one study: claims, heartbeats and locks between them.

On a server (PostgreSQL) coordinators take turns by advisory locks (`searcher/turns.py`). SQLite knows no such
locks: there a file keeps a second coordinator away (`searcher/lock.py`), and every running trial that a new
one finds is an orphan.
"""

from __future__ import annotations

import math
import os
import socket
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial
from sqlalchemy import TIMESTAMP, cast, column, extract, func, select, table

from searcher.addresses import is_shareable
from searcher.turns import Lease, OwnLease, SessionLease, advisory_lock

BEATS_PER_GRACE = 6
"""Signs of life of a running trial in the time after which its coordinator counts as dead (house rule)."""

MOST_BEAT_SECONDS = 10.0
"""The longest time between two of them."""

OWNER = "searcher:owner"
"""The attribute of a trial that names the coordinator which runs it."""

BEATS = table("trial_heartbeats", column("trial_id"), column("heartbeat"))
"""Where Optuna keeps the signs of life."""


class Claims(Protocol):
    """How the coordinators of one study keep out of each other's way.

    Who holds the lease of the `record` writes it. A sign of life is due every `beat_seconds`.
    """

    me: str
    shared: bool
    beat_seconds: float
    record: Lease

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other coordinator counts, asks, tells or takes over trials meanwhile."""
        ...

    def beat(self, trial_ids: Iterable[int]) -> None:
        """We are alive, and so are these trials."""
        ...

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        """Those of the running trials, none of which we are training, that nobody else is training either."""
        ...

    def close(self) -> None:
        """Let everything go."""
        ...


class Alone:
    """The only coordinator: a lock file keeps others away."""

    shared = False
    beat_seconds = MOST_BEAT_SECONDS

    def __init__(self) -> None:
        self.me = _name()
        self.record: Lease = OwnLease()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        yield

    def beat(self, trial_ids: Iterable[int]) -> None: ...

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        return list(running)

    def close(self) -> None: ...


class Among:
    """One coordinator among others, on a PostgreSQL server.

    Another one counts as dead when a trial of its has shown no life for `grace` seconds, in which the server
    was up and we were in touch with it ourselves: after an outage everybody is late.
    """

    shared = True

    def __init__(self, storage: RDBStorage, study: str, grace: float) -> None:
        self.me = _name()
        self.beat_seconds = min(MOST_BEAT_SECONDS, grace / BEATS_PER_GRACE)
        self.record: Lease = SessionLease(storage.engine, f"record of {study}")
        self._engine = storage.engine
        self._storage = storage
        self._study = study
        self._grace = grace
        self._beat_at = time.monotonic()
        self._in_touch_since = -math.inf  # who was never away may judge others at once

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        with advisory_lock(self._engine, f"trials of {self._study}", self._grace):
            yield

    def beat(self, trial_ids: Iterable[int]) -> None:
        for trial_id in trial_ids:
            self._storage.record_heartbeat(trial_id)
        self._note_gap()
        self._beat_at = time.monotonic()

    def orphans(self, running: Iterable[FrozenTrial]) -> list[FrozenTrial]:
        trials = {trial._trial_id: trial for trial in running}
        up_since = cast(func.pg_postmaster_start_time(), TIMESTAMP)
        silent = extract("epoch", func.localtimestamp() - func.greatest(BEATS.c.heartbeat, up_since))
        with self._engine.connect() as connection:  # all times are those of the server's clock
            rows = connection.execute(
                select(BEATS.c.trial_id, silent).where(BEATS.c.trial_id.in_(list(trials)))
            )
            silences = {trial_id: float(seconds) for trial_id, seconds in rows}
        self._note_gap()
        in_touch = time.monotonic() - self._in_touch_since

        def is_left(trial_id: int, trial: FrozenTrial) -> bool:
            # a trial is claimed with its first beat, under the lock: without one nobody has it
            silence = min(in_touch, silences[trial_id]) if trial_id in silences else math.inf
            return silence > self._grace or trial.user_attrs.get(OWNER) == self.me

        return [trial for trial_id, trial in trials.items() if is_left(trial_id, trial)]

    def close(self) -> None:
        self.record.release()

    def _note_gap(self) -> None:
        """We were away ourselves, if we have missed several beats: who seems silent may be alive."""
        if time.monotonic() - self._beat_at > self._grace / 2:
            self._in_touch_since = time.monotonic()


def claims_for(storage: RDBStorage, study: str, grace: float) -> Claims:
    """How coordinators of `study` share this store; after `grace` seconds without a sign of life one counts
    as dead."""
    return Among(storage, study, grace) if is_shareable(str(storage.url)) else Alone()


def _name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
