"""Batches of a data set that lies in memory: one gather a batch, no copies in between."""

from __future__ import annotations

from collections.abc import Iterator

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


def shuffled(
    split: Split, size: int, device: torch.device, order: torch.Generator, augmentation: str
) -> Iterator[Batch]:
    """One pass over the data in the order `order` draws; the last batch may be smaller."""
    indices = torch.randperm(len(split), generator=order).to(split.x.device)
    for chosen in torch.split(indices, size):
        x, y = split.x[chosen], split.y[chosen]
        if augmentation != "none":
            x = augment(x, augmentation, order)
        yield _bring(x, device), _bring(y, device)


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
