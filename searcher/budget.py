"""How much of a study's budget is used, from the record of its trials. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.spec import Search
from searcher.trial import TrialResult


def used_hours(results: Sequence[TrialResult]) -> float:
    """Hours in which at least one of the trials was training: the union of their times."""
    spans = sorted((r.ended_at - r.seconds, r.ended_at) for r in results)
    total, reached = 0.0, 0.0
    for start, end in spans:
        total += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    return total / 3600


def used_device_hours(results: Sequence[TrialResult]) -> float:
    """Hours of slots that the trials took, added up."""
    return sum(result.seconds for result in results) / 3600


def exhausted(
    search: Search, trials: int, hours: float, device_hours: float, points: int | None = None
) -> str:
    """Which budget is reached, in words; empty when none is. `points` are all there are to try, if so."""
    if points is not None and trials >= points:
        return f"all {points} points of the space were tried"
    if search.trials is not None and trials >= search.trials:
        return f"all {search.trials} trials of the budget are done"
    if search.hours is not None and hours >= search.hours:
        return f"the budget of {search.hours:g} hours is used"
    if search.device_hours is not None and device_hours >= search.device_hours:
        return f"the budget of {search.device_hours:g} device hours is used"
    return ""


def share_used(search: Search, trials: float, hours: float, device_hours: float) -> float:
    """The largest share of any budget that is used, 0 to 1."""
    pairs = ((trials, search.trials), (hours, search.hours), (device_hours, search.device_hours))
    return min(1.0, max((used / limit for used, limit in pairs if limit is not None), default=0.0))
