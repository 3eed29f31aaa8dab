"""One trial: the stream of its messages folded into what is known of it, and at last its result."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from diagnostics import Finding, Report, Signals, Verdict, diagnose
from diagnostics.diagnose import give_verdict, run_rules
from diagnostics.evidence.starting import has_begun
from searcher.beginnings import BEGUN, NEVER
from searcher.figures import STEP_TIME, figures
from searcher.spec import Metric, Objective
from searcher.usage import Usage, UsageLog
from searcher.vectors import Vector
from trainers.progress import Progress

Facts = dict[str, float | int | str]


class Outcome(StrEnum):
    """How a trial ended, for the search."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    DOOMED = "doomed"
    INFEASIBLE = "infeasible"  # it violates a constraint of the study file
    FAILED = "failed"


@dataclass(frozen=True)
class Evaluation:
    """One evaluation: the optimizer steps and the epochs done by then, and the metrics."""

    step: int
    epoch: float
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Reprieve:
    """A stop by a fatal finding that was due at `step` (`epoch` epochs), and was not carried out.

    `why`: `audited` to learn whether the stop is right, `spared` as one of the study's best. `kind` is
    that of the finding, `reason` the sentence of the stop, `because` why it was not carried out.
    """

    why: Literal["audited", "spared"]
    step: int
    epoch: float
    kind: str
    reason: str
    because: str

    @property
    def short(self) -> str:
        """In a clause."""
        return f"{self.why}: would have been stopped at step {self.step} because of {self.kind}"

    @property
    def text(self) -> str:
        """All of it."""
        reason = (self.reason.splitlines() or [self.kind])[0]
        return f"{self.why}: would have been stopped at step {self.step} because of {reason}; {self.because}"


@dataclass(frozen=True)
class TrialResult:
    """What one trial gave.

    `value` is the objective: the metric of the evaluation `best` (the last one, if the study says so);
    for a trial that was doomed or failed, or ended before it was evaluated since it is infeasible, a
    finite stand-in. `values` maps the evaluations due so far to the objective then; `metrics` names all
    that was evaluated. `reason` says why the trial ended before its time and is empty when it did not;
    `detail` is a traceback or a log. `attempts` lists why earlier attempts at it ended. `usage` is what
    the worker took over time. `reprieves` are stops that were due and were not carried out. `constraints`
    says of those of the study file by how much they are violated, as far as it is known: above 0 they
    are. `confirms` is the trial of the search that it repeats with another seed, None for one of the
    search itself. `extended` says why it went on beyond its planned epochs; empty when it did not. In a
    study with several objectives `objectives` has all of them by name, `value` first, with stand-ins
    where they are not known; `vectors` is what `values` is, of them all.
    """

    number: int
    settings: Mapping[str, Any]
    sampled: tuple[str, ...]
    inactive: tuple[str, ...]
    outcome: Outcome
    report: Report
    value: float | None = None
    values: Mapping[int, float] = field(default_factory=dict)
    metrics: tuple[str, ...] = ()
    best: Evaluation | None = None
    epochs: float = 0.0
    reason: str = ""
    detail: str = ""
    signals: Signals = field(default_factory=Signals)
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
    seconds: float = 0.0
    ended_at: float = 0.0
    attempts: tuple[str, ...] = ()
    usage: tuple[Usage, ...] = ()
    reprieves: tuple[Reprieve, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)
    confirms: int | None = None
    extended: str = ""
    objectives: Mapping[str, float] = field(default_factory=dict)
    vectors: Mapping[int, Vector] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        """The verdict of the report."""
        return self.report.verdict

    @property
    def has_own_value(self) -> bool:
        """Whether its value is what it has reached, and no stand-in."""
        if self.outcome is Outcome.INFEASIBLE:
            return self.best is not None
        return self.outcome in (Outcome.COMPLETED, Outcome.PRUNED) and self.value is not None


