"""`load_data`: settings to `Splits`, remembered in this process for the next trial of the study."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trainers.data.files import sha256_of
from trainers.data.finding import find_paths, find_source, stamps
from trainers.data.samples import Samples, Splits
from trainers.data.splitting import split_samples
from trainers.errors import DataError

if TYPE_CHECKING:
    from trainers.config import TrialConfig

SPLITTING = (*("data", "validation_fraction", "test_fraction", "data_seed", "max_samples", "scaling"),)
"""The settings that matter for every source, besides those its `read` looks up."""

REMEMBERED = 1 << 30
"""Bytes of tensors that are remembered at most; the newest set always is."""

_ABSENT = object()


class Noted(Mapping[str, Any]):
    """Settings that note which of them were looked up, and what was found."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self.seen: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        self.seen[name] = self._settings.get(name, _ABSENT)
        return self._settings[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._settings)

    def __len__(self) -> int:
        return len(self._settings)


@dataclass(frozen=True, eq=False)
class Memory:
    """One remembered set: what it was made from, and the settings that were looked up for it."""

    key: tuple[Any, ...]
    seen: Mapping[str, Any]
    splits: Splits

    def fits(self, key: tuple[Any, ...], settings: Mapping[str, Any]) -> bool:
        """Whether the same settings would give the same set."""
        return self.key == key and all(
            settings.get(name, _ABSENT) == value for name, value in self.seen.items()
        )

    @property
    def size(self) -> int:
        """Bytes of its tensors."""
        parts = [self.splits.train, self.splits.validation, self.splits.test]
        tensors = [tensor for part in parts if part is not None for tensor in (part.x, part.y)]
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


_memories: list[Memory] = []
_lock = threading.Lock()


def load_data(config: TrialConfig) -> Splits:
    """The data of `config`, the same object again as long as no setting that matters changes.

    Raises: DataError when it is missing, broken or does not fit the settings; OwnCodeError when own
    code does not give data.
    """
    settings = config.settings()
    source = find_source(config.data)
    with _lock:
        paths = find_paths(config.data, source, config.data_dir)
        key = (*(settings[name] for name in SPLITTING), stamps(paths))
        for memory in _memories:
            if memory.fits(key, settings):
                _memories.remove(memory)
                _memories.append(memory)
                return memory.splits
        noted = Noted(settings)
        with _readable(config.data):
            given = source.read(paths, noted)
        digest = _digest(paths, given)
        if isinstance(given, Samples):
            splits = split_samples(given, config, digest)
        else:
            splits = replace(given, digest=given.digest or digest)
        _remember(Memory(key, noted.seen, splits))
        return splits


def check_data(config: TrialConfig) -> None:
    """Say early and cheaply what would keep `load_data` from working; fetches a public set.

    Looks at the beginnings of files only. Raises: DataError, OwnCodeError.
    """
    source = find_source(config.data)
    paths = find_paths(config.data, source, config.data_dir)
    if source.check is not None:
        with _readable(config.data):
            source.check(paths, config.settings())


def forget_data() -> None:
    """Let go of every remembered set."""
    with _lock:
        _memories.clear()


@contextmanager
def _readable(data: str) -> Iterator[None]:
    """What the file system says, in our own words."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"data: {data!r} cannot be read: {error}; put a readable file or folder there"
        ) from error


def _remember(memory: Memory) -> None:
    _memories.append(memory)
    while len(_memories) > 1 and sum(known.size for known in _memories) > REMEMBERED:
        _memories.pop(0)


def _digest(paths: tuple[Path, ...], given: Samples | Splits) -> str:
    """The first 16 hex digits of the SHA-256 of the files, or of the arrays where there are none."""
    digest = hashlib.sha256()
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file():
                digest.update(str(file.relative_to(path)).encode() + sha256_of(file).encode())
    if not paths:
        for array in _arrays(given):
            digest.update(f"{array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _arrays(given: Samples | Splits) -> Iterable[Any]:
    if isinstance(given, Samples):
        return [given.x, given.y, *(given.test or ())]
    parts = [given.train, given.validation, given.test]
    return [tensor.numpy() for part in parts if part is not None for tensor in (part.x, part.y)]
