"""Batches of a data set that lies in memory: one gather a batch, no copies in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from trainers.data import Split
from trainers.parts.augmentations import augment

ON_DEVICE = 1 / 8
"""Share of the device's memory up to which a data set is kept there (house rule)."""

Batch = tuple[Tensor, Tensor]


def place(split: Split, device: torch.device, layout: torch.memory_format) -> Split:
    """The data set on the device when it is small beside its memory; else as it is, on the host."""
    if device.type != "cuda":
        return Split(split.x.to(device), split.y.to(device))
    size = split.x.nbytes + split.y.nbytes
    if size <= ON_DEVICE * torch.cuda.get_device_properties(device).total_memory:
        return Split(split.x.to(device, memory_format=layout), split.y.to(device))
    return split


class Shuffled:
    """Passes over the data without end, each in an order of its own; the last batch of one may be smaller.

    Orders and augmentations are drawn from one generator, begun with `seed`.
    """

    def __init__(self, split: Split, size: int, device: torch.device, seed: int, augmentation: str) -> None:
        self._split = split
        self._size = size
        self._device = device
        self._augmentation = augmentation
        self._draws = torch.Generator().manual_seed(seed)
        self._before = self._draws.get_state()  # before the order of this pass was drawn
        self._order = torch.tensor([], dtype=torch.long)
        self._done = 0  # samples of this pass

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield self._next()

    def state_dict(self) -> dict[str, Any]:
        """Where the pass stands: what its order was drawn from, not the order itself, which may be long."""
        return {"before": self._before, "begun": len(self._order) > 0, "done": self._done} | {
            "draws": self._draws.get_state()
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._draws.set_state(state["before"])
        if state["begun"]:
            self._begin_pass()
        self._done = state["done"]
        self._draws.set_state(state["draws"])

    def _begin_pass(self) -> None:
        self._before = self._draws.get_state()
        self._order = torch.randperm(len(self._split), generator=self._draws).to(self._split.x.device)
        self._done = 0

    def _next(self) -> Batch:
        if self._done >= len(self._order):
            self._begin_pass()
        chosen = self._order[self._done : self._done + self._size]
        self._done += len(chosen)
        x, y = self._split.x[chosen], self._split.y[chosen]
        if self._augmentation != "none":
            x = augment(x, self._augmentation, self._draws)
        return _bring(x, self._device), _bring(y, self._device)


def in_order(split: Split, size: int, device: torch.device) -> Iterator[Batch]:
    """One pass over the data as it lies."""
    for x, y in zip(torch.split(split.x, size), torch.split(split.y, size), strict=True):
        yield _bring(x, device), _bring(y, device)


def some(split: Split, count: int, seed: int) -> Split:
    """At most `count` samples, drawn with `seed`."""
    if count >= len(split):
        return split
    chosen = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:count]
    chosen = chosen.to(split.x.device)
    return Split(split.x[chosen], split.y[chosen])


def _bring(batch: Tensor, device: torch.device) -> Tensor:
    """The batch on the device; from pinned memory, so that nobody waits for the copy."""
    if device.type == "cuda" and batch.device.type == "cpu":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)
