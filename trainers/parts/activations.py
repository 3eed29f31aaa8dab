"""Activations by name.

Notation
    x       one input of the activation
    a       slope below zero
    Phi     distribution function of the standard normal
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Maxout(nn.Module):
    """The largest of every `pieces` neighbouring features.

    `[batch, features * pieces]` gives `[batch, features]`, and so does the last dimension of
    `[batch, time, features * pieces]`; images are pooled along their channels:
    `[batch, channels * pieces, height, width]` gives `[batch, channels, height, width]`.

    Source: Goodfellow et al., Maxout Networks, 2013.
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        features = 1 if x.ndim == 4 else x.ndim - 1
        return torch.unflatten(x, features, (-1, self.pieces)).amax(features + 1)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"


ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "identity": nn.Identity,  # x
    "sigmoid": nn.Sigmoid,  # 1 / (1 + exp(-x))
    "hard_sigmoid": nn.Hardsigmoid,  # x / 6 + 1/2, cut to 0..1
    "tanh": nn.Tanh,
    "relu": nn.ReLU,  # max(x, 0); Nair & Hinton 2010
    "relu6": nn.ReLU6,  # x cut to 0..6; Krizhevsky 2010
    "leaky_relu": nn.LeakyReLU,  # a x below 0, a = 0.01; Maas et al. 2013
    "prelu": nn.PReLU,  # a x below 0, a is learned from 0.25 on; He et al. 2015
    "rrelu": nn.RReLU,  # a x below 0, a drawn from 1/8..1/3, its mean in evaluation; Xu et al. 2015
    "elu": nn.ELU,  # exp(x) - 1 below 0; Clevert et al. 2015
    "selu": nn.SELU,  # 1.051 x, below 0 1.758 (exp(x) - 1); Klambauer et al. 2017
    "celu": nn.CELU,  # elu, smooth for every alpha; the same as elu at alpha = 1; Barron 2017
    "gelu": nn.GELU,  # x Phi(x); Hendrycks & Gimpel 2016
    "silu": nn.SiLU,  # x sigmoid(x); Elfwing et al. 2017
    "swish": nn.SiLU,  # silu by its other name; Ramachandran et al. 2017
    "mish": nn.Mish,  # x tanh(softplus(x)); Misra 2019
    "hardswish": nn.Hardswish,  # x hard_sigmoid(x); Howard et al. 2019
    "softplus": nn.Softplus,  # log(1 + exp(x)); Dugas et al. 2000
    "softsign": nn.Softsign,  # x / (1 + |x|); Bergstra et al. 2009
    "maxout": Maxout,  # the larger of two features; Goodfellow et al. 2013
}


PIECES = {"maxout": 2}
"""Activations that take more than one feature for each one they give, and how many."""


def pieces(name: str) -> int:
    """How many features the activation `name` takes for each one it gives."""
    return PIECES.get(name, 1)
