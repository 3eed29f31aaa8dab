"""What a worker's own process takes: host memory by psutil, its device by NVML where that is installed."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from searcher.launchers.packing import OWN, TOTAL
from searcher.usage import Usage

FIRST_SECONDS = 1.0
"""When the first sample is taken: trainings that take less need none."""

MB = 2**20


class Meter:
    """Reads the figures of this process. A figure that cannot be had is left out.

    host_memory_mb           memory of this process that is in RAM
    gpu_memory_mb            what this process takes of its device; in a container that hides process
                             numbers, what torch has reserved
    gpu_memory_in_use_mb     what all processes take of the device
    gpu_memory_total_mb      what the device has
    gpu_utilization_percent  how long the device was busy of late
    gpu_power_w              what the device draws
    """

    def __init__(self) -> None:
        import psutil

        self._process = psutil.Process()
        self._device: Any = None

    def read(self) -> dict[str, float]:
        """The figures of now."""
        host = {"host_memory_mb": self._process.memory_info().rss / MB}
        torch = sys.modules.get("torch")
        if torch is None or not torch.cuda.is_initialized():
            return host
        free, total = torch.cuda.mem_get_info()
        reserved = torch.cuda.memory_reserved()
        gpu = {OWN: reserved / MB, "gpu_memory_in_use_mb": (total - free) / MB, TOTAL: total / MB}
        return {**host, **gpu, **self._by_nvml(torch)}

    def _by_nvml(self, torch: Any) -> dict[str, float]:
        """What only NVML knows; the device is found by its number of life, however devices are counted."""
        try:
            import pynvml
        except ImportError:
            return {}
        asked: dict[str, Callable[[], float | None]] = {
            OWN: lambda: self._own_mb(pynvml),
            "gpu_utilization_percent": lambda: float(pynvml.nvmlDeviceGetUtilizationRates(self._device).gpu),
            "gpu_power_w": lambda: pynvml.nvmlDeviceGetPowerUsage(self._device) / 1000,
        }
        found: dict[str, float] = {}
        try:
            self._device = self._device or _handle(pynvml, torch)
        except pynvml.NVMLError:
            return {}
        for name, ask in asked.items():
            try:
                value = ask()
            except pynvml.NVMLError:  # a part of a GPU has no figures of its own for some of these
                continue
            if value is not None:
                found[name] = value
        return found

    def _own_mb(self, pynvml: Any) -> float | None:
        processes = pynvml.nvmlDeviceGetComputeRunningProcesses(self._device)
        taken = [p.usedGpuMemory for p in processes if p.pid == os.getpid() and p.usedGpuMemory]
        return taken[0] / MB if taken else None


def _handle(pynvml: Any, torch: Any) -> Any:
    """NVML's handle of the device that torch uses."""
    pynvml.nvmlInit()
    uuid = str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid)
    try:
        return pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{uuid}")
    except pynvml.NVMLError:
        return pynvml.nvmlDeviceGetHandleByUUID(f"MIG-{uuid}")


class Sampler:
    """Measures while a job runs, in a thread of its own, and hands each `Usage` to `say`."""

    def __init__(self, meter: Meter, every: float, say: Callable[[Usage], None]) -> None:
        self._meter, self._every, self._say = meter, every, say
        self._over = threading.Event()
        self._turn = threading.Lock()
        self._began = time.monotonic()
        threading.Thread(target=self._run, daemon=True).start()

    def stop(self) -> None:
        """Measure no more: nothing is said from now on."""
        self._over.set()
        with self._turn:
            return  # a word that was begun is said to its end

    def _run(self) -> None:
        wait = min(FIRST_SECONDS, self._every)
        while not self._over.wait(wait):
            wait = self._every
            with self._turn:
                if not self._over.is_set():
                    self._say(Usage(round(time.monotonic() - self._began, 3), self._meter.read()))
