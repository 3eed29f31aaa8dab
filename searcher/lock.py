"""Locks by files: one coordinator for a study, one process at a time that makes a database.

A lock goes when its process does, however that ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from searcher.addresses import is_shareable
from searcher.errors import StorageError, StudyBusy


@contextmanager
def study_lock(runs: Path, name: str, storage: str) -> Iterator[None]:
    """Hold the study `name` for this process, by a file in its folder `runs` and, for SQLite, one beside
    the store. In a store that coordinators share nothing is held.

    Raises: StudyBusy when another process holds it, StorageError when the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            runs.mkdir(parents=True, exist_ok=True)
            if not is_shareable(storage):
                held.enter_context(FileLock(runs / "lock").acquire(timeout=0))
            database = sqlite_file(storage)
            if database is not None:
                held.enter_context(beside(database, f".{name}.lock", wait=False))
        except Timeout as taken:
            raise StudyBusy(
                f"study {name!r} is being run by another process, which holds {taken.lock_file}"
            ) from None
        except OSError as error:
            raise StorageError(
                f"the folder {runs} cannot be written: {error.strerror}; "
                "start in another folder, or name one with --runs"
            ) from error
        yield


def is_held(name: str, storage: str) -> bool:
    """Whether a process runs the study `name` of this SQLite store."""
    database = sqlite_file(storage)
    try:
        with beside(database, f".{name}.lock", wait=False) if database is not None else nullcontext():
            return False
    except Timeout:
        return True


@contextmanager
def beside(file: Path, suffix: str = ".lock", wait: bool = True) -> Iterator[None]:
    """Hold a lock file beside `file`. Where none can be written nothing is held: whoever goes on to
    write there will find out. Raises: filelock.Timeout when it is taken and there is no `wait`."""
    lock = file.with_name(file.name + suffix)
    with suppress(OSError):
        lock.touch()
    held = FileLock(lock).acquire(timeout=-1 if wait else 0) if lock.exists() else nullcontext()
    with held:
        yield


def sqlite_file(url: str) -> Path | None:
    """The file of an SQLite store, None for any other, and for one in memory or given as a URI."""
    name = url.removeprefix("sqlite:///")
    plain = url.startswith("sqlite:///") and not name.startswith(("file:", ":memory:"))
    return Path(name) if plain else None
