"""A model from own code, tried once before it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from trainers.errors import OwnCodeError, TrainerError
from trainers.owncode import load_object
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

TRIED = 2  # samples of the dry run


def build_own(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """The model that `build(settings, shapes)` of own code returns.

    `settings` are all settings by name, own ones among them. The model is tried with a batch of
    zeros in evaluation mode, which leaves no trace in its buffers, modes or the random numbers.

    Raises: OwnCodeError when it cannot be built, is no module or gives outputs of another shape.
    """
    path = config.model
    build = load_object(path, "model")
    try:
        model = build(config.settings(), shapes)
    except TrainerError:
        raise
    except Exception as error:
        raise OwnCodeError(
            f"model: {path!r} was called with the settings and shapes {shapes}, but failed with "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(model, nn.Module):
        raise OwnCodeError(f"model: {path!r} must return a torch.nn.Module, but returned {_describe(model)}")
    _check_answer(path, model, shapes)
    if not any(parameter.requires_grad for parameter in model.parameters()):
        raise OwnCodeError(
            f"model: {path!r} must have parameters to train, but got none; assign its layers to "
            "attributes of the module and leave requires_grad on"
        )
    return model


def _check_answer(path: str, model: nn.Module, shapes: Shapes) -> None:
    places = shapes.inputs if shapes.kind == "tokens" else ()
    expected = (TRIED, *places, shapes.outputs)
    batch = (TRIED, *shapes.inputs)
    agreed = f"model: {path!r} must answer a batch of shape {batch} with floats of shape {expected}"
    try:
        answer = _dry_run(model, batch, torch.long if shapes.kind == "tokens" else torch.float32)
    except Exception as error:
        raise OwnCodeError(
            f"{agreed}, but failed with {type(error).__name__}: {error}; its first layer has to "
            "take shapes.inputs"
        ) from error
    if not isinstance(answer, Tensor):
        raise OwnCodeError(
            f"{agreed}, but gave {_describe(answer)}; return the raw outputs alone from forward"
        )
    if tuple(answer.shape) != expected or not answer.is_floating_point():
        raise OwnCodeError(
            f"{agreed}, but gave {tuple(answer.shape)} of {answer.dtype}; its last layer has to "
            f"give shapes.outputs = {shapes.outputs} raw outputs"
        )


@torch.no_grad()
def _dry_run(model: nn.Module, batch: tuple[int, ...], dtype: torch.dtype) -> object:
    """What the model answers to zeros, run where its parameters are and undone afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    kept = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
        if not is_lazy(buffer)
    ]
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    devices = [device] if device.type == "cuda" else []
    model.eval()
    try:
        with torch.random.fork_rng(devices=devices):
            return model(torch.zeros(batch, dtype=dtype, device=device))
    finally:
        for module, training in modes:
            module.training = training
        for module, name, buffer, before in kept:
            buffer.copy_(before)
            setattr(module, name, buffer)


def _describe(value: Any) -> str:
    return f"{value!r:.80} of type {type(value).__name__!r}"
