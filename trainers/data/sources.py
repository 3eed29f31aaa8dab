"""`Source`: how one data set, or one kind of file, is found, checked and read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainers.data.samples import Samples, Splits
from trainers.shapes import Kind

Settings = Mapping[str, Any]
Read = Callable[[Sequence[Path], Settings], Samples | Splits]
Check = Callable[[Sequence[Path], Settings], None]


@dataclass(frozen=True)
class File:
    """A file of a data set: its name or path, its SHA-256 and the addresses it can be fetched from."""

    name: str
    sha256: str | None = None
    homes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Where samples come from. `kind` is None when only reading tells it.

    `read` gets the files where they were found and the settings, and looks up only the settings it
    needs: those it looked up decide whether the next trial can have the same samples again. `check`
    looks at the files' beginnings only. Both raise `DataError`.
    """

    kind: Kind | None
    read: Read
    files: tuple[File, ...] = ()
    check: Check | None = None
