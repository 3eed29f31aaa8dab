"""Real servers that tests start, stop and start again: PostgreSQL and MLflow, each in a folder of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import sqlalchemy

WAIT_SECONDS = 120


def free_port() -> int:
    """A port nobody serves on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def postgresql_programs() -> Path | None:
    """The folder of `initdb` and `pg_ctl`, None where PostgreSQL is not installed."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin/initdb")  # Debian keeps them off the path
    return next((program.parent for program in sorted(versions, reverse=True)), None)


class PostgreSQL:
    """A server with fresh databases. It refuses to run as root, and runs as `postgres` then."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._user = {"user": "postgres", "group": "postgres", "extra_groups": []} if not os.getuid() else {}
        self.folder = Path(tempfile.mkdtemp(prefix="postgresql-"))
        if self._user:
            shutil.chown(self.folder, "postgres", "postgres")
        self.port = free_port()
        self._run("initdb", "--auth=trust", "--username=searcher", "--no-sync", "--encoding=UTF8")
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.folder} -c fsync=off"
        self._run("pg_ctl", "-o", options, "-l", str(self.folder / "log"), "-w", "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` as its service does, `immediate` as a power cut does."""
        self._run("pg_ctl", "-m", mode, "-w", "stop")

    def create(self, database: str) -> str:
        """The address of a new database."""
        server = self.address("postgres")
        engine = sqlalchemy.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sqlalchemy.NullPool)
        with engine.connect() as connection:
            connection.exec_driver_sql(f'CREATE DATABASE "{database}"')
        return self.address(database)

    def address(self, database: str) -> str:
        """The address of a database."""
        return f"postgresql+psycopg://searcher@127.0.0.1:{self.port}/{database}"

    def close(self) -> None:
        """Stop it for good."""
        with contextlib.suppress(subprocess.CalledProcessError):
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *options: str) -> None:
        command = [str(self._programs / program), "-D", str(self.folder / "data"), *options]
        with (self.folder / f"{program}.log").open("w") as said:  # a pipe would stay open with the server
            subprocess.run(
                command,
                check=True,
                stdout=said,
                stderr=said,
                cwd=self.folder,
                timeout=WAIT_SECONDS,
                **self._user,
            )


class MlflowServer:
    """A tracking server on its own SQLite, started as `searcher ui` does, or by a `command` of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "searcher.cli", "ui", "--port", str(self.port)]
        with (self._folder / "log").open("a") as said:
            self._process = subprocess.Popen(
                command, cwd=self._folder, stdout=said, stderr=said, start_new_session=True
            )
        end = time.monotonic() + WAIT_SECONDS
        while not self.is_up():
            assert self._process.poll() is None, (self._folder / "log").read_text()
            assert time.monotonic() < end, f"no server at {self.address} after {WAIT_SECONDS} s"
            time.sleep(0.3)

    def is_up(self) -> bool:
        """Whether it answers."""
        with contextlib.suppress(OSError), urllib.request.urlopen(f"{self.address}/health", timeout=2):
            return True
        return False

    def stop(self) -> None:
        """Kill it with all of its workers."""
        assert self._process is not None
        for process in _family(self._process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        self._process.wait(30)

    close = stop


def _family(pid: int) -> list[int]:
    import psutil

    parent = psutil.Process(pid)
    return [pid, *(child.pid for child in parent.children(recursive=True))]
