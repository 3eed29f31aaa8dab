"""Turns that processes take by advisory locks of a PostgreSQL server.

A lock belongs to a session: the server lets it go when the process that holds it is gone, however that ended.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import sqlalchemy
from sqlalchemy import Connection, column, func, select, table

LOCK_NOT_AVAILABLE = "55P03"
"""PostgreSQL's code for a lock that was waited for in vain."""

LOCKS = table("pg_locks", column("pid"), column("locktype"), column("objid"), column("granted"))
SESSIONS = table("pg_stat_activity", *map(column, ("pid", "datname", "state", "state_change")))


class Lease(Protocol):
    """Something that one process at a time may have for long."""

    def take(self) -> bool:
        """Have it from now on, or go on having it; False while another has it, or nobody can be asked."""
        ...

    def is_held(self) -> bool:
        """Whether it is ours since we took it, without a gap."""
        ...

    def release(self) -> None:
        """Let it go."""
        ...


class OwnLease:
    """Nobody else wants it."""

    def take(self) -> bool:
        return True

    def is_held(self) -> bool:
        return True

    def release(self) -> None: ...


class SessionLease:
    """A server's lock called `what`, held by a session of its own as long as that is open."""

    def __init__(self, engine: sqlalchemy.Engine, what: str) -> None:
        self._engine = engine
        self._what = what
        self._session: Connection | None = None

    def take(self) -> bool:
        if self.is_held():
            return True
        try:
            session = self._engine.connect()
            taken = bool(session.execute(select(func.pg_try_advisory_lock(_key(self._what)))).scalar_one())
            session.commit()  # the lock is the session's, not the transaction's
        except sqlalchemy.exc.SQLAlchemyError:
            return False
        if taken:
            self._session = session
        else:
            session.close()
        return taken

    def is_held(self) -> bool:
        if self._session is None:
            return False
        try:
            self._session.execute(select(1))
            self._session.commit()
        except sqlalchemy.exc.SQLAlchemyError:  # a server that was restarted has let its locks go
            self.release()
            return False
        return True

    def release(self) -> None:
        if self._session is not None:
            self._session.invalidate()  # the session ends with its lock, instead of going back to the pool
            self._session.close()
            self._session = None


@contextmanager
def advisory_lock(engine: sqlalchemy.Engine, what: str, longest: float) -> Iterator[None]:
    """Hold the server's lock called `what`, for less than `longest` seconds.

    Who holds it for longer counts as dead and loses it. Raises: OperationalError when it was waited for that
    long.
    """
    with engine.connect() as session:
        try:
            limit = f"{int(1000 * longest)}ms"
            session.execute(select(func.set_config("lock_timeout", limit, True)))
            session.execute(select(func.pg_advisory_lock(_key(what))))
            session.commit()
        except sqlalchemy.exc.OperationalError as error:
            if getattr(error.orig, "sqlstate", "") == LOCK_NOT_AVAILABLE:
                session.rollback()
                _end_holders(session, what, longest)
            raise
        try:
            yield
        finally:
            try:
                session.execute(select(func.pg_advisory_unlock(_key(what))))
                session.commit()
            except sqlalchemy.exc.SQLAlchemyError:  # the server went away, and the lock with it
                session.invalidate()


def _end_holders(session: Connection, what: str, longest: float) -> None:
    """End the session that has held the lock for too long: its process hangs, or its machine is gone."""
    holders = select(LOCKS.c.pid).where(
        LOCKS.c.locktype == "advisory", LOCKS.c.objid == _key(what), LOCKS.c.granted
    )
    idle = func.now() - SESSIONS.c.state_change > func.make_interval(0, 0, 0, 0, 0, 0, longest)
    session.execute(
        select(func.pg_terminate_backend(SESSIONS.c.pid)).where(
            SESSIONS.c.pid.in_(holders),
            SESSIONS.c.datname == func.current_database(),
            SESSIONS.c.state == "idle",
            idle,
        )
    )
    session.commit()


def _key(what: str) -> int:
    return zlib.crc32(f"searcher: {what}".encode())
