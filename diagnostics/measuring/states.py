"""What a state is made of, so that it can be saved by one machine and read by another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor


def on_host(state: Any) -> Any:
    """The same nested dicts, lists and tuples, with every array a tensor and every tensor on the host."""
    if isinstance(state, np.ndarray):
        return torch.tensor(state)
    if isinstance(state, Tensor):
        return state.detach().cpu()
    if isinstance(state, Mapping):
        return {name: on_host(part) for name, part in state.items()}
    if isinstance(state, list | tuple):
        return type(state)(on_host(part) for part in state)
    return state
