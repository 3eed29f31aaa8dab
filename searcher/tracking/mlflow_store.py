"""MLflow's store: reached, made when it is fresh, its errors in our own words, its batches."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy

from searcher.addresses import hide_passwords
from searcher.errors import SearcherError, TrackingError
from searcher.lock import beside, sqlite_file

if TYPE_CHECKING:
    from mlflow import MlflowClient

DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


def connect(uri: str) -> MlflowClient:
    """A client of the tracking server or store at `uri`; a fresh store gets its tables.

    MLflow keeps stores open by their address: so that of a file in the working folder is made one that holds
    in all folders.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # standard output is the view's
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")  # standard error is for errors
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    from mlflow import MlflowClient

    for name in ("alembic", "mlflow"):  # loading mlflow sets its own level
        logging.getLogger(name).setLevel(logging.ERROR)
    if (database := sqlite_file(uri)) is not None:
        uri = f"sqlite:///{database.absolute()}"
        _create_whole(database.absolute())
    if uri.partition(":")[0].partition("+")[0] in DATABASES:
        sqlalchemy.create_engine(uri).connect().close()  # fails at once as well
    return MlflowClient(tracking_uri=uri)


def _create_whole(database: Path) -> None:
    """Make a fresh SQLite store beside and rename it: MLflow cannot go on with a half made one.

    One process at a time: a store that is renamed over another, whose log is in use, spoils it.
    """
    from mlflow import MlflowClient

    if database.exists():
        return
    fresh = database.with_name(f"{database.name}.part")
    fresh.touch()  # fails at once where nothing can be written; MLflow would try for 100 seconds
    with beside(database):
        fresh.unlink(missing_ok=True)
        if database.exists():
            return  # somebody else was faster
        MlflowClient(tracking_uri=f"sqlite:///{fresh}").search_experiments(max_results=1)
        fresh.replace(database)
        with sqlalchemy.create_engine(f"sqlite:///{database}").connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")  # stays with the file


SAFE = ". Trials are safe in the study store; the next run brings the record up to it"
"""What a person has to know when a record cannot be written."""


@contextmanager
def translated(uri: str, what: str = "written", moreover: str = SAFE) -> Iterator[None]:
    """Errors of MLflow in our own words, saying that the record cannot be `what`; those that have such words
    already stay as they are."""
    try:
        yield
    except SearcherError:
        raise
    except Exception as error:
        first = (str(error).splitlines() or [type(error).__name__])[0][:300]
        raise TrackingError(
            f"the MLflow record at {hide_passwords(uri)} cannot be {what}: {first}; check the address and "
            f"that the server is running, or name another one with --tracking-uri{moreover}"
        ) from error


MOST_METRICS, MOST_PARAMS, MOST_TAGS = 1000, 100, 100
"""What MLflow takes in one batch."""


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """The items in pieces of at most `size`."""
    return (items[i : i + size] for i in range(0, len(items), size))
