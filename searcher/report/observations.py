"""What the trials of a study show, as plain numbers: curves, where failures live, what matters, layers.

These parts are drawn; what the study comes to is in `searcher/report/study_report.py`. A part whose numbers
are not there is empty (no rows, None), never invented; its `note` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Number = float | int
Value = str | bool | float | int


@dataclass(frozen=True)
class Line:
    """A curve: steps and values of one signal of a trial."""

    trial: int
    signal: str
    verdict: str
    steps: tuple[int, ...]
    values: tuple[float, ...]


@dataclass(frozen=True)
class Example:
    """One trial that shows a finding: what was said of it, and the curve it was said of."""

    kind: str
    severity: str
    trial: int
    step: int
    layers: tuple[str, ...]
    evidence: Mapping[str, float]
    cause: str
    remedy: str
    line: Line | None


@dataclass(frozen=True)
class Curves:
    """Training losses of all trials; training against validation of the best; an example for each finding."""

    losses: tuple[Line, ...]
    best: tuple[Line, ...]
    examples: tuple[Example, ...]
    note: str = ""


@dataclass(frozen=True)
class Bin:
    """A part of a setting's range (or one choice): its trials, those with the finding, and the rate with its
    95 % interval (Wilson)."""

    label: str
    low: float | None
    high: float | None
    trials: int
    failed: int
    rate: float
    rate_low: float
    rate_high: float


@dataclass(frozen=True)
class Rates:
    """How often a finding came up over a setting's range. `kind` is that of the finding, or `any failure`."""

    kind: str
    setting: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Condition:
    """A bound on a setting: `above` or `at most` a number, or `is` one of some choices."""

    setting: str
    word: str
    value: float | tuple[Value, ...]


@dataclass(frozen=True)
class Region:
    """The simplest rule that separates sick from healthy trials; no conditions when there is none.

    `support`: balanced accuracy of the rule on trials it was not fitted to, from 0.5 (chance) to 1.
    """

    kind: str
    text: str
    conditions: tuple[Condition, ...]
    failed_inside: int
    trials_inside: int
    failed_outside: int
    trials_outside: int
    support: float


@dataclass(frozen=True)
class FailureMap:
    """Where failures live."""

    rates: tuple[Rates, ...]
    regions: tuple[Region, ...]
    note: str = ""


@dataclass(frozen=True)
class Importance:
    """A setting's share of what moves the objective, failures counted."""

    setting: str
    share: float


@dataclass(frozen=True)
class Point:
    """A trial in a plot of objective against a setting; `objective` is a stand-in where the trial failed."""

    trial: int
    value: Value
    objective: float
    verdict: str


@dataclass(frozen=True)
class Slice:
    """The objective against one setting."""

    setting: str
    log: bool
    points: tuple[Point, ...]


@dataclass(frozen=True)
class Interaction:
    """The two settings that matter most, together: trial, both values, objective."""

    first: str
    second: str
    first_log: bool
    second_log: bool
    points: tuple[tuple[int, Value, Value, float], ...]
    text: str


@dataclass(frozen=True)
class Matters:
    """What matters."""

    importance: tuple[Importance, ...]
    slices: tuple[Slice, ...]
    interaction: Interaction | None
    note: str = ""


RATIO, GRADIENT = "update_ratio", "grad_norm"
"""What layer maps show: the size of an update over that of the weight, and the norm of the gradient."""


@dataclass(frozen=True)
class LayerMap:
    """A layer-by-step map of one trial: `values[layer][step]` is the decimal logarithm of the signal."""

    trial: int
    why: str
    signal: str
    steps: tuple[int, ...]
    layers: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
