"""The settings of a study's trials as columns: where each value lies in its range, on the range's own scale.

Notation
    u       place of a number in its range: 0 at the low end, 1 at the high end; on a log range equal
            distances are equal ratios                                       [trials], NaN where inactive
    k       number of a choice, from 0                                       [trials], -1 where inactive
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from searcher.report.observations import Number, Value
from searcher.report.words import significant
from searcher.spec import Choices, Range, StudySpec
from searcher.trial import TrialResult
from trainers.config import is_continuous

Places = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIGITS = 2
"""Significant digits of a bound that people read (house rule: a range is not known better than that)."""

DUST = 1e-9
"""Share of a step that is what fractions lose in a computer, not a part of a step."""


@dataclass(frozen=True)
class Scale:
    """The scale of a range; `whole` when it holds whole numbers only, and `step` when only every so many."""

    low: float
    high: float
    log: bool = False
    whole: bool = False
    step: Number | None = None

    @property
    def values(self) -> int | None:
        """How many different values there are; None for any number."""
        step = self.step or (1 if self.whole else None)
        return None if step is None else math.floor((self.high - self.low) / step + DUST) + 1

    def place(self, value: float) -> float:
        """`u` of a value; beyond 0 and 1 outside of the range, 0 in a range without width."""
        low, high = self._bent(self.low), self._bent(self.high)
        return (self._bent(value) - low) / (high - low) if high > low else 0.0

    def value(self, u: float) -> float:
        """The value at a place."""
        low, high = self._bent(self.low), self._bent(self.high)
        bent = low + u * (high - low)
        return math.exp(bent) if self.log else bent

    def rounded(self, u: float, low: float, high: float) -> Number:
        """The roundest value from the place `low` to below the place `high`, near `u`: the trial at `high` is
        above it, that at `low` at most it. A whole one rounds down for the same reason."""
        value = self.value(u)
        if self.whole:
            return math.floor(value + DUST)
        for digits in range(DIGITS, 17):
            number = significant(value, digits)
            if (number > 0 or not self.log) and low <= self.place(number) < high:
                return number
        return value

    def on_grid(self, steps: float) -> Number:
        """The value so many steps above the low end, of ranges with steps; without the dust of fractions."""
        value = self.low + round(steps) * (self.step or 1)
        return round(value) if self.whole else float(f"{value:.12g}")

    def steps_to(self, value: float) -> float:
        """How many steps a value lies above the low end; a whole number where it is one but for dust."""
        steps = (value - self.low) / (self.step or 1)
        return round(steps) if abs(steps - round(steps)) < DUST else steps

    def _bent(self, value: float) -> float:
        return math.log(value) if self.log else float(value)


def number_text(value: float) -> str:
    """A number as it is, in few characters: `0.0213`, `5e-5`."""
    return f"{value:.6g}".replace("e-0", "e-").replace("e+0", "e")


def scale_of(name: str, setting: Range) -> Scale:
    """The scale of a searched range."""
    is_whole = all(isinstance(value, int) for value in (setting.low, setting.high, setting.step or 1))
    is_whole = is_whole and not is_continuous(name)
    return Scale(setting.low, setting.high, setting.log, is_whole, setting.step)


@dataclass(frozen=True)
class Column:
    """A searched setting over all trials: `u` of a range, or `k` of choices, and where it was active."""

    name: str
    places: Places
    active: Mask
    scale: Scale | None = None
    choices: tuple[Value, ...] = ()

    def values(self) -> list[Value | None]:
        """The value in every trial, None where the setting was inactive."""
        return [
            self._value(place) if on else None for place, on in zip(self.places, self.active, strict=True)
        ]

    def _value(self, place: float) -> Value:
        if self.scale is None:
            return self.choices[int(place)]
        value = self.scale.value(place)
        return round(value) if self.scale.whole else value


def columns_of(spec: StudySpec, results: Sequence[TrialResult]) -> tuple[Column, ...]:
    """Every searched setting, in the order of the study file."""
    return tuple(_column(name, setting, results) for name, setting in spec.space.items())


def rows_of(column: Column, rows: Mask) -> Column:
    """The column of some of the trials."""
    return replace(column, places=column.places[rows], active=column.active[rows])


def is_ordered(choices: Sequence[Value]) -> bool:
    """Whether choices are different numbers that only rise or only fall, such as batch sizes."""
    numbers = [value for value in choices if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) < max(len(choices), 2):
        return False
    return numbers in (sorted(numbers), sorted(numbers, reverse=True))


def _column(name: str, setting: Range | Choices, results: Sequence[TrialResult]) -> Column:
    active = np.array([name in result.sampled for result in results], dtype=bool)
    if isinstance(setting, Range):
        scale = scale_of(name, setting)
        values = [scale.place(r.settings[name]) if on else math.nan for r, on in _pairs(results, active)]
        return Column(name, np.array(values, dtype=np.float64), active, scale=scale)
    number = {(type(value), value): float(k) for k, value in enumerate(setting.choices)}
    codes = [
        number.get((type(r.settings[name]), r.settings[name]), -1.0) if on else -1.0
        for r, on in _pairs(results, active)
    ]
    places = np.array(codes, dtype=np.float64)
    return Column(name, places, active & (places >= 0), choices=tuple(setting.choices))


def _pairs(results: Sequence[TrialResult], active: Mask) -> list[tuple[TrialResult, bool]]:
    return list(zip(results, active.tolist(), strict=True))
