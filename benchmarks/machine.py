"""The machine and the versions behind the figures, in words: no names, no paths."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path

import psutil

LIBRARIES = ("torch", "optuna", "mlflow-skinny", "sqlalchemy", "numpy")


def describe_machine() -> str:
    """Cores, memory, processor and GPU."""
    cores = psutil.cpu_count() or 1
    memory = psutil.virtual_memory().total / 2**30
    return f"{cores} cores ({_processor()}), {memory:.0f} GiB of memory, {_gpu()}"


def describe_load() -> str:
    """How busy the machine is, so that a reader can weigh the figures."""
    load = psutil.getloadavg()[0]
    return f"load {load:.1f} on {psutil.cpu_count() or 1} cores over the last minute"


def describe_versions() -> str:
    """Python and the libraries that the figures depend on."""
    known = ", ".join(f"{name.removesuffix('-skinny')} {version(name)}" for name in LIBRARIES)
    return f"Python {platform.python_version()}, {known}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def _gpu() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
