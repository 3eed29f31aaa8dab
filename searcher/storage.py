"""The database under Optuna's store: opened, tuned, its errors in our own words."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import sqlalchemy
from optuna.storages import RDBStorage

from searcher.addresses import hide_passwords, is_shareable
from searcher.errors import StorageError
from searcher.lock import beside, sqlite_file
from searcher.turns import advisory_lock

BUSY_SECONDS = 30
"""How long SQLite waits for another writer."""

TABLES_SECONDS = 60.0
"""How long the making of tables may take."""

LETS_GO = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "idle_in_transaction_session_timeout": "15000",
}
"""When a server lets go of what a machine held that is gone (after half a minute; by itself after two hours),
and of what a process holds that stands still in the middle of a change (after milliseconds; else never)."""

optuna.logging.set_verbosity(optuna.logging.ERROR)
logging.getLogger("alembic").setLevel(logging.WARNING)


def open_storage(url: str) -> RDBStorage:
    """The store at `url`; SQLite with a write-ahead log and a long busy timeout."""
    sqlite = url.startswith("sqlite")
    options: dict[str, Any] = {"pool_pre_ping": True}  # a server may have been started again meanwhile
    if sqlite:
        options = {"connect_args": {"timeout": BUSY_SECONDS}}
    file = sqlite_file(url)
    with beside(file) if file is not None else _alone_on(url):  # two that make its tables at once collide
        storage = RDBStorage(url, engine_kwargs=options)
    if sqlite or is_shareable(url):
        sqlalchemy.event.listen(storage.engine, "connect", _tune_sqlite if sqlite else _tune_postgresql)
        storage.engine.dispose()  # connections made before the tuning
    return storage


@contextmanager
def _alone_on(url: str) -> Iterator[None]:
    """No other process makes tables on this server meanwhile, where it can be asked for that."""
    if not is_shareable(url):
        yield
        return
    engine = sqlalchemy.create_engine(url)
    try:
        with advisory_lock(engine, "tables", TABLES_SECONDS):
            yield
    finally:
        engine.dispose()


def _tune_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.close()


def _tune_postgresql(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("SET timezone = 'UTC'")  # signs of life are kept without their zone
    for name, value in LETS_GO.items():
        cursor.execute(f"SET {name} = {value}")
    cursor.close()
    connection.commit()


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Errors of the store in our own words."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            warnings.filterwarnings("ignore", message="Constraints have been set")  # cma-es has the stand-in
            yield
    except (sqlalchemy.exc.SQLAlchemyError, optuna.exceptions.OptunaError, ImportError, OSError) as error:
        causes = _chain(error)
        text = (str(causes[-1]).splitlines() or [type(causes[-1]).__name__])[0]
        raise StorageError(
            f"the study store {hide_passwords(url)} cannot be used: {text}; {_advice(text)}. "
            "What was recorded before is safe",
            passing=any(_may_pass(cause) for cause in causes),
        ) from error


def _chain(error: BaseException) -> list[BaseException]:
    """The error and what led to it."""
    chain = [error]
    while (before := chain[-1].__cause__ or chain[-1].__context__) is not None and before not in chain:
        chain.append(before)
    return chain


def _may_pass(error: BaseException) -> bool:
    """Whether it is a server that is away, or a file somebody else holds."""
    away = (
        sqlalchemy.exc.OperationalError,
        sqlalchemy.exc.InterfaceError,
        sqlalchemy.exc.PendingRollbackError,  # of a session that was cut off
    )
    gone = isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated
    lasting = ("disk is full", "disk i/o", "readonly", "unable to open", "malformed", "authentication failed")
    return (isinstance(error, away) or gone) and not any(sign in str(error).lower() for sign in lasting)


def _advice(text: str) -> str:
    known = {
        "disk is full": "free some disk space and run the same command again",
        "disk i/o": "its disk is broken or a quota is used up; free some space and run the command again",
        "readonly": "make it writable or name another one with --storage",
        "unable to open": "its folder must exist and be writable; or name another one with --storage",
        "locked": "another program holds it; end that one or wait, and run the same command again",
        "module": "install the database's driver, for PostgreSQL: pip install 'searcher[postgresql]'",
    }
    found = (advice for sign, advice in known.items() if sign in text.lower())
    return next(found, "check the address and that the server is running, or name another one with --storage")
