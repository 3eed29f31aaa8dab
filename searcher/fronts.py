"""The best trials of a study: one, or the Pareto front where several objectives count. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from searcher.pareto import Numbers, losses, on_front
from searcher.spec import Objective
from searcher.trial import TrialResult, ranked

Metrics = Sequence[Objective]
"""The objectives of a study, in the order of its file."""


def losses_of(metrics: Metrics, results: Sequence[TrialResult]) -> Numbers:
    """All objectives of trials that have them, lower is better: [trials, objectives]."""
    rows = [
        [*result.objectives.values()] if len(metrics) > 1 else [result.value or 0.0] for result in results
    ]
    return losses(rows, [metric.sign for metric in metrics])


def pareto_front(metrics: Metrics, results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials trained to their end that no other dominates, the best in the first objective first. With
    one objective these are the best one and its equals."""
    completed = ranked(metrics[0], results)
    if not completed:
        return []
    is_on = on_front(losses_of(metrics, completed))
    return [result for result, on in zip(completed, is_on, strict=True) if on]


def best_first(metrics: Metrics, results: Iterable[TrialResult]) -> list[TrialResult]:
    """The trials that were trained to their end, the best first: those of the Pareto front before all others,
    and by the first objective among these."""
    completed = ranked(metrics[0], results)
    if len(metrics) == 1:
        return completed
    front = {result.number for result in pareto_front(metrics, completed)}
    return sorted(completed, key=lambda result: result.number not in front)
