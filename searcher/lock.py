"""One coordinator for a study: a lock that goes when its process does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from searcher.errors import StorageError, StudyBusy


@contextmanager
def study_lock(runs: Path, name: str, storage: str) -> Iterator[None]:
    """Hold the study `name` for this process, by a file in its folder `runs` and, for SQLite, one beside
    the store.

    Raises: StudyBusy when another process holds it, StorageError when the folder cannot be written.
    """
    with ExitStack() as held:
        try:
            runs.mkdir(parents=True, exist_ok=True)
            for file in (runs / "lock", *_beside_store(name, storage)):
                held.enter_context(FileLock(file).acquire(timeout=0))
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


def _beside_store(name: str, storage: str) -> list[Path]:
    database = Path(storage.removeprefix("sqlite:///"))
    lock = database.with_name(f"{database.name}.{name}.lock")
    try:
        if not storage.startswith("sqlite:///"):
            return []
        lock.touch()
    except OSError:
        return []  # nothing can be written there: the store itself will say so
    return [lock]
