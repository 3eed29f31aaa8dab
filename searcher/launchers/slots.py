"""The places where trials can train: one per GPU, or one per core without a GPU, unless a study says more."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from searcher.errors import SearcherError

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

VISIBLE = "CUDA_VISIBLE_DEVICES"

MOST_PACKED = 8
"""Workers that wait at most for room on one GPU (house rule): each takes host memory while it waits."""


@dataclass(frozen=True)
class Slot:
    """One place to train: its name, the environment its worker gets before it loads torch, and the device
    that it shares with the other slots of this device."""

    name: str
    environment: Mapping[str, str]
    device: str = "cpu"


def find_slots(
    count: int | None = None,
    device: str = "auto",
    devices: Sequence[str] | None = None,
    per_device: int | Literal["auto"] | None = None,
) -> list[Slot]:
    """`count` slots, spread over the GPUs in turn; by default one per GPU or, without one, per core.

    `device` is the setting of the study: on `cpu` GPUs are left alone. `devices` names GPUs, or is
    `("cpu",)`; `per_device` is how many slots share one, with `auto` as many as could be worth it.

    Raises: SearcherError when a named device is not there.
    """
    single_threaded = dict.fromkeys(THREADS, "1")
    on_cpu = device == "cpu" or tuple(devices or ()) == ("cpu",)
    gpus = [] if on_cpu else _chosen(_cuda_devices(), devices)
    if not gpus and not on_cpu and _has_mps():
        return [Slot(f"mps/{i}", single_threaded, "mps") for i in range(_fewest(count, per_device) or 1)]
    if not gpus:
        hidden = {VISIBLE: ""} if devices else {}  # or a trainer would find them by itself
        number = _fewest(count, per_device) or cores()
        return [Slot(f"cpu:{i}", {**single_threaded, **hidden}) for i in range(number)]
    most = len(gpus) * (_packed(len(gpus)) if per_device == "auto" else per_device or 1)
    number = most if count is None else min(count, most) if per_device else count
    slots = []
    for i in range(number):
        gpu = gpus[i % len(gpus)]
        nth = f"/{i // len(gpus)}" if number > len(gpus) else ""
        slots.append(Slot(f"gpu:{gpu}{nth}", {**single_threaded, VISIBLE: gpu}, f"gpu:{gpu}"))
    return slots


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _fewest(count: int | None, per_device: int | str | None) -> int | None:
    """The slots of a machine with one device: the fewer of both numbers."""
    given = [number for number in (count, per_device) if isinstance(number, int)]
    return min(given, default=None)


def _packed(gpus: int) -> int:
    return max(1, min(MOST_PACKED, cores() // gpus))


def _chosen(there: list[str], wanted: Sequence[str] | None) -> list[str]:
    if wanted is None:
        return there
    if lost := [name for name in wanted if name not in there]:
        named = ", ".join(map(repr, lost))
        known = ", ".join(map(repr, there)) or "no GPU"
        raise SearcherError(
            f"dispatch.devices names {named}, which this machine does not have; there is: {known}"
        )
    return list(dict.fromkeys(wanted))


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _cuda_devices() -> list[str]:
    """The GPUs this process may use, as `CUDA_VISIBLE_DEVICES` names them."""
    import torch

    visible = [name.strip() for name in os.environ.get(VISIBLE, "").split(",") if name.strip()]
    count = torch.cuda.device_count()
    return visible[:count] if visible else [str(i) for i in range(count)]
