"""Optimizers by name.

Notation
    momentum    share of the last step that is kept; beta1 of the adam kind
    beta2       share of the last mean square of gradients that is kept
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import nn, optim

from trainers.parts.penalties import is_weight

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Groups = list[dict[str, Any]]


def momentum_of(config: TrialConfig, default: float) -> float:
    """The momentum that is asked for, or the optimizer's own `default`."""
    return default if config.momentum is None else config.momentum


def betas(config: TrialConfig) -> tuple[float, float]:
    """The two smoothing factors of the adam kind."""
    return momentum_of(config, 0.9), config.beta2


def sgd(groups: Groups, momentum: float, nesterov: bool = False) -> optim.Optimizer:
    """Steps along the gradient; looking ahead needs a momentum to look along."""
    return optim.SGD(
        groups, momentum=momentum, nesterov=nesterov and momentum > 0, fused=fuses(groups) or None
    )


def fuses(groups: Groups) -> bool:
    """Whether torch has one kernel for the whole step where these parameters lie."""
    parameters = [parameter for group in groups for parameter in group["params"]]
    return all(p.device.type in ("cpu", "cuda") and p.is_floating_point() for p in parameters)


OPTIMIZERS: dict[str, Callable[[Groups, TrialConfig], optim.Optimizer]] = {
    "sgd": lambda g, c: sgd(g, momentum_of(c, 0.0)),  # Robbins & Monro 1951
    "momentum": lambda g, c: sgd(g, momentum_of(c, 0.9)),  # Polyak 1964
    "nesterov": lambda g, c: sgd(g, momentum_of(c, 0.9), nesterov=True),  # Nesterov 1983
    "rmsprop": lambda g, c: optim.RMSprop(g, alpha=c.beta2, momentum=momentum_of(c, 0.0)),  # Hinton 2012
    "adagrad": lambda g, _: optim.Adagrad(g),  # Duchi et al. 2011
    "adam": lambda g, c: optim.Adam(g, betas=betas(c), fused=fuses(g) or None),  # Kingma & Ba 2014
    "adamw": lambda g, c: optim.AdamW(g, betas=betas(c), fused=fuses(g) or None),  # Loshchilov & Hutter 2017
    "nadam": lambda g, c: optim.NAdam(g, betas=betas(c)),  # Dozat 2016
}


def build_optimizer(model: nn.Module, config: TrialConfig) -> optim.Optimizer:
    """The optimizer `config` names over the trainable parameters of `model`.

    Weight decay acts on weights only, not on biases, norms and slopes. With
    `config.head_learning_rate` the last layer has groups of its own. Each group keeps the rate it
    was given as `initial_lr`; `set_learning_rates` scales it.
    """
    head = head_parameters(model) if config.head_learning_rate is not None else set()
    groups: dict[tuple[float, ...], dict[str, Any]] = {}
    for parameter in model.parameters():
        if parameter.requires_grad:
            rates = _rates(id(parameter) in head, is_weight(parameter), config)
            group = groups.setdefault(tuple(rates.values()), {"params": [], **rates})  # few groups are fast
            group["params"].append(parameter)
    return OPTIMIZERS[config.optimizer](list(groups.values()), config)


def head_parameters(model: nn.Module) -> set[int]:
    """The `id` of each parameter of the last layer: the last defined one that owns a weight."""
    layers = [
        module for module in model.modules() if any(is_weight(p) for p in module.parameters(recurse=False))
    ]
    return {id(p) for p in layers[-1].parameters(recurse=False)} if layers else set()


def set_learning_rates(optimizer: optim.Optimizer, factor: float) -> None:
    """Set the learning rate of every group to `factor` times the one it was built with."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def _rates(head: bool, weight: bool, config: TrialConfig) -> dict[str, float]:
    rate = config.head_learning_rate if head and config.head_learning_rate else config.learning_rate
    return {
        "lr": rate,
        "initial_lr": rate,
        "weight_decay": config.weight_decay if weight else 0.0,
    }
