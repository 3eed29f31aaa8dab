"""Own trainers of which some trainings end badly, by the value of the setting `x`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from own_trainers import quick

from diagnostics import Signals
from trainers.errors import SettingError
from trainers.progress import Progress


def of_all_kinds(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Below 0.2 the loss turns NaN, up to 0.4 the device runs out of memory, up to 0.6 the code raises."""
    stream = quick(settings)
    yield next(stream)
    if settings["x"] < 0.2:
        yield Progress(2, 2, 3, signals=Signals.of({"loss": ([1], [math.nan])}))
    elif settings["x"] < 0.4:
        raise torch.OutOfMemoryError("tried to allocate 80 GiB")
    elif settings["x"] < 0.6:
        raise RuntimeError("the glue came off")
    yield from stream


def refuses_the_first(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Cannot use the first point it ever meets; all others train."""
    known = Path("first-point")
    if not known.exists():
        known.write_text(repr(settings["x"]))
    if known.read_text() == repr(settings["x"]):
        raise SettingError({"x": "does not fit the rest"})
    yield from quick(settings)


def never_finite(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Evaluates to NaN, always."""
    yield Progress(1, 1, 1, {"val_loss": math.nan})
