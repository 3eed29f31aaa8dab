"""Where a value that is not finite came from: one forward pass is replayed and every tensor looked at."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from diagnostics.measuring import sites


def origin_of(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    """The first thing in the forward pass of `model(*args, **kwargs)` that is not finite, as a phrase.

    Looked at in this order: the inputs, the weights, then what every leaf gives, the answer, and the
    buffers. Nothing is disturbed: see `replay`. Empty when all is finite.
    """
    place = bad_numbers((args, dict(kwargs)))
    if place:
        return f"input: {place}"
    weights = [sites.plain_name(n) for n, p in model.named_parameters() if not _is_finite(p)]
    if weights:
        return f"weight {weights[0]}" + (f" and {len(weights) - 1} more" if len(weights) > 1 else "")
    buffers = [sites.plain_name(n) for n, b in model.named_buffers() if not _is_finite(b)]
    return _first_bad_leaf(model, args, kwargs) or (f"running statistic {buffers[0]}" if buffers else "")


def replay(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """What `model(*args, **kwargs)` answers, uncompiled and without gradients; nothing is disturbed by it.

    Buffers are copied, what modules keep in attributes and the random streams are put back.
    """
    buffers = {name: b.detach().clone() for name, b in model.named_buffers()}
    with (
        _same_random_numbers(model),
        _same_attributes(model),
        _without_autocast_cache(),
        torch.no_grad(),
        torch.compiler.set_stance("force_eager"),
    ):
        return functional_call(model, buffers, args, dict(kwargs))


def bad_numbers(value: Any) -> str:
    """Where in tensors, nested in any way, something is not finite; empty when nothing is."""
    for tensor in _tensors(value):
        if _is_finite(tensor):
            continue
        kind = "NaN" if bool(torch.isnan(tensor).any()) else "infinity"
        if tensor.ndim == 2:
            bad = (~torch.isfinite(tensor)).any(dim=0).nonzero().flatten().tolist()
            names = ", ".join(str(i) for i in bad[:5]) + (" ..." if len(bad) > 5 else "")
            return f"{kind} in feature{'s' if len(bad) > 1 else ''} {names}"
        count = int((~torch.isfinite(tensor)).sum())
        return f"{kind} in {count} place{'s' if count > 1 else ''}"
    return ""


@contextmanager
def _same_random_numbers(model: nn.Module) -> Iterator[None]:
    devices = {p.device for p in model.parameters() if p.device.type == "cuda"}
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=list(devices)):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


@contextmanager
def _same_attributes(model: nn.Module) -> Iterator[None]:
    """Modules may note things on themselves, such as the last state of a recurrent layer."""
    kept = [(vars(module), dict(vars(module))) for module in model.modules()]
    try:
        yield
    finally:
        for attributes, before in kept:
            attributes.clear()
            attributes.update(before)


@contextmanager
def _without_autocast_cache() -> Iterator[None]:
    """Weights cast inside belong to a pass without gradients: the training's own must not find them."""
    enabled = torch.is_autocast_cache_enabled()
    torch.set_autocast_cache_enabled(False)
    try:
        yield
    finally:
        torch.set_autocast_cache_enabled(enabled)


def _first_bad_leaf(model: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, given: tuple[Any, ...], answer: Any) -> None:
            tensor = sites.first_tensor(answer)
            if not found and tensor is not None and not _is_finite(tensor):
                inside = sites.first_tensor(given)
                came = inside is not None and not _is_finite(inside)
                found.append(f"{'input' if came else 'output'} of {name} ({type(module).__name__})")

        return hook

    handles = [module.register_forward_hook(look(name)) for name, module in sites.leaves(model)]
    try:
        answer = sites.first_tensor(replay(model, args, kwargs))
        if not found and answer is not None and not _is_finite(answer):
            found.append(f"answer of {type(model).__name__}, behind its last part")
    except Exception as error:
        return f"a forward pass that raises {type(error).__name__}"
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""


def _tensors(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _tensors(part)
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _tensors(part)


def _is_finite(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() or bool(torch.isfinite(tensor).all())
