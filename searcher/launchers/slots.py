"""The places where trials can train: one per GPU, or one per core without a GPU."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True)
class Slot:
    """One place to train: its name, and the environment its worker gets before it loads torch."""

    name: str
    environment: Mapping[str, str]


def find_slots(count: int | None = None, device: str = "auto") -> list[Slot]:
    """`count` slots, spread over the GPUs in turn; by default one per GPU or, without one, per core.

    `device` is the setting of the study: on `cpu` GPUs are left alone.
    """
    single_threaded = dict.fromkeys(THREADS, "1")
    devices = [] if device == "cpu" else _cuda_devices()
    if not devices and device != "cpu" and _has_mps():
        return [Slot(f"mps/{i}", single_threaded) for i in range(count or 1)]
    if not devices:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return [Slot(f"cpu:{i}", single_threaded) for i in range(count or cores)]
    slots = []
    for i in range(count or len(devices)):
        gpu = devices[i % len(devices)]
        nth = f"/{i // len(devices)}" if (count or 0) > len(devices) else ""
        slots.append(Slot(f"gpu:{gpu}{nth}", {**single_threaded, "CUDA_VISIBLE_DEVICES": gpu}))
    return slots


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _cuda_devices() -> list[str]:
    """The GPUs this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return visible[:count] if visible else [str(i) for i in range(count)]
