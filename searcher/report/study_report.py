"""What a study has taught, as plain numbers and the sentences made from them: every renderer shows the same.

A part whose numbers are not there is empty (no rows, None), never invented; its `note` says why.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Number = float | int
Value = str | bool | float | int


@dataclass(frozen=True)
class Spread:
    """How sure a value is: half the width of a 95 % interval, and what it was taken from.

    `source`: `seeds` (the same settings trained with other seeds), `evaluations` (how much the metric of one
    training moves about its trend), `samples` (an accuracy on so few validation samples). `samples` is how
    many of those there were.
    """

    half_width: float
    source: str
    samples: int


@dataclass(frozen=True)
class Best:
    """The best trial that was trained to its end; `equals` are trials whose difference to it is noise."""

    trial: int
    value: float
    epoch: float
    settings: Mapping[str, Value]
    spread: Spread | None
    equals: tuple[int, ...]


@dataclass(frozen=True)
class Trouble:
    """What went wrong with some trials: kind of their first cause, the trials, what to change."""

    kind: str
    trials: tuple[int, ...]
    remedy: str


@dataclass(frozen=True)
class Headline:
    """In one paragraph: what was searched, the best, how many trained well, what went wrong, what is next."""

    text: str
    trials: int
    well: int
    outcomes: Mapping[str, int]
    best: Best | None
    troubles: tuple[Trouble, ...]


@dataclass(frozen=True)
class VerdictRow:
    """How many trials got a verdict, and the device time spent on them in seconds."""

    verdict: str
    trials: int
    seconds: float


@dataclass(frozen=True)
class Verdicts:
    """All verdicts; `saved` is the device time in seconds, by outcome, that stopping early has saved: what
    was left of the trial's epochs, at the trial's own pace."""

    rows: tuple[VerdictRow, ...]
    saved: Mapping[str, float]
    note: str = ""


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


@dataclass(frozen=True)
class LayerMap:
    """A layer-by-step map of one trial: `values[layer][step]` is the decimal logarithm of the signal."""

    trial: int
    why: str
    signal: str
    steps: tuple[int, ...]
    layers: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class AtBound:
    """The best value of a setting lies on a bound of its range."""

    setting: str
    value: Number
    bound: str


@dataclass(frozen=True)
class Convergence:
    """How the search itself went: best so far after each finished trial and after so many device seconds."""

    trials: tuple[int, ...]
    seconds: tuple[float, ...]
    best: tuple[float, ...]
    levelled_off: bool | None
    text: str
    at_bounds: tuple[AtBound, ...]


@dataclass(frozen=True)
class Change:
    """A change to the study file, with its reason."""

    setting: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True)
class Longer:
    """A trial that was still improving and deserves a longer budget."""

    trial: int
    reason: str
    settings: Mapping[str, Value]


@dataclass(frozen=True)
class Next:
    """A study file that is ready to run, and why it differs from this one."""

    study_file: str
    changes: tuple[Change, ...]
    longer: tuple[Longer, ...]


@dataclass(frozen=True)
class Reproduction:
    """All that is needed to get these results again. `study_file` is the text of the study file that was run,
    for a study that does not come along."""

    command: str
    seed: int
    versions: Mapping[str, str]
    device: str
    data_digest: str
    git_commit: str
    best_settings: str
    study_file: str = ""


@dataclass(frozen=True)
class StudyReport:
    """A convergence report, in the order in which it is read. `ended` says why the study ended; empty while
    it runs. `made_at` is in seconds since 1970."""

    study: str
    question: str
    metric: str
    goal: str
    ended: str
    made_at: float
    headline: Headline
    verdicts: Verdicts
    curves: Curves
    failures: FailureMap
    matters: Matters
    layers: tuple[LayerMap, ...]
    convergence: Convergence
    next: Next
    reproduction: Reproduction

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: tuples as lists."""
        from dataclasses import asdict

        return asdict(self)
