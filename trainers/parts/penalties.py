"""Which parameters are weights, and what their size costs."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def is_weight(parameter: Tensor) -> bool:
    """Whether a parameter multiplies signals: biases, norms and learned slopes have one dimension."""
    return parameter.ndim >= 2


def l1_penalty(parameters: Iterable[Tensor]) -> Tensor:
    """The sum of the absolute weights among `parameters`, a scalar; biases and norms are left out.

    Source: Tibshirani, Regression Shrinkage and Selection via the Lasso, 1996.
    """
    sums = [p.abs().sum() for p in parameters if p.requires_grad and is_weight(p)]
    return torch.stack(sums).sum() if sums else torch.zeros(())
