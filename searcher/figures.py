"""The numbers that a trial has: its settings, what its trainer said of it, and an evaluation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

STEP_TIME = "step_time"
"""The fact that a trial has at its end: the median of the seconds a step took between two evaluations."""

STEP_SECONDS = "step_seconds"
"""How long steps took since the evaluation before, in seconds; asked for by this name, their median."""

PEAK = "peak_memory_mb"

FIGURES = ("parameters", PEAK, STEP_TIME, STEP_SECONDS, "steps_per_epoch", "total_steps")
"""What the trainer that comes along says of every trial, beside its settings and its metrics."""


def figures(
    settings: Mapping[str, Any], facts: Mapping[str, Any], metrics: Mapping[str, Any]
) -> dict[str, float]:
    """All numbers by which a trial is judged at its end; `metrics` are of the evaluation that counts."""
    found = {**metrics, **facts, **{name: value for name, value in settings.items() if value is not None}}
    if STEP_TIME in found:
        found[STEP_SECONDS] = found[STEP_TIME]
    return {name: float(value) for name, value in found.items() if is_number(value)}


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool)
