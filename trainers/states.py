"""The whole state of a training on disk, so that it can be continued where its process died.

Two files lie in the folder of the training: `state.pt`, written beside and renamed, and `said.pkl`, to which
every message is appended. A state holds how long the second file was; a training that is continued says all
that again, and goes on.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import time
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Self

import torch
from torch import Tensor, nn

from trainers.progress import Progress

STATE, SAID, ASIDE = "state.pt", "said.pkl", "state.unusable.pt"

FORMAT = 1
"""Of the state file: to be raised when older files cannot be read any more."""

State = dict[str, Any]


class Keeper:
    """Keeps the state of a training in `folder`, at most every `every` seconds; none without one of the two.

    `origin` are plain values by name, such as settings and the digest of the data: a state is only taken up
    where all of them are the same. A state of more than `limit_mb` MB is not kept. What happens to states is
    told by facts of the next message: `state_unusable` (why a state was set aside), `state_too_large_mb`,
    `state_unwritten` (what the disk said); after the last two no more are written.
    """

    def __init__(
        self,
        folder: str | Path | None,
        every: float | None,
        origin: Mapping[str, Any],
        limit_mb: float | None = None,
    ) -> None:
        self._folder = None if folder is None or every is None else Path(folder)
        self._every = every or 0.0
        self._origin = json.dumps(dict(origin), sort_keys=True, default=repr)
        self._limit_mb = limit_mb
        self._news: dict[str, float | int | str] = {}
        self._file: BinaryIO | None = None
        self._due = 0.0
        self._state: State | None = None
        self._told: deque[Progress] = deque()

    def __enter__(self) -> Self:
        if self._folder is None:
            return self
        length = 0
        if (self._folder / STATE).exists():
            try:
                self._state, self._told, length = _read(self._folder, self._origin)
            except Exception as error:  # a spoiled file may raise anything
                self._set_aside(error)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._open(length)
        except OSError as error:
            self._give_up(error)
        self._due = time.monotonic() + self._every
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def state(self) -> State | None:
        """The state to go on from, handed out once; None for a training that begins."""
        state, self._state = self._state, None
        return state

    def refuse(self, error: Exception) -> None:
        """The state could not be taken up: it is set aside, and the training begins."""
        self._told.clear()
        self._set_aside(error)
        if self._file is not None:
            self._file.truncate(0)
            self._file.seek(0)

    def told(self) -> Iterator[Progress]:
        """What was said before the state, to be said again; nothing for a training that begins."""
        while self._told:
            yield self._told.popleft()

    def hear(self, progress: Progress) -> Progress:
        """Note a message before it is said; the message, with news of the states."""
        if self._news:
            progress = replace(progress, facts={**progress.facts, **self._news})
            self._news = {}
        if self._file is not None:
            try:
                pickle.dump(progress, self._file)
                self._file.flush()
            except OSError as error:
                self._give_up(error)
        return progress

    def save(self, state_dict: Callable[[], State]) -> None:
        """Keep what `state_dict()` gives, when it is time. To be called right after a message was taken."""
        if self._file is None or self._folder is None or time.monotonic() < self._due:
            return
        try:
            self._write(self._file, self._folder, state_dict())
        except (OSError, RuntimeError) as error:  # torch tells of a full disk by the second
            self._give_up(error)
        self._due = time.monotonic() + self._every

    def keep_last(self, state_dict: Callable[[], State]) -> None:
        """The training has come to its end: its state stays, for one that goes on with more epochs."""
        self._due = 0.0
        self.save(state_dict)
        self._close()

    def forget(self) -> None:
        """The training has come to its end: nothing is kept."""
        self._close()
        if self._folder is not None:
            forget_state(self._folder)

    def _write(self, said: BinaryIO, folder: Path, state: State) -> None:
        said.flush()
        os.fsync(said.fileno())
        content = {
            "format": FORMAT,
            "torch": str(torch.__version__),
            "origin": self._origin,
            "said": said.tell(),
            "state": state,
        }
        if self._is_too_large(_bytes_of(content)):  # not even written
            return
        beside = folder / (STATE + ".part")
        with beside.open("wb") as file:
            torch.save(content, file)
            file.flush()
            os.fsync(file.fileno())
        if self._is_too_large(beside.stat().st_size):
            beside.unlink()
            return
        beside.replace(folder / STATE)

    def _is_too_large(self, size: int) -> bool:
        if self._limit_mb is None or size <= self._limit_mb * 1e6:
            return False
        self._news["state_too_large_mb"] = size / 1e6
        self._close()
        return True

    def _open(self, length: int) -> None:
        assert self._folder is not None
        path = self._folder / SAID
        self._file = path.open("r+b" if path.exists() else "w+b")
        self._file.truncate(length)
        self._file.seek(length)

    def _close(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            file.close()

    def _give_up(self, error: Exception) -> None:
        self._news["state_unwritten"] = f"{type(error).__name__}: {error}"
        self._file = None  # not closed by hand: what it still holds has no place, and would raise again

    def _set_aside(self, error: Exception) -> None:
        assert self._folder is not None
        self._news["state_unusable"] = str(error) if isinstance(error, Unfit) else _named(error)
        (self._folder / STATE).replace(self._folder / ASIDE)


class Unfit(Exception):
    """A state that cannot be used here; the text says why."""


def forget_state(folder: Path) -> None:
    """Remove what a training keeps in its folder to be continued, if anything."""
    for name in (STATE, STATE + ".part", SAID, ASIDE):
        (folder / name).unlink(missing_ok=True)


def all_tensors(module: nn.Module) -> dict[str, Any]:
    """Parameters and buffers by name, those among them that `state_dict` leaves out."""
    known: dict[str, Any] = dict(module.state_dict(keep_vars=True))
    passing = {name: buffer for name, buffer in module.named_buffers() if name not in known}
    return {"known": {n: _plain(v) for n, v in known.items()}, "passing": passing}


def load_all_tensors(module: nn.Module, tensors: Mapping[str, Any]) -> None:
    """Give a module back what `all_tensors` found. Raises: RuntimeError or KeyError when it is another."""
    module.load_state_dict(tensors["known"])
    buffers = dict(module.named_buffers())
    for name, values in tensors["passing"].items():
        buffers[name].copy_(values)


def _read(folder: Path, origin: str) -> tuple[State, deque[Progress], int]:
    """The state, what was said before it, and how long that is in bytes. Raises: Unfit, or anything."""
    with zipfile.ZipFile(folder / STATE) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise Unfit(f"{STATE} is spoiled in {broken}")
    content = torch.load(folder / STATE, weights_only=True, map_location="cpu")
    if content["format"] != FORMAT:
        raise Unfit(f"it has the format {content['format']}, not {FORMAT}")
    if content["torch"] != str(torch.__version__):
        raise Unfit(f"torch {content['torch']} wrote it, but this is torch {torch.__version__}")
    if content["origin"] != origin:
        raise Unfit(f"it is of another training: {_differences(content['origin'], origin)}")
    return content["state"], _messages(folder / SAID, content["said"]), content["said"]


def _messages(path: Path, length: int) -> deque[Progress]:
    with path.open("rb") as file:
        said = file.read(length)
    if len(said) < length:
        raise Unfit(f"{SAID} has {len(said)} bytes, but {length} were said before the state")
    stream, messages = io.BytesIO(said), deque[Progress]()
    while stream.tell() < length:
        messages.append(pickle.load(stream))
    return messages


def _differences(before: str, now: str) -> str:
    old, new = json.loads(before), json.loads(now)
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(f"{name} was {old.get(name)!r}, now {new.get(name)!r}" for name in names)


def _named(error: Exception) -> str:
    return f"it cannot be read: {type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _plain(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _bytes_of(state: Any) -> int:
    """The bytes of all tensors, each place in memory once."""
    places: dict[int, int] = {}

    def look(value: Any) -> None:
        if isinstance(value, Tensor):
            places[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, Mapping):
            look(list(value.values()))
        elif isinstance(value, list | tuple):
            for part in value:
                look(part)

    look(state)
    return sum(places.values())
