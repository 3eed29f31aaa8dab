"""Weights to disk and back: written beside and renamed, so that a file is whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from trainers.config import TrialConfig

Weights = Mapping[str, Tensor]


def save_weights(path: Path, weights: Weights, config: TrialConfig) -> None:
    """Write `{"weights": state_dict, "settings": {...}}` for `torch.load(path, weights_only=True)`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(path.name + ".part")
    content: dict[str, Any] = {"weights": dict(weights), "settings": config.settings()}
    torch.save(content, beside)
    beside.replace(path)
