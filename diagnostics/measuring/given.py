"""What a loop gives the monitor: checked, with errors that say what to give instead; and as plain numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from diagnostics.findings import Facts

TASKS = ("classification", "regression", "other")


def check_model(model: Any, task: Any, num_classes: Any) -> None:
    """Raises: TypeError or ValueError for what cannot be watched."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"the monitor watches a torch model (nn.Module), but got {type(model).__name__}")
    lazy = [name for name, p in model.named_parameters() if isinstance(p, nn.UninitializedParameter)]
    if lazy:
        raise ValueError(f"{lazy[0]} has no shape yet; run one batch through the model before it is watched")
    if task not in TASKS:
        raise ValueError(f"no task {task!r}; choose one of {', '.join(TASKS)}")
    if num_classes is not None and not (isinstance(num_classes, Integral) and int(num_classes) > 0):
        raise ValueError(f"num_classes is a whole number from 1, or None, but got {num_classes!r}")


def plain_facts(given: Mapping[str, Any]) -> Facts:
    """As plain numbers and text, which can be saved."""
    facts: dict[str, float | int | str] = {}
    for name, value in given.items():
        if isinstance(value, str):
            facts[name] = value
        elif isinstance(value, Integral):
            facts[name] = int(value)
        elif isinstance(value, Real):
            facts[name] = float(value)
        else:
            raise TypeError(f"a fact is a number or text, but {name} is {type(value).__name__}: {value!r}")
    return facts


def one_number(loss: Any, what: str = "loss") -> Tensor | float:
    """The one number of a step; one on a device stays there. Raises: ValueError or TypeError."""
    reason: Exception | None = None
    try:
        if not isinstance(loss, Tensor):
            return float(loss)
        if loss.is_cpu:
            return float(loss.item())
        if loss.numel() == 1 and not loss.is_complex():
            return loss.detach()
    except (TypeError, ValueError, RuntimeError) as error:
        reason = error
    raise _no_number(loss, what) from reason


def _no_number(loss: Any, what: str) -> TypeError | ValueError:
    if isinstance(loss, Tensor):
        return ValueError(
            f"the {what} of a step is one number, but got a {loss.dtype} of shape {list(loss.shape)}; "
            "take its mean, or give the losses of single samples to evaluate(train_losses=...)"
        )
    return TypeError(
        f"the {what} of a step is one number or a tensor of one, but got {type(loss).__name__}; "
        "give step() what backward() was called on"
    )


def sample_losses(given: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Losses of single samples, from wherever they are."""
    if isinstance(given, list | tuple) and any(isinstance(part, Tensor) for part in given):
        given = torch.cat([torch.as_tensor(part).detach().double().cpu().reshape(-1) for part in given])
    values = given.detach().double().cpu().numpy() if isinstance(given, Tensor) else given
    return np.asarray(values, float).reshape(-1)


def several_optimizers(given: Optimizer | Iterable[Optimizer]) -> tuple[Optimizer, ...]:
    """One optimizer or several, as a tuple. Raises: TypeError."""
    several = tuple(given) if isinstance(given, Iterable) else (given,)
    for one in several:
        if not isinstance(one, Optimizer):
            raise TypeError(f"the monitor needs a torch optimizer, or several, but got {type(one).__name__}")
    if not several:
        raise TypeError("the monitor needs at least one optimizer, but got none")
    return several


def metric_value(name: str, value: Any) -> float:
    """One figure of an evaluation. Raises: ValueError."""
    if not name.startswith(("train_", "val_")):
        raise ValueError(
            f"an evaluation is of the train or the val split, but got {name!r}; "
            f"name it train_{name} or val_{name}"
        )
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name} needs one number, but got {value!r}") from error
