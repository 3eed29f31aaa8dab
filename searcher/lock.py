"""One coordinator for a study: a lock that goes when its process does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from searcher.errors import StorageError, StudyBusy


@contextmanager
def study_lock(runs: Path, name: str) -> Iterator[None]:
    """Hold the study `name` for this process, by a file in its folder `runs`.

    Raises: StudyBusy when another process holds it, StorageError when the folder cannot be written.
    """
    try:
        runs.mkdir(parents=True, exist_ok=True)
        lock = FileLock(runs / "lock")
        lock.acquire(timeout=0)
    except Timeout:
        raise StudyBusy(f"study {name!r} is being run by another process in {runs.resolve()}") from None
    except OSError as error:
        raise StorageError(
            f"the folder {runs} cannot be written: {error.strerror}; "
            "start in another folder, or name one with --runs"
        ) from error
    try:
        yield
    finally:
        lock.release()
