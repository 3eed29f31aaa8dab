"""Settings whose best value lies on a bound of what was searched, and what lies beyond it."""

from __future__ import annotations

import math
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
"""Choices, or values of a range, of which the best one says nothing about what lies beyond: either is a
bound."""

HALVINGS = 40
"""Times that the room up to what is not allowed is halved to find where that begins."""


def at_bounds(spec: StudySpec, sampled: Mapping[str, Any]) -> tuple[AtBound, ...]:
    """The sampled settings that lie on a bound: of a range, or of choices that are numbers in order."""
    found = []
    for name, value in sampled.items():
        side = _side(name, spec.space[name], value)
        if side is not None:
            found.append(AtBound(name, value, side))
    return tuple(found)


def beyond(spec: StudySpec, name: str, side: Side) -> Number | None:
    """The value to which a setting can be widened; None where it cannot be. Where a full step is too far, it
    is half of what is allowed, and 0 for what was never negative."""
    setting = spec.space[name]
    if isinstance(setting, Range):
        return _wider_range(name, setting, side)
    return _next_choice(name, setting, side)


def _side(name: str, setting: Range | Choices, value: Any) -> Side | None:
    if isinstance(setting, Range):
        scale = scale_of(name, setting)
        if setting.low == setting.high or (scale.values or math.inf) <= MOST_CHOICES:
            return None
        place = scale.place(value)
        return "low" if place <= NEAR else "high" if place >= 1 - NEAR else None
    if not is_ordered(setting.choices) or len(setting.choices) <= MOST_CHOICES:
        return None
    numbers = sorted(float(choice) for choice in setting.choices)
    return "low" if value == numbers[0] else "high" if value == numbers[-1] else None


def _wider_range(name: str, setting: Range, side: Side) -> Number | None:
    scale = scale_of(name, setting)
    last = setting.low if side == "low" else setting.high
    value = scale.value(1 + WIDER if side == "high" else -WIDER)
    if setting.step is not None:
        steps = max(1, round(WIDER * (setting.high - setting.low) / setting.step))
        top = 0 if side == "low" or scale.values is None else scale.values - 1
        wider = (scale.on_grid(top - k if side == "low" else top + k) for k in range(steps, 0, -1))
        return next((one for one in wider if _is_allowed(name, last, one)), None)
    if scale.whole:
        value = max(round(value), int(last) + 1) if side == "high" else min(round(value), int(last) - 1)
        return _nearer(name, int(last), value)
    return _nearer(name, last, significant(value, DIGITS))


def _next_choice(name: str, setting: Choices, side: Side) -> Number | None:
    """The number that follows by the step, or the ratio, of the last two; or a nearer one."""
    numbers = sorted(choice for choice in setting.choices if isinstance(choice, int | float))
    last, other = (numbers[-1], numbers[-2]) if side == "high" else (numbers[0], numbers[1])
    is_whole = all(isinstance(number, int) for number in numbers)
    ratio = last / other if other else 0.0
    grows = numbers[0] > 0 and not _are_alike([b - a for a, b in pairwise(numbers)])
    value = last * ratio if grows else last + (last - other)
    if is_whole:
        return _nearer(name, int(last), round(value))
    return _nearer(name, float(last), significant(value, DIGITS))


def _nearer(name: str, last: Number, value: Number) -> Number | None:
    """The value, or 0 where it is below that and nothing was, or what lies half-way to the first that is not
    allowed; None where nothing beyond the last one is."""
    if value == last or _is_allowed(name, last, value):
        return None if value == last else value
    is_whole = isinstance(last, int) and isinstance(value, int)
    zero: Number = 0 if is_whole else 0.0
    if value < 0 < last and name in SETTINGS and _is_allowed(name, last, zero):
        return zero
    limit = _limit(name, last, value)
    half = last + (limit - last) / 2
    nearer: Number = (
        (math.floor if half < last else math.ceil)(half) if is_whole else significant(half, DIGITS)
    )
    return nearer if nearer != last and _is_allowed(name, last, nearer) else None


def _limit(name: str, last: Number, value: Number) -> float:
    """Where what is allowed ends, between the last value and one that is not allowed."""
    inside, outside = float(last), float(value)
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        probe = round(middle) if isinstance(last, int) and isinstance(value, int) else middle
        if _is_allowed(name, last, probe):
            inside = probe
        else:
            outside = middle
    return inside


def _is_allowed(name: str, last: Number, value: Number) -> bool:
    """Whether a setting may have a value: none becomes negative that was not, and none of own code 0."""
    if last >= 0 > value or (last > 0 == value and name not in SETTINGS):
        return False
    return name not in SETTINGS or check_setting(name, value) is None


def _are_alike(steps: list[float]) -> bool:
    """Whether numbers are equally far apart."""
    return max(steps) <= 1.01 * min(steps)
