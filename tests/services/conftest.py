"""Servers that the tests of a session share."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest
from servers import MlflowServer, PostgreSQL, postgresql_programs


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A running PostgreSQL server."""
    programs = postgresql_programs()
    if programs is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    server = PostgreSQL(programs)
    yield server
    server.close()


@pytest.fixture
def storage(postgresql: PostgreSQL) -> str:
    """The address of a fresh database for Optuna's store."""
    return postgresql.create(f"studies-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A running tracking server."""
    server = MlflowServer(tmp_path_factory.mktemp("mlflow-server"))
    yield server
    server.close()
