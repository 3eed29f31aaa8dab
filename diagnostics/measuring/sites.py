"""What of a model is worth watching: its weight layers, activations and norms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

NORMS = (
    nn.modules.batchnorm._NormBase,
    nn.LayerNorm,
    nn.GroupNorm,
    nn.LocalResponseNorm,
    *((nn.RMSNorm,) if hasattr(nn, "RMSNorm") else ()),
)

DROPOUTS = (nn.modules.dropout._DropoutNd,)

PLUMBING = (*DROPOUTS, nn.Identity, nn.Flatten, nn.Softmax, nn.LogSoftmax, nn.Softmin)
"""Leaf modules that keep the shape of a tensor and yet are no hidden activation."""

WRAPPERS = ("module.", "_orig_mod.")
"""What data-parallel and compiled models put before the names of their parts."""


def unwrapped(model: nn.Module) -> nn.Module:
    """The model below the wrappers of compilation and data parallelism."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if inner is None and type(model).__name__ in ("DataParallel", "DistributedDataParallel"):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


def is_compiled(model: nn.Module) -> bool:
    """Whether the model, or a part of it, is compiled."""
    return any(
        hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None
        for module in model.modules()
    )


def is_transformed() -> bool:
    """Whether a compiler, a tracer or a transform runs this pass: its tensors hold no numbers to look at."""
    return (
        torch.compiler.is_compiling()
        or torch._C._get_tracing_state() is not None
        or torch._C._functorch.peek_interpreter_stack() is not None
    )


def plain_name(name: str) -> str:
    """The name of a part without what wrappers put into it."""
    for wrapper in WRAPPERS:
        name = name.removeprefix(wrapper).replace(f".{wrapper}", ".")
    return name


def modules(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """All modules but those that only make the weights of another one out of its parameters."""
    for name, module in model.named_modules():
        if "parametrizations" not in name.split("."):
            yield name, module


def leaves(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Every module that does arithmetic of its own: one without children, or with weights of its own."""
    for name, module in modules(model):
        if not any(True for _ in module.children()) or is_layer(module):
            yield plain_name(name) or type(module).__name__, module


def is_layer(module: nn.Module) -> bool:
    """Whether the module holds a weight matrix of its own."""
    return any(p.ndim >= 2 for p in module.parameters(recurse=False)) or bool(
        hasattr(module, "parametrizations")
    )


def is_convolution(module: nn.Module) -> bool:
    """Whether the second axis of what the module takes and gives counts its units, not the last."""
    return isinstance(module, nn.modules.conv._ConvNd)


def is_norm(module: nn.Module) -> bool:
    """Whether the module normalises; own classes count when they are named so."""
    return isinstance(module, NORMS) or type(module).__name__.lower().endswith("norm")


def role(module: nn.Module) -> str:
    """What a leaf module is looked at as: `layer`, `norm`, `activation` if it keeps the shape, or nothing."""
    if is_layer(module):
        return "layer"
    if is_norm(module):
        return "norm"
    is_other = isinstance(module, PLUMBING) or "drop" in type(module).__name__.lower()
    return "" if is_other else "activation"


def is_squashing(module: nn.Module) -> bool:
    """Whether what a recurrent layer gives went through a tanh."""
    return isinstance(module, nn.RNN) and module.nonlinearity == "tanh"


def first_tensor(value: object) -> Tensor | None:
    """The first tensor of floating numbers in what a module takes or gives; `logits` before others.

    A single number is none: many published models give their loss beside their logits.
    """
    if isinstance(value, Tensor):
        return value if value.is_floating_point() and value.ndim else None
    if isinstance(value, Mapping):
        parts = [value.get("logits"), *value.values()]
    else:
        parts = [getattr(value, "logits", None), *(value if isinstance(value, tuple | list) else ())]
    found = (first_tensor(part) for part in parts if part is not None)
    return next((tensor for tensor in found if tensor is not None), None)
