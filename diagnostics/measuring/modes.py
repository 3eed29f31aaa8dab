"""What can be said of a model and its optimizers before the first step, as facts."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn
from torch.optim import Optimizer

from diagnostics.findings import Facts
from diagnostics.measuring import sites

DECOUPLED = ("AdamW", "Lion", "Adafactor", "Muon")
"""Optimizers whose weight decay does not go through the gradient."""

NAMED = 20
"""Parameters that are named one by one, at most."""

MOST_NUMBERED = 100
"""Modules whose number stands for a name and is told with their class, at most."""


def describe_model(model: nn.Module) -> Facts:
    """Sizes, and the parts that behave differently in training and evaluation mode."""
    modules = [module for _, module in sites.modules(model)]
    dropouts = [m for m in modules if isinstance(m, sites.DROPOUTS) or "drop" in type(m).__name__.lower()]
    parameters = list(model.parameters())
    return {
        "parameters": sum(p.numel() for p in parameters),
        "trainable": sum(p.numel() for p in parameters if p.requires_grad),
        "frozen": sum(not p.requires_grad for p in parameters),
        "layers": sum(sites.is_layer(m) for m in modules),
        "norms": sum(sites.is_norm(m) for m in modules),
        "batch_norms": sum(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in modules),
        "dropouts": len(dropouts),
        "dropout": max((float(getattr(m, "p", 0.0) or 0.0) for m in dropouts), default=0.0),
        **_numbered(model),
    }


def _numbered(model: nn.Module) -> Facts:
    """The classes of the modules that have a number for a name, as the parts of a `nn.Sequential` have."""
    named = ((sites.plain_name(name), type(module).__name__) for name, module in sites.modules(model))
    found = [f"{name}={kind}" for name, kind in named if name.replace(".", "").isdigit()]
    return {"numbered_modules": ",".join(found[:MOST_NUMBERED])} if found else {}


def describe_optimizers(optimizers: Sequence[Optimizer], model: nn.Module) -> Facts:
    """The settings of the first optimizer, and the trainable parameters that none of them holds."""
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    held = {id(p) for group in groups for p in group["params"]}
    missing = [
        sites.plain_name(name)
        for name, p in model.named_parameters()
        if p.requires_grad and id(p) not in held
    ]
    named = missing[:NAMED] + (["..."] if len(missing) > NAMED else [])
    first = groups[0]
    momentum = first.get("momentum", (first.get("betas") or (0.0,))[0])
    known = {
        "learning_rate": first.get("lr"),
        "momentum": momentum,
        "weight_decay": max(_number(group.get("weight_decay")) or 0.0 for group in groups),
    }
    numbers = {name: number for name, value in known.items() if (number := _number(value)) is not None}
    return {
        "optimizer": type(optimizers[0]).__name__,
        **numbers,
        "decoupled_decay": int(
            type(optimizers[0]).__name__ in DECOUPLED or bool(first.get("decoupled_weight_decay", False))
        ),
        **({"unoptimized": ",".join(named)} if missing else {}),
    }


def _number(value: object) -> float | None:
    """A setting as a number; None for one that an optimizer finds by itself."""
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
