"""What comes with every step, held back until many numbers can be copied from the device at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

Number = Tensor | float


class EveryStep:
    """Figures by name, each with its steps, in step order."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[list[int], list[Number]]] = {}
        self._count = 0

    def add(self, step: int, figures: Mapping[str, Number]) -> int:
        """The figures of one step, numbers or tensors of one number; gives how many are held by now.

        What is in a tensor is held as it is now; a device is not waited for, but its tensor copied.
        """
        for name, value in figures.items():
            steps, values = self._held.setdefault(name, ([], []))
            steps.append(step)
            values.append(_held(value) if isinstance(value, Tensor) else value)
        self._count += len(figures)
        return self._count

    def take(self) -> dict[str, tuple[list[int], list[float]]]:
        """Everything since the last take, on the host."""
        taken = {name: (steps, _on_host(values)) for name, (steps, values) in self._held.items()}
        self._held, self._count = {}, 0
        return taken


def _on_host(values: list[Number]) -> list[float]:
    """The numbers; those on one device are copied together."""
    devices: dict[torch.device, list[int]] = {}
    for place, value in enumerate(values):
        if isinstance(value, Tensor):
            devices.setdefault(value.device, []).append(place)
    found: list[Any] = list(values)
    for places in devices.values():
        some = torch.stack([found[place].float().reshape(()) for place in places])
        for place, value in zip(places, some.tolist(), strict=True):
            found[place] = value
    return [float(value) for value in found]


def _held(value: Tensor) -> Number:
    value = value.detach()
    return value.clone() if value.device.type != "cpu" else float(value)
