"""From the setting `data` to its source and its files: a known name, a path, or own code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from trainers.choices import unknown
from trainers.data.datasets import DATASETS, FORMATS, IMAGE_FOLDER
from trainers.data.files import find_file, find_files
from trainers.data.own_data import check_own, read_own
from trainers.data.sources import File, Source
from trainers.errors import DataError
from trainers.owncode import is_own_code
from trainers.shapes import Kind

KNOWN = (
    f"a path to a table or arrays or a text ({', '.join(FORMATS)}) or to a folder of images, or own "
    "code as 'package.module:function'"
)


def find_source(data: str) -> Source:
    """The source `data` asks for. What is neither a name, a known suffix nor own code is taken for a
    folder of images; whether it is there is the question of `find_paths`."""
    if data in DATASETS:
        return DATASETS[data]
    if is_own_code(data):
        return Source(None, partial(read_own, path=data), check=partial(check_own, path=data))
    return replace(FORMATS.get(_suffix(data), IMAGE_FOLDER), files=(File(data),))


def find_paths(data: str, source: Source, data_dir: str | None) -> tuple[Path, ...]:
    """The source's files on this machine, verified and, for a public set, fetched when missing.

    Raises: DataError with the names there are and the places that were looked at.
    """
    if data in DATASETS:
        return find_files(data, source.files, data_dir)
    if is_own_code(data):
        return ()
    try:
        return (find_file(data, data_dir),)
    except DataError as error:
        if _suffix(data) in FORMATS:
            raise
        raise DataError(f"data: {unknown(data, DATASETS)}; or {KNOWN}. As a path: {error}") from None


def data_kind(data: str) -> Kind | None:
    """What samples `data` holds, as far as its name tells; None when only loading can tell."""
    if data in DATASETS or _suffix(data) in FORMATS:
        return find_source(data).kind
    return "image" if not is_own_code(data) and Path(data).expanduser().is_dir() else None


def stamps(paths: Sequence[Path]) -> tuple[tuple[str, int, int], ...]:
    """What changes when a file changes, or when one comes or goes in a folder or its sub-folders."""
    folders = [path for path in paths if path.is_dir()]
    inside = [path for folder in folders for level in ("*/", "*/*/") for path in folder.glob(level)]
    stats = [(path, path.stat()) for path in sorted([*paths, *inside])]
    return tuple((str(path), stat.st_mtime_ns, stat.st_size) for path, stat in stats)


def _suffix(data: str) -> str:
    return Path(data).suffix.lower()
