"""Random states: Python's, numpy's and torch's, all at once."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int) -> None:
    """Begin every random stream of this process anew."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def random_states(device: torch.device) -> dict[str, Any]:
    """Where every random stream of this process stands, that of the device among them."""
    kind, keys, place, has_normal, normal = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.tensor(np.asarray(keys).astype(np.int64)), place, has_normal, normal),
        "torch": torch.get_rng_state(),
        "device": _of_device(device),
    }


def set_random_states(states: dict[str, Any], device: torch.device) -> None:
    """Put every random stream where `random_states` found it; that of a device only on one of its kind."""
    random.setstate(states["python"])
    kind, keys, *rest = states["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    known = states["device"]
    if device.type == "cuda" and "cuda" in known:
        torch.cuda.set_rng_state(known["cuda"].cpu(), device)
    elif device.type == "mps" and "mps" in known:
        torch.mps.set_rng_state(known["mps"].cpu())


def _of_device(device: torch.device) -> dict[str, torch.Tensor]:
    if device.type == "cuda":
        return {"cuda": torch.cuda.get_rng_state(device)}
    return {"mps": torch.mps.get_rng_state()} if device.type == "mps" else {}
