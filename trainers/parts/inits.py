"""Initialisations by name.

Notation
    W       weight of a layer, or of one gate of a recurrent layer     [outputs, inputs, *kernel]
    n_in    inputs of one output: inputs x pixels of the kernel
    n_out   outputs of one input: outputs x pixels of the kernel
    std     standard deviation of the weights that are drawn
    a       slope of a rectifier below zero
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Init = Callable[[Tensor, "TrialConfig"], object]
"""Fills a weight in place."""

TRUNCATION = 2.0  # a truncated normal is cut at so many standard deviations
TRUNCATED_STD = math.sqrt(  # of a standard normal cut there: 0.8796
    1.0
    - TRUNCATION
    * math.sqrt(2.0 / math.pi)
    * math.exp(-(TRUNCATION**2) / 2.0)
    / math.erf(TRUNCATION / math.sqrt(2.0))
)

SLOPES = {"leaky_relu": 0.01, "prelu": 0.25, "rrelu": (1 / 8 + 1 / 3) / 2}
"""Mean slope below zero at the start, of the rectifiers that have one."""


def _truncated(w: Tensor) -> Tensor:
    return nn.init.trunc_normal_(w, a=-TRUNCATION, b=TRUNCATION)


LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.RNNBase, nn.RNNCellBase)

DISTRIBUTIONS: dict[str, Callable[[Tensor, float], object]] = {
    "normal": lambda w, std: w.normal_(0.0, std),
    "truncated_normal": lambda w, std: _truncated(w).mul_(std / TRUNCATED_STD),
    "uniform": lambda w, std: w.uniform_(-math.sqrt(3.0) * std, math.sqrt(3.0) * std),
}
"""Draws with mean zero and exactly this standard deviation."""

FANS: dict[str, Callable[[Tensor], float]] = {
    "fan_in": lambda w: w[0].numel(),
    "fan_out": lambda w: w[:, 0].numel(),
    "fan_avg": lambda w: (w[0].numel() + w[:, 0].numel()) / 2,
}
"""How many signals meet in an output, leave an input, or the mean of both."""


def scaled(w: Tensor, scale: float, mode: str, distribution: str) -> None:
    """Fill `w` with draws of variance `scale / n`, n counted by `mode`."""
    DISTRIBUTIONS[distribution](w, math.sqrt(scale / FANS[mode](w)))


def rectifier_scale(activation: str) -> float:
    """The squared gain of a rectifier, 2 / (1 + a^2), with the slope a of `activation` below zero.

    For an activation that is no rectifier it is that of relu, 2: the formula knows no other.

    Source: He et al., Delving Deep into Rectifiers, 2015, equation 15.
    """
    return 2.0 / (1.0 + SLOPES.get(activation, 0.0) ** 2)


INITS: dict[str, Init] = {
    "zeros": lambda w, _: w.zero_(),
    "constant": lambda w, c: w.fill_(c.init_value),
    "normal": lambda w, c: DISTRIBUTIONS["normal"](w, c.init_std),
    "truncated_normal": lambda w, c: DISTRIBUTIONS["truncated_normal"](w, c.init_std),
    "uniform": lambda w, c: DISTRIBUTIONS["uniform"](w, c.init_std),
    # Glorot & Bengio 2010
    "xavier_uniform": lambda w, _: scaled(w, 1.0, "fan_avg", "uniform"),
    "xavier_normal": lambda w, _: scaled(w, 1.0, "fan_avg", "normal"),
    # He et al. 2015
    "kaiming_uniform": lambda w, c: scaled(w, rectifier_scale(c.activation), "fan_in", "uniform"),
    "kaiming_normal": lambda w, c: scaled(w, rectifier_scale(c.activation), "fan_in", "normal"),
    # LeCun et al. 1998; what selu asks for
    "lecun_normal": lambda w, _: scaled(w, 1.0, "fan_in", "normal"),
    "variance_scaling": lambda w, c: scaled(w, c.init_scale, c.init_mode, c.init_distribution),
    # Saxe et al. 2013
    "orthogonal": lambda w, c: nn.init.orthogonal_(w, gain=c.init_scale),
}


@torch.no_grad()
def initialize(model: nn.Module, config: TrialConfig) -> None:
    """Fill every weight of the linear, convolution and recurrent layers by `config.init`.

    The output layer is no exception. Each gate of a recurrent layer is filled as a layer of its
    own. Biases of these layers become zero. Embeddings, norms and learned slopes keep what torch
    gave them: the formulas count signals that are added up, and nothing is added up there.

    Draws come from torch's global generator.
    """
    init = INITS[config.init]
    for module in model.modules():
        if isinstance(module, LAYERS):
            for parameter in module.parameters(recurse=False):
                if parameter.ndim == 1:
                    parameter.zero_()
                else:
                    for weight in _gates(module, parameter):
                        init(weight, config)


def _gates(module: nn.Module, weight: Tensor) -> Iterator[Tensor]:
    if isinstance(module, nn.RNNBase | nn.RNNCellBase):
        yield from torch.split(weight, module.hidden_size)
    else:
        yield weight
