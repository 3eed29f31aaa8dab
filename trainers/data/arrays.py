"""Samples from arrays: the one gate every array passes, whatever file or code it comes from."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from trainers.data.labels import encode_labels, resolve_task
from trainers.data.samples import Array, Column, Samples
from trainers.data.sources import Settings
from trainers.errors import DataError
from trainers.shapes import Kind

CHANNELS = (1, 3, 4)
"""How many channels an image can have when its layout has to be guessed."""


def samples_of(
    x: Array,
    y: Array,
    *,
    task: str,
    test: tuple[Array, Array] | None = None,
    class_names: tuple[str, ...] = (),
    feature_names: Sequence[str] = (),
) -> Samples:
    """Samples from `x` (`[n, features]`, or images `[n, h, w]`, `[n, c, h, w]`, `[n, h, w, c]`) and `y`.

    With `class_names`, `y` must hold class ids from 0; without, its sorted values become the classes.
    Raises: DataError for shapes that do not fit, things that are no numbers, gaps and bad labels.
    """
    if test is not None:
        if len(test[0]) == 0:
            raise DataError("data: the own test part is empty")
        _same_length(*test, "of the test part")
    _same_length(x, y, "")
    parts = [_inputs(x, "x"), *([_inputs(test[0], "x of the test part")] if test else [])]
    if len({part.shape[1:] for part in parts}) > 1:
        raise DataError(
            f"data: samples for training have shape {parts[0].shape[1:]}, but those of the own test "
            f"part {parts[1].shape[1:]}; both need the same"
        )
    kind: Kind = "features" if parts[0].ndim == 2 else "image"
    resolved = resolve_task(y, task, "y")
    labels, names = encode_labels([y, *([test[1]] if test else [])], resolved, class_names, what="y")
    columns = feature_names or [f"x{i}" for i in range(parts[0].shape[1])]
    return Samples(
        kind=kind,
        task=resolved,
        x=parts[0],
        y=labels[0],
        class_names=names,
        columns=tuple(Column(str(name)) for name in columns) if kind == "features" else (),
        test=(parts[1], labels[1]) if test else None,
    )


def read_npz(files: Sequence[Path], settings: Settings) -> Samples:
    """Samples of an `.npz` with x and y, or x_train, y_train, x_test and y_test."""
    names = _members(files[0])
    try:
        with np.load(files[0], allow_pickle=False) as archive:
            arrays = [archive[name] for name in names]
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(
            f"data: {files[0]} cannot be read: {error}; it needs plain arrays of numbers, as "
            "numpy.savez writes them"
        ) from error
    test = (arrays[2], arrays[3]) if len(arrays) == 4 else None
    return samples_of(arrays[0], arrays[1], test=test, task=settings["task"])


def check_npz(files: Sequence[Path], settings: Settings) -> None:
    """Raises: DataError when the archive is broken or lacks the arrays."""
    _members(files[0])


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            there = [name.removesuffix(".npy") for name in archive.namelist()]
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"data: {path} is no .npz archive: {error}; write it with numpy.savez") from error
    for names in (["x_train", "y_train", "x_test", "y_test"], ["x_train", "y_train"], ["x", "y"]):
        if set(names) <= set(there):
            return names
    raise DataError(
        f"data: {path} needs the arrays x and y, or x_train, y_train, x_test and y_test, but holds "
        f"{', '.join(there) or 'none'}"
    )


def _same_length(x: Array, y: Array, which: str) -> None:
    if x.ndim == 0 or y.ndim == 0 or len(x) != len(y) or len(x) == 0:
        raise DataError(
            f"data: x and y {which}need one row for each sample, but their shapes are {x.shape} and {y.shape}"
        )


def _inputs(x: Array, what: str) -> Array:
    """`x` as `[n, features]` or `[n, channels, height, width]`, all finite numbers."""
    if x.dtype.kind not in "buif":
        raise DataError(f"data: {what} needs numbers, but its type is {x.dtype}")
    if x.ndim not in (1, 2, 3, 4) or 0 in x.shape:
        raise DataError(
            f"data: {what} needs the shape [n, features], [n, height, width] or [n, channels, height, "
            f"width], but got {x.shape}"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        bad = np.argwhere(~np.isfinite(x))
        raise DataError(
            f"data: {what} holds {len(bad)} values that are NaN or infinite, the first at index "
            f"{tuple(int(i) for i in bad[0])}; fill the gaps, or give a table, whose missing values "
            "are filled"
        )
    if x.ndim == 1:
        return x[:, None]
    if x.ndim == 3:
        return x[:, None]
    last_is_channels = x.ndim == 4 and x.shape[3] in CHANNELS and x.shape[1] not in CHANNELS
    return x.transpose(0, 3, 1, 2) if last_is_channels else x
