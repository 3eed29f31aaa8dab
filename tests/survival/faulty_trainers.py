"""Trainers and a model with one fault each, by the value of the setting `fault`."""

from __future__ import annotations

import ctypes
import math
import os
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from diagnostics import Signals
from trainers.progress import Progress
from trainers.shapes import Shapes

EPOCHS = 4

MOST_AT_ONCE = 20
"""Samples that the pretended device holds."""


def by_fault(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Well for two epochs; then what the setting says, for ever where it is not a death."""
    for epoch in range(1, EPOCHS + 1):
        if epoch == 3:
            _fail(settings["fault"])
        loss = math.nan if settings["fault"] == "nan" and epoch == 3 else 1 / epoch
        rows = Signals.of({"loss": ([epoch - 1], [loss])})
        yield Progress(epoch, epoch, EPOCHS, {} if math.isnan(loss) else {"val_loss": loss}, rows)


def _fail(fault: str) -> None:
    match fault:
        case "segfault":
            ctypes.string_at(0)
        case "exit":
            print("last words", flush=True)
            os._exit(3)
        case "exception":
            raise RuntimeError("the glue came off")
        case "hang":
            time.sleep(3600)
        case "host memory":
            np.ones(2**31)  # 16 GB
        case "device memory":
            raise torch.OutOfMemoryError("tried to allocate 80 GiB")


def endless(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Goes on for ever: `evaluated` again and again, `mute` without an evaluation; `short` ends."""
    steps = 3 if settings["kind"] == "short" else 10**6
    for step in range(1, steps + 1):
        metrics = {} if settings["kind"] == "mute" else {"val_loss": 1 + 1 / step}
        yield Progress(step, step, steps, metrics)
        time.sleep(0.05)


def large(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """Signals of about 800 kB in the trainings of kind `large`, next to nothing in the others."""
    count = 100_000 if settings["kind"] == "large" else 3
    losses = np.random.default_rng(0).normal(1, 0.1, count)
    yield Progress(count, 1, 1, {"val_loss": settings["x"]}, Signals.of({"loss": (range(count), losses)}))


def steady(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A training of a tenth of a second."""
    for epoch in (1, 2):
        time.sleep(0.05)
        yield Progress(epoch, epoch, 2, {"val_loss": settings["x"] + 1 / epoch})


class Faulty(nn.Module):
    """A linear model: `memory` holds no large batch, `nan` loses its mind in its third step."""

    def __init__(self, inputs: int, outputs: int, fault: str) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self._fault, self._steps = fault, 0

    def forward(self, x: Tensor) -> Tensor:
        if self._fault == "memory" and len(x) > MOST_AT_ONCE:
            raise torch.OutOfMemoryError(f"no room for {len(x)} samples")
        self._steps += self.training
        answer: Tensor = self.linear(x.flatten(1))
        return answer * math.nan if self._fault == "nan" and self._steps >= 3 else answer


def build(settings: Mapping[str, Any], shapes: Shapes) -> nn.Module:
    """The model of one trial."""
    return Faulty(math.prod(shapes.inputs), shapes.outputs, settings["fault"])
