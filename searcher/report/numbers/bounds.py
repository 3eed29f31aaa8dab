"""Settings whose best value lies on a bound of what was searched, and what lies beyond it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Literal

from searcher.report.numbers.scales import DIGITS, is_ordered, scale_of
from searcher.report.observations import Number
from searcher.report.study_report import AtBound
from searcher.report.words import significant
from searcher.spec import Choices, Range, StudySpec
from trainers.config import SETTINGS, check_setting

Side = Literal["low", "high"]

NEAR = 0.02
"""Share of a range's width, on its own scale, that counts as its bound (house rule)."""

WIDER = 0.25
"""Share of a range's width by which it is widened (house rule: tenfold where it has four decades)."""

MOST_CHOICES = 2
"""Choices of which the best one says nothing about what lies beyond: either is a bound."""


def at_bounds(spec: StudySpec, sampled: Mapping[str, Any]) -> tuple[AtBound, ...]:
    """The sampled settings that lie on a bound: of a range, or of choices that are numbers in order."""
    found = []
    for name, value in sampled.items():
        side = _side(name, spec.space[name], value)
        if side is not None:
            found.append(AtBound(name, value, side))
    return tuple(found)


def beyond(spec: StudySpec, name: str, side: Side) -> Number | None:
    """The value to which a setting can be widened; None where nothing beyond its bound is allowed."""
    setting = spec.space[name]
    value = _wider_range(name, setting, side) if isinstance(setting, Range) else _next_choice(setting, side)
    if value is None or (name in SETTINGS and check_setting(name, value) is not None):
        return None
    return value


def _side(name: str, setting: Range | Choices, value: Any) -> Side | None:
    if isinstance(setting, Range):
        if setting.low == setting.high:
            return None
        place = scale_of(name, setting).place(value)
        return "low" if place <= NEAR else "high" if place >= 1 - NEAR else None
    if not is_ordered(setting.choices) or len(setting.choices) <= MOST_CHOICES:
        return None
    numbers = sorted(float(choice) for choice in setting.choices)
    return "low" if value == numbers[0] else "high" if value == numbers[-1] else None


def _wider_range(name: str, setting: Range, side: Side) -> Number | None:
    scale = scale_of(name, setting)
    value = scale.value(1 + WIDER if side == "high" else -WIDER)
    if setting.step is not None:
        steps = max(1, round(WIDER * (setting.high - setting.low) / setting.step))
        return scale.on_grid((scale.values or 1) - 1 + steps if side == "high" else -steps)
    if scale.whole:
        if side == "high":
            return max(round(value), int(setting.high) + 1)
        whole = min(round(value), int(setting.low) - 1)
        return None if setting.low > 0 >= whole else whole
    if not setting.log and side == "low" and setting.low >= 0 > value:
        return None  # a setting that was never negative is not made so
    return significant(value, DIGITS)


def _next_choice(setting: Choices, side: Side) -> Number | None:
    """The number that follows by the step, or the ratio, of the last two."""
    numbers = sorted(choice for choice in setting.choices if isinstance(choice, int | float))
    last, other = (numbers[-1], numbers[-2]) if side == "high" else (numbers[0], numbers[1])
    is_whole = all(isinstance(number, int) for number in numbers)
    ratio = last / other if other else 0.0
    grows = numbers[0] > 0 and not _are_alike([b - a for a, b in pairwise(numbers)])
    value = last * ratio if grows else last + (last - other)
    if numbers[0] > 0 and value <= 0:
        return None
    if is_whole:
        return round(value) if round(value) != last else None
    return significant(value, DIGITS)


def _are_alike(steps: list[float]) -> bool:
    """Whether numbers are equally far apart."""
    return max(steps) <= 1.01 * min(steps)
