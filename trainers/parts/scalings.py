"""Input scalings by name, fitted on the training data only.

Each works per feature, or per channel of images. A feature that is constant but for rounding has
no spread to bring to scale: it is shifted only, to about zero.

Notation
    x       inputs                      [samples, features] or [samples, channels, height, width]
    shift   what is taken away          [features] or [channels, 1, 1]
    factor  what the rest is times      like shift
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Scale:
    """The change `(x - shift) * factor`, made on the device of x."""

    shift: Tensor
    factor: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        return (x - self.shift.to(x.device)) * self.factor.to(x.device)


Fit = Callable[[Tensor], Scale]
"""Training inputs -> the change that brings them to scale."""


def none(_: Tensor) -> Scale:
    """Inputs as they are; whole numbers stay whole."""
    return Scale(torch.tensor(0), torch.tensor(1))


def standardize(x: Tensor) -> Scale:
    """Mean 0 and variance 1."""
    variance, mean = torch.var_mean(x, _samples(x), correction=0, keepdim=True)
    return _scale(x, mean, variance.sqrt())


def minmax(x: Tensor) -> Scale:
    """From 0 to 1."""
    low, high = x.amin(_samples(x), keepdim=True), x.amax(_samples(x), keepdim=True)
    return _scale(x, low, high - low)


def tanh(x: Tensor) -> Scale:
    """From -1 to 1, the range of tanh."""
    low, high = x.amin(_samples(x), keepdim=True), x.amax(_samples(x), keepdim=True)
    return _scale(x, (low + high) / 2, (high - low) / 2)


SCALINGS: dict[str, Fit] = {
    "none": none,
    "standardize": standardize,
    "minmax": minmax,
    "tanh": tanh,
}


def _samples(x: Tensor) -> tuple[int, ...]:
    """The dimensions to look along: samples, and the pixels of images."""
    return (0, *range(2, x.ndim))


def _scale(x: Tensor, shift: Tensor, spread: Tensor) -> Scale:
    """Divide by `spread`, but by 1 where it is rounding only."""
    number = torch.finfo(x.dtype)
    low, high = (end(_samples(x), keepdim=True) for end in (x.amin, x.amax))  # no copy, unlike abs()
    rounding = 4 * number.eps * torch.maximum(high, -low)
    constant = spread <= rounding.clamp(min=math.sqrt(number.tiny))
    return Scale(shift[0], 1.0 / torch.where(constant, 1.0, spread)[0])
