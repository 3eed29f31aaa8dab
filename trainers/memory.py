"""A batch that is too large for the memory goes through the model in parts; the step stays the same.

Notation
    B       samples in the batch of a step
    m       samples that go through the model at once, at most
    n       parts of the batch, ceil(B / m), as equal as can be
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

Facts = dict[str, float | int | str]
T = TypeVar("T")

SIGNS = ("out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "can't allocate memory")
"""What errors of torch say that have no class of their own."""

EVALUATION_BATCH = 128
"""Samples evaluated at once, or as many as are trained on at once."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was not enough memory, of the device or of the host."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)
    )


class Portions:
    """How many samples go through the model at once: halved whenever the memory does not do.

    A whole batch has `batch_size` of the `samples`, and less when they are fewer. `at_once` is what a
    training begins with, all of a batch when it is None; `evaluated` is as much for an evaluation.
    """

    def __init__(self, batch_size: int, samples: int, at_once: int | None, device: torch.device) -> None:
        self._batch = min(batch_size, samples)
        self.at_once = min(at_once or self._batch, self._batch)
        self.evaluated = max(EVALUATION_BATCH, batch_size)
        self._device = device
        self._began_with = self.evaluated
        self._ran_out_at: int | None = None
        self._told: Facts = {}

    def parts(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """The parts of a batch: each of `[B, ...]` in n parts, which differ by a sample at most."""
        count = math.ceil(len(tensors[0]) / self.at_once)
        if count <= 1:
            return [tensors]
        return list(zip(*(torch.tensor_split(tensor, count) for tensor in tensors), strict=True))

    def halve(self, step: int, samples: int) -> bool:
        """From now on half of what was too much for the batch of `step`; whether that can be done."""
        largest = math.ceil(samples / math.ceil(samples / self.at_once))
        if largest == 1:
            return False
        self.at_once = largest // 2
        self._ran_out_at = step if self._ran_out_at is None else self._ran_out_at
        return True

    def evaluate(self, run: Callable[[int], T]) -> T:
        """What `run(samples at once)` gives; with half of them at once when the memory does not do."""
        while True:
            try:
                return run(self.evaluated)
            except Exception as error:
                if not is_out_of_memory(error) or self.evaluated == 1:
                    raise
            self.evaluated //= 2
            free(self._device)

    def news(self, model: nn.Module) -> Facts:
        """The facts about parts, once whenever they change; none while whole batches fit."""
        facts: Facts = {}
        if self.at_once < self._batch:
            facts["micro_batch"] = self.at_once
            facts["micro_batches"] = math.ceil(self._batch / self.at_once)
            facts["micro_batch_norms"] = sum(
                isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules()
            )
        if self._ran_out_at is not None:
            facts["out_of_memory_step"] = self._ran_out_at
        if self.evaluated < self._began_with:
            facts["evaluation_batch"] = self.evaluated
        new = facts if facts != self._told else {}
        self._told = facts
        return new

    def state_dict(self) -> dict[str, Any]:
        """What it has learnt."""
        return {
            "at_once": self.at_once,
            "evaluated": self.evaluated,
            "ran_out_at": self._ran_out_at,
            "told": dict(self._told),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave, with as many at once as now, or as then if that was less."""
        self.at_once = min(self.at_once, state["at_once"])
        self.evaluated = min(self.evaluated, state["evaluated"])
        self._ran_out_at, self._told = state["ran_out_at"], dict(state["told"])


def free(device: torch.device) -> None:
    """Give back all memory that nobody refers to; what is measured as the peak begins anew."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    elif device.type == "mps":
        torch.mps.empty_cache()
