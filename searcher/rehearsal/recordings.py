"""What can be replayed of a study: the curve of each trial, as far as it was trained.

A trial that the study's own pruner stopped has no more than it had until then. What it would have come to is
not known, and nothing here guesses it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from statistics import median
from typing import Any

from searcher.beginnings import begun_at, came_to_learn
from searcher.policy import constraints_of
from searcher.spec import StudySpec
from searcher.summary import sampled_of
from searcher.trial import Outcome, TrialResult

TIMEOUT = "timeout"
"""The kind of the finding on a trial that ran out of time, which it would do again."""

ROUNDING = 1e-9
"""Evaluations by which a clock of epochs may seem to be late."""

OVERLAP = 0.01
"""Seconds that two trials of one slot may seem to share, by the clocks' coarseness."""


class Ending(StrEnum):
    """How a trial ends: trained to its end, given up by the pruner, stopped for a reason of its own (it could
    not recover, ran out of memory or of time), or where its record ends though it would have gone on."""

    COMPLETED = "completed"
    PRUNED = "pruned"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Evaluated:
    """The objective at an evaluation: evaluations due by then, its value, the epochs of the trial by then."""

    due: int
    value: float
    epochs: float


@dataclass(frozen=True)
class Recording:
    """One trial as far as it was trained.

    `ending` is how it ends when no pruner stops it before. `value` is what the sampler was told of it: for
    one that was doomed a stand-in. `constraints` says what it violates. `longest` are the epochs it would
    have had in all. It was better than guessing after `begun` epochs, at infinity when never, None
    when nobody could tell; `learnt` says whether that was so at its end, and it was not doomed.
    """

    number: int
    params: Mapping[str, Any]
    ending: Ending
    value: float | None
    evaluations: tuple[Evaluated, ...]
    epochs: float
    longest: float
    seconds: float
    has_stand_in: bool = False
    begun: float | None = None
    learnt: bool | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)

    def learnt_by(self, due: int) -> bool | None:
        """Whether it had begun to learn when its evaluation `due`, or its end, was there."""
        there = next((evaluated for evaluated in self.evaluations if evaluated.due == due), None)
        if there is None or there is self.evaluations[-1] or self.begun is None:
            return self.learnt
        return self.begun * there.due / there.epochs < due + 1 - ROUNDING


def recordings_of(results: Sequence[TrialResult]) -> list[Recording]:
    """The trials that can be replayed, by number: all but those that failed by accident."""
    usable = sorted((r for r in results if r.outcome is not Outcome.FAILED), key=lambda r: r.number)
    completed = [r for r in usable if r.outcome is Outcome.COMPLETED and r.values and r.epochs]
    longest = max((result.epochs for result in completed), default=0.0)
    usual = median(max(r.values) / r.epochs for r in completed) if completed else 1.0
    return [_recording(result, longest, usual) for result in usable]


def trials_at_once(results: Sequence[TrialResult]) -> int:
    """How many trials of a study were trained at once, at most."""
    starts = [(r.ended_at - r.seconds + OVERLAP, 1) for r in results if r.seconds > OVERLAP]
    ends = [(r.ended_at, -1) for r in results if r.seconds > OVERLAP]
    running = most = 1 if not starts else 0
    for _, change in sorted([*starts, *ends]):
        running += change
        most = max(most, running)
    return most


def ranked_best(spec: StudySpec, recordings: Sequence[Recording]) -> list[Recording]:
    """Those that were trained to their end, the best first; of equals the one that was asked first."""
    sign = 1.0 if spec.metric.goal == "minimize" else -1.0
    completed = [r for r in recordings if r.ending is Ending.COMPLETED and r.value is not None]
    return sorted(completed, key=lambda r: (sign * (r.value or 0.0), r.number))


def _recording(result: TrialResult, longest: float, usual: float) -> Recording:
    """With what holds of other trials where this one does not say it: epochs in all, evaluations an epoch."""
    stands_in = not result.has_own_value
    values = dict(sorted(result.values.items()))
    if stands_in and values:
        del values[max(values)]  # the stand-in, which the store keeps behind them
    begun = begun_at(result.facts)
    planned = result.facts.get("epochs", result.settings.get("epochs", longest))
    whole = max(result.epochs, float(planned) if isinstance(planned, int | float) else longest)
    return Recording(
        number=result.number,
        params=sampled_of(result),
        ending=_ending(result, whole),
        value=result.value,
        evaluations=_evaluations(result, values, usual),
        epochs=result.epochs,
        longest=whole,
        seconds=result.seconds,
        has_stand_in=stands_in,
        begun=begun,
        learnt=came_to_learn(begun, result.outcome.value),
        constraints=constraints_of(result),
    )


def _ending(result: TrialResult, whole: float) -> Ending:
    if result.outcome is Outcome.COMPLETED:
        return Ending.COMPLETED
    if result.outcome in (Outcome.DOOMED, Outcome.INFEASIBLE) or any(
        f.kind == TIMEOUT for f in result.report.findings
    ):
        return Ending.STOPPED
    return Ending.COMPLETED if result.epochs >= whole else Ending.UNKNOWN  # given up when it was done anyway


def _evaluations(result: TrialResult, values: Mapping[int, float], usual: float) -> tuple[Evaluated, ...]:
    """With their epochs: by the clock of evaluations, where the trainer has one; else evenly spaced."""
    ended_evaluated = values and result.epochs and result.outcome is not Outcome.DOOMED
    own = max(values) / result.epochs if ended_evaluated else usual
    per_epoch = float(result.facts.get("evaluations_per_epoch", 0)) or own
    epochs = [min(due / per_epoch, result.epochs) for due in values]
    return tuple(Evaluated(due, v, e) for (due, v), e in zip(values.items(), epochs, strict=True))