def searched(results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials of the search, without repeats of some of them."""
    return [result for result in results if result.confirms is None]


def ranked(metric: Objective, results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials of the search that were trained to their end, the best first; of equals the one that was
    asked first."""
    completed = [r for r in searched(results) if r.outcome is Outcome.COMPLETED and r.value is not None]
    return sorted(completed, key=lambda r: (metric.sign * (r.value or 0.0), r.number))


GROWTH = 1.1
"""How much the steps must have grown since the rules were last asked, unless there is a row that is not
finite: rules look at all rows, and a long training has many messages."""


def row_of(step: int) -> int:
    """The step of the row of an evaluation after `step` optimizer steps: rows are counted from 0.

    An evaluation before the first step shares the first row: no step was done that it could follow.
    """
    return max(step - 1, 0)


class TrialCourse:
    """What is known of a running trial; every message goes in by `add`.

    The evaluation that counts is that of `metric`; objectives beside it (`further`) are what this evaluation
    says, or what is known of the trial by its facts and `settings`.
    """

    def __init__(
        self,
        metric: Metric,
        further: Sequence[Objective] = (),
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self._metric = metric
        self._further = tuple(metric.name for metric in further)
        self._settings = settings
        self._signals = Signals()
        self._news: list[Signals] = []  # rows that are not yet among the signals
        self._judged_until = 0
        self.facts: Facts = {}
        self.usage = UsageLog()
        self._step_seconds: list[float] = []
        self.values: dict[int, float] = {}
        self.vectors: dict[int, Vector] = {}  # of all objectives, where there are several
        self.best: Evaluation | None = None
        self.step = 0
        self.epoch = 0.0
        self.of_epochs = math.nan
        self.metrics_seen: set[str] = set()
        self.has_begun: bool | None = None  # to learn, as far as anybody knows
        self.findings: tuple[Finding, ...] = ()
        self.reprieves: tuple[Reprieve, ...] = ()  # at most one of each kind
        self._so_far: Verdict | None = None

    def add(self, progress: Progress) -> tuple[Finding, ...]:
        """Take in one message; what the rules find in all of them, the gravest first."""
        self.step, self.epoch, self.of_epochs = progress.step, progress.epoch, progress.of_epochs
        self.facts |= progress.facts
        if isinstance(seconds := progress.facts.get("step_seconds"), int | float):
            self._step_seconds.append(seconds)
        if progress.signals:
            self._news.append(progress.signals)
        if progress.metrics:
            self._evaluate(progress)
        is_looked_at = self._is_worth_a_look(progress)
        if is_looked_at:
            self._judged_until = progress.step
            self.findings, _, _ = run_rules(self.signals, self.facts)
            self._so_far = None
        if not self.has_begun and (is_looked_at or progress.metrics):
            self.has_begun = has_begun(self.signals, self.facts)
            if self.has_begun is not None:
                self.facts[BEGUN] = progress.epoch if self.has_begun else NEVER
        return self.findings

    def let_run(self, reprieve: Reprieve) -> bool:
        """Keep the first reprieve of each kind; whether this is it."""
        is_first = reprieve.why not in {known.why for known in self.reprieves}
        self.reprieves += (reprieve,) if is_first else ()
        return is_first

    @property
    def is_audited(self) -> bool:
        """Whether it trains on only to show whether its stop would have been right."""
        return any(reprieve.why == "audited" for reprieve in self.reprieves)

    @property
    def so_far(self) -> Verdict:
        """The verdict if it had ended when the rules were last asked."""
        if self._so_far is None:
            facts = {**self.signals.facts, **self.facts, "ended": "finished"}
            self._so_far, _, _ = give_verdict(self.signals, facts, self.findings)
        return self._so_far

    @property
    def signals(self) -> Signals:
        """All rows so far."""
        for new in self._news:
            self._signals = self._signals.extend(new)
        self._news.clear()
        return self._signals

    @property
    def value(self) -> float | None:
        """The metric of the best (or last) evaluation so far, None when there is none yet."""
        return None if self.best is None else self.best.metrics[self._metric.name]

    @property
    def objectives(self) -> dict[str, float]:
        """All objectives as they stand, by name, NaN where one is not known; empty where there is but one."""
        if not self._further:
            return {}
        middle = {STEP_TIME: float(np.median(self._step_seconds))} if self._step_seconds else {}
        known = figures(self._settings, {**self.facts, **middle}, self.best.metrics if self.best else {})
        first = math.nan if self.value is None else self.value
        return {self._metric.name: first, **{name: known.get(name, math.nan) for name in self._further}}

    @property
    def standing(self) -> Mapping[int, float | Vector]:
        """By what a pruner judges it: evaluations due -> value, or objectives where there are several."""
        return self.vectors if self._further else self.values

    def judged(self, ended: str, siblings: Mapping[str, Any] = MappingProxyType({})) -> Report:
        """The report on the whole course; `ended` is `finished`, `stopped` or `failed`.

        What is known beyond the messages becomes facts: how it ended, and what its `siblings` have reached.
        """
        self.facts |= {**siblings, "ended": ended}
        if self._step_seconds:
            self.facts[STEP_TIME] = float(np.median(self._step_seconds))
        return diagnose(self.signals, self.facts)

    def _evaluate(self, progress: Progress) -> None:
        metrics = {name: float(value) for name, value in progress.metrics.items()}
        self.metrics_seen |= metrics.keys()
        row = row_of(progress.step)
        new = {name: ([row], [value]) for name, value in metrics.items() if name not in progress.signals}
        self._news.append(Signals.of(new))  # a monitor that was told of the evaluation has given its rows
        value = metrics.get(self._metric.name)
        if value is None:
            return
        told = [value, *(metrics[name] for name in self._further if name in metrics)]
        if all(map(math.isfinite, told)) and self._is_the_one(value):
            self.best = Evaluation(progress.step, progress.epoch, metrics)
        if self.value is not None:
            due = self._due(progress.epoch)
            self.values[due] = self.value
            if self._further:
                self.vectors[due] = tuple(self.objectives.values())

    def _is_worth_a_look(self, progress: Progress) -> bool:
        if progress.step >= GROWTH * self._judged_until:
            return bool(progress.metrics or progress.signals)
        return any(not np.all(np.isfinite(series.values)) for series in progress.signals.values())

    def _due(self, epoch: float) -> int:
        """How many evaluations were due by now: the clock that trials of all batch sizes share."""
        per_epoch = float(self.facts.get("evaluations_per_epoch", 0))
        return math.floor(epoch * per_epoch + 1e-9) if per_epoch else len(self.values) + 1

    def _is_the_one(self, value: float) -> bool:
        return self._metric.of == "last" or self._metric.is_better(value, self.value)
