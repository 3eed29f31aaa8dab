"""Weights to disk and back: written beside and renamed, so that a file is whole or not there."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.config import TrialConfig, config_from
from trainers.errors import DataError
from trainers.models import build_model
from trainers.shapes import Shapes

Weights = Mapping[str, Tensor]


def save_weights(path: Path, weights: Weights, config: TrialConfig, shapes: Shapes) -> None:
    """Write `{"weights": state_dict, "settings": {...}, "shapes": {...}}`.

    `torch.load(path, weights_only=True)` reads it; `load_model` makes the model from it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    content: dict[str, Any] = {
        "weights": dict(weights),
        "settings": config.settings(),
        "shapes": dataclasses.asdict(shapes),
    }
    torch.save(content, beside)
    beside.replace(path)


def load_model(path: Path) -> tuple[nn.Module, Shapes]:
    """The model of a file that `save_weights` wrote, on the CPU and in evaluation mode, and its shapes.

    Raises: DataError when something else wrote it.
    """
    content = torch.load(path, weights_only=True, map_location="cpu")
    if not isinstance(content, dict) or not {"weights", "settings", "shapes"} <= content.keys():
        raise DataError(f"{path} was not written by this package's own trainer")
    config = config_from({**content["settings"], "checkpoint": None, "head_learning_rate": None})
    shapes = Shapes(**content["shapes"])
    model = build_model(config, shapes)
    model.load_state_dict(content["weights"])
    return model.eval(), shapes
