"""Values that MLflow's parallel coordinates can draw: they leave out every run that lacks one.

An axis is one of numbers or one of texts, by the majority; runs with a value of the other kind are left
out, and of texts the 30 newest stay. So a setting that is switched off in a trial still needs a value of
its own kind, and a setting whose choices are of both kinds can be no axis.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from searcher.spec import Choices, Range, StudySpec
from searcher.tracking.usage_curves import SYSTEM

MOST_TEXTS = 30
"""Texts that an axis can hold."""

LONGEST_NAME = 250
"""Characters of a metric's or a param's name."""

ONCE = (
    "trial",
    "objective",
    "verdict_code",
    "epochs_used",
    "seconds",
    "step_time",
    "peak_memory_mb",
    "onset_step",
)
"""The figures every trial has once: each can be an axis."""

BEST, FAILURES = "best_so_far", "failures_so_far"
"""The study's own curves, over the number of trials that have ended."""

MOST_KEYS = 40
"""Metrics of an experiment that MLflow's pages handle well."""

MOST_CURVES = MOST_KEYS - len(ONCE) - len(SYSTEM) - 2
"""Curves that there is room for beside all these, in a study with one objective."""

UNKNOWN_ONSET = -1.0
"""The onset step of a trial without a fatal finding."""


def name_in_record(name: str) -> str:
    """The name MLflow takes: letters, digits and `_-. /`, the slashes between parts."""
    return re.sub(r"[^\w\-. /]|(?<!\w)/|/(?!\w)|^\.+|^$", "_", name)[:LONGEST_NAME]


def curve_name(metric: str) -> str:
    """The name of a metric's curve, apart from the figures that every trial has once."""
    name = name_in_record(metric)
    return f"{name}_curve" if name in (*ONCE, *SYSTEM.values(), BEST, FAILURES) else name


def value_on_axis(setting: Range | Choices | None, value: Any, inactive: bool) -> Any:
    """What is recorded of a setting: the value; where it is switched off, one of its axis' kind.

    A setting that is switched off has its default, the truth about the training. Where that would break
    the axis it stands a tenth of the range below it, or for texts at `none`.
    """
    if not inactive or setting is None or not _are_numbers(setting) or _is_number(value):
        return value
    low, high = _bounds(setting)
    below = low - (high - low) / 10 if high > low else low - 1.0
    return float(f"{below:.3g}") if float(f"{below:.3g}") < low else below


def logarithms(spec: StudySpec, settings: Mapping[str, Any]) -> dict[str, float]:
    """The base-10 logarithms of the settings with a log range: the pages' axes are linear.

    A setting that is switched off at a value without a logarithm stands a tenth of the range below it.
    """
    found = {}
    for name, setting in spec.space.items():
        if isinstance(setting, Range) and setting.log and name in settings:
            low, high, value = math.log10(setting.low), math.log10(setting.high), settings[name]
            positive = _is_number(value) and float(value) > 0
            logarithm = math.log10(float(value)) if positive else low - max(high - low, 1.0) / 10
            found[log_name(name)] = round(logarithm, 6)
    return found


def log_name(name: str) -> str:
    """The name of a setting's logarithm."""
    return f"{name}.log10"


def can_be_axis(setting: Range | Choices) -> bool:
    """Whether every trial can be drawn on an axis of this setting."""
    if isinstance(setting, Range) or _are_numbers(setting):
        return True
    return not any(map(_is_number, setting.choices)) and len(setting.choices) < MOST_TEXTS


def axes_of(spec: StudySpec) -> list[str]:
    """The axes of the settings of the space: of those with a log range that of the logarithm."""
    return [_axis(name, setting) for name, setting in spec.space.items() if can_be_axis(setting)]


def numeric_axes(spec: StudySpec) -> list[str]:
    """Those of them that are of numbers."""
    return [_axis(name, setting) for name, setting in spec.space.items() if _are_numbers(setting)]


def _axis(name: str, setting: Range | Choices) -> str:
    is_log = isinstance(setting, Range) and setting.log
    return name_in_record(log_name(name) if is_log else name)


def objective_names(spec: StudySpec) -> list[str]:
    """The figures of a study's objectives, the first of them under the name it has in every study."""
    return ["objective", *(name_in_record(f"objective.{metric.name}") for metric in spec.further)]


def curves_first(spec: StudySpec, metrics: Iterable[str]) -> list[str]:
    """Metrics in the order in which they get curves: the first objective, the others, the rest by name."""
    there = sorted(metrics)
    further = [metric.name for metric in spec.further if metric.name in there]
    return [spec.metric.name, *further, *there]


def admitted(known: Sequence[str], metrics: Sequence[str], objectives: int = 1) -> list[str]:
    """The `known` curves and after them those of `metrics`, as long as there is room for them beside so many
    objectives."""
    names = list(known)
    for metric in metrics:
        if metric not in names and len(names) <= MOST_CURVES - objectives:
            names.append(metric)
    return names


def _are_numbers(setting: Range | Choices) -> bool:
    return isinstance(setting, Range) or all(map(_is_number, setting.choices))


def _is_number(value: Any) -> bool:
    """Whether the pages take it for a number, by its text."""
    if isinstance(value, bool):
        return False  # its text is True or False
    try:
        return math.isfinite(float(str(value)))
    except ValueError:
        return not str(value).strip()  # nothing counts as 0


def _bounds(setting: Range | Choices) -> tuple[float, float]:
    if isinstance(setting, Range):
        return float(setting.low), float(setting.high)
    values = [float(str(value) or 0) for value in setting.choices]
    return min(values), max(values)


def in_record(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as MLflow keeps them: names and texts."""
    return {name_in_record(name): str(value) for name, value in values.items()}
