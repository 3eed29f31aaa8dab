"""What a trial took of its machine, as curves over its seconds. Pure."""

from __future__ import annotations

from searcher.trial import TrialResult
from searcher.verify import Point

SYSTEM = {
    "host_memory_mb": "system/host_memory_mb",
    "gpu_memory_mb": "system/gpu_memory_mb",
    "gpu_utilization_percent": "system/gpu_utilization_percent",
    "gpu_power_w": "system/gpu_power_w",
}
"""Figures of a trial's usage that have a curve: MLflow shows those of `system/` on a page of their own."""


def usage_curves(result: TrialResult) -> dict[str, list[Point]]:
    """What a trial took of its machine, by the whole seconds since it began."""
    found: dict[str, dict[int, float]] = {}
    for row in result.usage:
        for name, value in row.figures.items():
            if name in SYSTEM:
                points, second = found.setdefault(SYSTEM[name], {}), int(row.seconds)
                points[second] = max(value, points.get(second, value))
    return {name: list(points.items()) for name, points in found.items()}
