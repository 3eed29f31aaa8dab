"""What a worker measures of itself: its memory, and its GPU as torch and NVML know it, here a made-up one."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from searcher.launchers.metering import MB, Meter

UUID = "6f0a1c2e-0000-4d3b-9c55-1b2c3d4e5f60"


class NoSuchThing(Exception):
    """An error of NVML."""


def nvml(**calls: Callable[..., Any]) -> SimpleNamespace:
    """NVML with the device of these tests; calls by name are laid over it."""

    def by_uuid(uuid: str) -> str:
        if uuid != f"GPU-{UUID}":
            raise NoSuchThing(uuid)
        return "the device"

    others = SimpleNamespace(pid=os.getpid() + 1, usedGpuMemory=9000 * MB)
    own = SimpleNamespace(pid=os.getpid(), usedGpuMemory=700 * MB)
    known = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetComputeRunningProcesses": lambda device: [others, own],
        "nvmlDeviceGetUtilizationRates": lambda device: SimpleNamespace(gpu=83),
        "nvmlDeviceGetPowerUsage": lambda device: 412_500,
    }
    return SimpleNamespace(NVMLError=NoSuchThing, **{**known, **calls})


def fails(*arguments: Any) -> Any:
    raise NoSuchThing("not supported")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU in use, as far as torch tells: 500 of 80,000 MB are reserved here, 20,000 in all."""
    for name, value in {
        "is_initialized": True,
        "mem_get_info": (60_000 * MB, 80_000 * MB),
        "memory_reserved": 500 * MB,
        "current_device": 0,
        "get_device_properties": SimpleNamespace(uuid=UUID),
    }.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)


def test_without_a_gpu_in_use_only_the_own_memory_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    before = Meter().read()
    assert before.keys() == {"host_memory_mb"}
    taken = np.ones(64 * MB // 8)
    more = Meter().read()["host_memory_mb"] - before["host_memory_mb"]
    assert len(taken) and 55 < more < 90
    assert before["host_memory_mb"] < psutil.virtual_memory().total / MB


@pytest.mark.usefixtures("gpu")
def test_a_gpu_is_measured_for_this_process_and_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    figures = Meter().read()
    del figures["host_memory_mb"]
    assert figures == {
        "gpu_memory_mb": 700.0,
        "gpu_memory_in_use_mb": 20_000.0,
        "gpu_memory_total_mb": 80_000.0,
        "gpu_utilization_percent": 83.0,
        "gpu_power_w": 412.5,
    }


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("module", "lacking"),
    [
        (None, {"gpu_utilization_percent", "gpu_power_w"}),
        (nvml(nvmlInit=fails), {"gpu_utilization_percent", "gpu_power_w"}),
        (nvml(nvmlDeviceGetUtilizationRates=fails), {"gpu_utilization_percent"}),
        (nvml(nvmlDeviceGetComputeRunningProcesses=lambda device: []), set()),
    ],
    ids=["no NVML", "NVML without a driver", "part of a GPU", "hidden process numbers"],
)
def test_what_cannot_be_measured_is_left_out(
    module: Any, lacking: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml())
    everything = Meter().read()
    monkeypatch.setitem(sys.modules, "pynvml", module)
    figures = Meter().read()
    assert everything.keys() - figures.keys() == lacking
    if module is None or lacking != {"gpu_utilization_percent"}:
        assert figures["gpu_memory_mb"] == 500.0, "what torch has reserved"
