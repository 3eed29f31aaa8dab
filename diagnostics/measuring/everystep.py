"""What comes with every step, held back until many numbers can be copied from the device at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Number = Tensor | float

NAMES = ("loss", "learning_rate", "raw_grad_norm")
"""The signals, in the order of the figures of a step."""

BUFFER = 512
"""Steps that are held back before they are copied and thinned together."""


class EveryStep:
    """The figures of each step, in step order; some steps have no learning rate, or no norm.

    `add` takes the step, its loss, learning rate and norm, as one tuple. They are numbers or tensors of one
    number; a tensor is held as it is: what may be written into again has to come as `held` makes it.
    """

    def __init__(self) -> None:
        self._held: list[tuple[int, Number, Number | None, Number | None]] = []
        self.add = self._held.append  # on the way of every step: no call in between

    def __len__(self) -> int:
        return len(self._held)

    def take(self) -> dict[str, tuple[list[int], list[float]]]:
        """Everything since the last take, on the host, by signal."""
        rows = self._held[:]
        self._held.clear()
        taken = {}
        for place, name in enumerate(NAMES, start=1):
            some = [row for row in rows if row[place] is not None]
            if some:
                taken[name] = ([row[0] for row in some], _on_host([row[place] for row in some]))
        return taken


def held(value: Number) -> Number:
    """The number as it is now; a device is not waited for, but its tensor copied."""
    if not isinstance(value, Tensor):
        return value
    value = value.detach()
    return float(value) if value.is_cpu else value.clone()


def _on_host(values: list[Any]) -> list[float]:
    """The numbers; those on one device are copied together."""
    devices: dict[torch.device, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            devices.setdefault(value.device, []).append(place)
    for places in devices.values():
        some = torch.stack([values[place].float().reshape(()) for place in places])
        for place, value in zip(places, some.tolist(), strict=True):
            values[place] = value
    return [float(value) for value in values]
