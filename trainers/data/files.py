"""Where files of data lie: looked for in a few folders, verified, and fetched when they are public."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from trainers.data.fetching import FetchError, fetch
from trainers.data.sources import File
from trainers.errors import DataError

VARIABLE = "SEARCHER_DATA"
"""The environment variable that names a folder of data."""

HOW = f"name a folder with --data-dir (data_dir in a study) or in the variable {VARIABLE}"


def find_file(path: str, data_dir: str | None) -> Path:
    """The file or folder a person named, from `folders` when the path is relative.

    Raises: DataError with every place that was looked at.
    """
    wanted = Path(path).expanduser()
    places = [wanted] if wanted.is_absolute() else [folder / wanted for folder in folders(data_dir)]
    for place in places:
        if place.exists():
            return place.resolve()
    raise DataError(f"data: there is no {path!r}; looked for {_listed(places)}; {HOW}")


def find_files(name: str, files: Sequence[File], data_dir: str | None) -> tuple[Path, ...]:
    """The verified files of the set `name`; those that are missing are fetched, if that is possible.

    Raises: DataError that names the missing files, where they were looked for and where to put them,
    or a file whose content is not the published one.
    """
    places = [place for folder in folders(data_dir) for place in (folder / name, folder)]
    home = _home(name, data_dir)
    found: dict[str, Path] = {}
    wrong: list[tuple[File, Path]] = []
    for file in files:
        there = [place / file.name for place in places if (place / file.name).is_file()]
        right = [path for path in there if file.sha256 in (None, sha256_of(path))]
        if right:
            found[file.name] = right[0]
        elif there:
            wrong.append((file, there[0]))
    reason = _fetch_missing([file for file in files if file.name not in found], home, found)
    for file, path in wrong:
        if file.name not in found:
            raise DataError(
                f"data: {path} is not the published file of {name}: expected SHA-256 "
                f"{file.sha256}, found {sha256_of(path)}; remove it or put the right file there"
            )
    missing = [file.name for file in files if file.name not in found]
    if missing:
        raise DataError(
            f"data: {name} needs files that are not here: {', '.join(missing)}; looked in "
            f"{_listed(places)}; fetching failed ({reason}); put them into {home}, or {HOW}"
        )
    return tuple(found[file.name].resolve() for file in files)


def folders(data_dir: str | None) -> list[Path]:
    """Where data is looked for, in order: `data_dir`, $SEARCHER_DATA, the working folder, its `data`."""
    named = [Path(given).expanduser() for given in (data_dir, os.environ.get(VARIABLE)) if given]
    return list(dict.fromkeys([*named, Path.cwd(), Path.cwd() / "data"]))


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, computed again only when its size or time changed."""
    stat = path.stat()
    return _sha256(str(path), stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=4096)
def _sha256(path: str, changed: int, size: int) -> str:
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch_missing(missing: Sequence[File], home: Path, found: dict[str, Path]) -> str:
    """Fetch into `home` and note in `found`. Gives the reason when one failed; asks no further then."""
    for file in missing:
        if (home / file.name).exists():
            return f"{home / file.name} is in the way"
        try:
            found[file.name] = fetch(file, home)
        except FetchError as error:
            return str(error)
    return ""


def _home(name: str, data_dir: str | None) -> Path:
    """Where a fetched set goes: into a folder of its name, where `find_files` looks first."""
    base = Path(data_dir or os.environ.get(VARIABLE) or Path.cwd() / "data").expanduser()
    return base if base.name == name else base / name


def _listed(places: Sequence[Path]) -> str:
    return ", ".join(str(place) for place in places)
