"""The figures of a row: numbers on the device, and numbers that the host makes of them after one copy.

An operation on one number takes a device, and torch on a CPU, longer than Python: what is left to do with
norms and sums is done here once they are plain numbers. Nothing here raises: what has no answer is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Union

import torch
from torch import Tensor

from diagnostics.measuring.recorder import Layout

Figure = Union[Tensor, float, "Made"]
"""A tensor of one number, a number that is known, or one that is still to be made."""

Row = dict[str, Figure | dict[str, Figure]]
"""Signal -> its figure, or its figures by column."""


class Made:
    """A number that the host makes of other figures: `make` takes one number for each of them."""

    __slots__ = ("make", "of")

    def __init__(self, make: Callable[..., float], *of: Figure) -> None:
        self.make = make
        self.of = of

    def __float__(self) -> float:
        return self.make(*map(float, self.of))


class Packed:
    """Figures in order; those on a device are one vector there, which is copied when somebody asks."""

    def __init__(self, figures: list[Figure]) -> None:
        tensors: list[Tensor] = []
        places: dict[int, int] = {}
        self._plans = [_plan(figure, tensors, places) for figure in figures]
        self.parts = _together(tensors)  # what the figures are made of, each number once

    def tolist(self) -> list[float]:
        """The numbers, on the host."""
        numbers = self.parts if isinstance(self.parts, list) else self.parts.tolist()
        return [_number(plan, numbers) for plan in self._plans]


def pack(row: Row) -> tuple[Layout, Packed]:
    """A row as its layout and its figures: one copy to the host is enough for all of it."""
    layout: list[tuple[str, tuple[str, ...]]] = []
    figures: list[Figure] = []
    for name, some in row.items():
        if not isinstance(some, dict):
            layout.append((name, ()))
            figures.append(some)
        elif some:
            layout.append((name, tuple(some)))
            figures.extend(some.values())
    return tuple(layout), Packed(figures)


def quotient(a: float, b: float) -> float:
    """As the hardware divides: by 0 as well."""
    if b != 0:
        return a / b
    return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1, b)


def product(a: float, b: float) -> float:
    """Of two numbers."""
    return a * b


def average(*numbers: float) -> float:
    """Their mean."""
    return quotient(sum(numbers), len(numbers))


def added(*numbers: float) -> float:
    """Their sum."""
    return float(sum(numbers))


def root_of_squares(*numbers: float) -> float:
    """The norm of what has parts of these norms."""
    return math.sqrt(sum(x * x for x in numbers))


def finite(x: float) -> float:
    """0 for what is not finite."""
    return x if math.isfinite(x) else 0.0


def _plan(figure: Figure, tensors: list[Tensor], places: dict[int, int]) -> Any:
    """How its number is made: its place in the vector, a function and its plans, or the number itself.

    `tensors` grow by what has no place yet; `places` says by `id` what has one: sums share their parts.
    """
    if type(figure) is Made:
        return figure.make, [_plan(part, tensors, places) for part in figure.of]
    if not isinstance(figure, Tensor):
        return float(figure)
    place = places.setdefault(id(figure), len(tensors))
    if place == len(tensors):
        tensors.append(figure)
    return place


def _number(plan: Any, numbers: list[float]) -> float:
    if type(plan) is int:
        return numbers[plan]
    if type(plan) is float:
        return plan
    make, of = plan
    return float(make(*[_number(part, numbers) for part in of]))


def _together(tensors: list[Tensor]) -> list[float] | Tensor:
    """The numbers on the host, at once; with one on a device all of them, as a vector there."""
    elsewhere = next((x.device for x in tensors if not x.is_cpu), None)
    if elsewhere is None:
        return [x.item() for x in tensors]
    return torch.stack([x.to(elsewhere).reshape(()) for x in tensors]).float()
