"""A text, character by character: each sample asks for the next character at every place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainers.data.samples import Samples
from trainers.data.sources import Settings
from trainers.errors import DataError


def read_text(files: Sequence[Path], settings: Settings) -> Samples:
    """Samples of `sequence_length` characters; the ids are places in the whole text's alphabet.

    Sample i holds the characters from i * length on, its target the same shifted by one, so that
    each character is asked for once. Taking the alphabet from the whole text tells the training
    part which characters exist, and nothing about where they come.
    Raises: DataError for an empty text, one too short for three samples, or one in no UTF-8.
    """
    if settings["task"] == "regression":
        raise DataError("data: a text asks for classes (characters); set task = 'auto'")
    text = _content(files[0])
    alphabet = "".join(sorted(set(text)))
    if len(alphabet) < 2:
        raise DataError(f"data: {files[0]} needs two different characters at least, but got {alphabet!r}")
    length = settings["sequence_length"]
    n = (len(text) - 1) // length
    if n < 3:
        raise DataError(
            f"data: {files[0]} has {len(text)} characters, too few for three samples of "
            f"sequence_length {length}; choose at most {max(1, (len(text) - 1) // 3)}"
        )
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    letters = np.frombuffer(alphabet.encode("utf-32-le"), np.uint32)
    ids = np.searchsorted(letters, points).astype(np.int64)
    return Samples(
        kind="tokens",
        task="classification",
        x=ids[: n * length].reshape(n, length),
        y=ids[1 : n * length + 1].reshape(n, length),
        class_names=tuple(alphabet),
    )


def check_text(files: Sequence[Path], settings: Settings) -> None:
    """Raises: DataError for an empty text."""
    if files[0].stat().st_size == 0:
        raise DataError(f"data: {files[0]} is empty; a text needs characters")


def _content(path: Path) -> str:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"data: {path} is no text in UTF-8: {error}") from error
    if not text:
        raise DataError(f"data: {path} is empty; a text needs characters")
    return text
