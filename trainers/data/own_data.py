"""Data from own code: a function that takes the settings and gives arrays, or ready `Splits`."""

from __future__ import annotations

import dataclasses
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trainers.data.arrays import samples_of
from trainers.data.samples import Array, Samples, Split, Splits
from trainers.data.sources import Settings
from trainers.data.splitting import class_counts
from trainers.errors import DataError, OwnCodeError, TrainerError
from trainers.owncode import load_object

AGREED = "it must give (x, y), two arrays with a row for each sample, or trainers.data.Splits"


def read_own(files: Sequence[Path], settings: Settings, path: str) -> Samples | Splits:
    """What the own function gives, checked. Raises: OwnCodeError when it raises or gives no data."""
    load = load_object(path, "data")
    try:
        given = load(settings)
    except (TrainerError, MemoryError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise OwnCodeError(
            f"data: {path!r} raised {type(error).__name__}: {error} ({last.filename}, line {last.lineno})"
        ) from error
    try:
        if isinstance(given, Splits):
            return _completed(given)
        if isinstance(given, tuple | list) and len(given) == 2:
            x, y = (_array(part) for part in given)
            return samples_of(x, y, task=settings["task"])
    except DataError as error:
        message = str(error).removeprefix("data: ")
        raise OwnCodeError(f"data: what {path!r} gives does not fit: {message}; {AGREED}") from error
    raise OwnCodeError(f"data: {path!r} gives {_described(given)}; {AGREED}")


def check_own(files: Sequence[Path], settings: Settings, path: str) -> None:
    """Raises: OwnCodeError when the function cannot be imported."""
    load_object(path, "data")


def _completed(splits: Splits) -> Splits:
    """Splits whose parts fit their shapes, with the class counts filled in."""
    parts = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    for name, part in parts.items():
        if part is not None or name != "test":
            _check_part(name, part, splits)
    shapes = splits.shapes
    if splits.class_counts or shapes.task == "regression":
        return splits
    return dataclasses.replace(splits, class_counts=class_counts(splits.train.y, shapes.outputs))


def _check_part(name: str, part: object, splits: Splits) -> None:
    shapes = splits.shapes
    is_tokens, is_regression = shapes.kind == "tokens", shapes.task == "regression"
    if not isinstance(part, Split) or not all(isinstance(t, torch.Tensor) for t in (part.x, part.y)):
        raise DataError(f"{name} needs to be a Split of two tensors, but is {_described(part)}")
    x, y = part.x, part.y
    answer = shapes.inputs if is_tokens else (shapes.outputs,) if is_regression else ()
    wanted = {
        f"{name}.x": (x, (len(x), *shapes.inputs), torch.int64 if is_tokens else torch.float32),
        f"{name}.y": (y, (len(x), *answer), torch.float32 if is_regression else torch.int64),
    }
    for what, (tensor, shape, dtype) in wanted.items():
        if tuple(tensor.shape) != shape or tensor.dtype != dtype or tensor.numel() == 0:
            raise DataError(
                f"{what} needs the shape {shape} and {dtype}, but has {tuple(tensor.shape)} and "
                f"{tensor.dtype}"
            )
        if not torch.isfinite(tensor).all():
            raise DataError(f"{what} holds values that are NaN or infinite")
        top = shapes.outputs if what.endswith(".y") else shapes.vocabulary or shapes.outputs
        if dtype == torch.int64 and not (int(tensor.min()) >= 0 and int(tensor.max()) < top):
            raise DataError(
                f"{what} needs ids from 0 to {top - 1}, but has {int(tensor.min())} to {int(tensor.max())}"
            )


def _array(given: Any) -> Array:
    if isinstance(given, torch.Tensor):
        given = given.detach().cpu()
        return np.asarray(given.float() if given.dtype == torch.bfloat16 else given)
    try:
        return np.asarray(given)
    except ValueError as error:
        raise DataError(f"{type(given).__name__} is no array: {error}") from error


def _described(given: object) -> str:
    if isinstance(given, tuple | list):
        return f"a {type(given).__name__} of {len(given)}"
    return f"a {type(given).__name__}"
