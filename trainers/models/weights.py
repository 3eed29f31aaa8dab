"""Starting from trained weights.

A file is `torch.save` of a dictionary whose entry `weights` is the state of a model by name; what
else it holds (settings, shapes) is for whoever wants to know where the weights come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.errors import SettingError
from trainers.parts.optimizers import head_parameters

SHOWN = 5  # tensors of a kind that an error names


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill `model` with the weights in the file `path`, to fine-tune them.

    An output layer of another shape is left as it is: it is for another task. Everything else has
    to fit. Raises: SettingError naming the file and each tensor that does not.
    """
    saved = _read(path)
    wanted = model.state_dict()
    head = _head_names(model)
    if any(_shape(saved.get(name)) != _shape(wanted[name]) for name in head):
        saved = {name: value for name, value in saved.items() if name not in head}
        wanted = {name: value for name, value in wanted.items() if name not in head}
    mismatches = _mismatches(saved, wanted)
    if mismatches:
        raise SettingError(
            {
                "checkpoint": f"the weights in {str(path)!r} do not fit the model: "
                f"{'; '.join(mismatches)}; choose the settings the weights were trained with, or "
                "another file"
            }
        )
    model.load_state_dict(saved, strict=False)


def _read(path: str | Path) -> dict[str, Any]:
    advice = "give a file as `searcher best --model` saves it"
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        problem = f"{str(path)!r} cannot be opened: {error.strerror or error}; {advice}"
        raise SettingError({"checkpoint": problem}) from error
    except Exception as error:
        cause = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        problem = f"{str(path)!r} cannot be read as weights: {cause:.200}; {advice}"
        raise SettingError({"checkpoint": problem}) from error
    weights = content.get("weights") if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping):
        inside = list(content) if isinstance(content, Mapping) else type(content).__name__
        problem = f"{str(path)!r} needs an entry 'weights', but holds {inside!r:.200}; {advice}"
        raise SettingError({"checkpoint": problem})
    return dict(weights)


def _mismatches(saved: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    lists = {
        "tensors of other shapes": [
            f"{name} is {_shape(saved[name])} in the file and {_shape(wanted[name])} in the model"
            for name in wanted
            if name in saved and _shape(saved[name]) != _shape(wanted[name])
        ],
        "tensors the file lacks": [f"{name} {_shape(wanted[name])}" for name in wanted if name not in saved],
        "tensors the model lacks": [f"{name} {_shape(saved[name])}" for name in saved if name not in wanted],
    }
    return [f"{what}: {_shortened(names)}" for what, names in lists.items() if names]


def _head_names(model: nn.Module) -> set[str]:
    head = head_parameters(model)
    return {name for name, parameter in model.named_parameters() if id(parameter) in head}


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape) if isinstance(value, Tensor) else None


def _shortened(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
