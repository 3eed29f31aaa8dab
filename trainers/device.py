"""Which device a training runs on, and how it is set up there."""

from __future__ import annotations

import contextlib
import resource
import sys

import torch

from trainers.config import TrialConfig
from trainers.errors import SettingError


def choose_device(name: str) -> torch.device:
    """The device `name`; `auto` is CUDA, else MPS, else the CPU.

    Raises: SettingError for a device that is not there.
    """
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        return torch.device("cuda" if cuda else "mps" if mps else "cpu")
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count())), *(["mps"] if mps else [])]
    try:
        device = torch.device(name)
        known = device.type in ("cpu", "mps") or (device.index or 0) < torch.cuda.device_count()
    except RuntimeError:
        known = False
    if not known or (device.type == "mps" and not mps):
        raise SettingError({"device": f"there is no {name!r}; here are: auto, {', '.join(there)}"})
    return device


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[object]:
    """Mixed precision in bfloat16 where it is to be."""
    if casts(device, precision):
        return torch.autocast(device.type, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def casts(device: torch.device, precision: str) -> bool:
    """Whether precision is mixed: on CUDA by default, elsewhere when asked for."""
    automatic = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return precision == "bfloat16" or (precision == "auto" and automatic)


def memory_format(device: torch.device, config: TrialConfig, dimensions: int) -> torch.memory_format:
    """Channels last for images on CUDA, unless it is switched off."""
    if config.channels_last and device.type == "cuda" and dimensions == 4:
        return torch.channels_last
    return torch.contiguous_format


def peak_memory(device: torch.device) -> float:
    """The most memory used, in MB: by this training on CUDA, else by this process in all its life."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3
