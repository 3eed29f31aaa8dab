"""Section 2 of a report: how many trials got each verdict, what they cost, what stopping early has saved."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics import Verdict
from searcher.report.study_report import VerdictRow, Verdicts
from searcher.report.words import counted
from searcher.trial import Outcome, TrialResult

EARLY = (Outcome.PRUNED, Outcome.DOOMED, Outcome.INFEASIBLE)
"""Ends by which training time is saved."""


def verdicts(results: Sequence[TrialResult]) -> Verdicts:
    """All verdicts in the order of the vocabulary, and the time saved by outcome."""
    rows = []
    for verdict in Verdict:
        own = [result for result in results if result.verdict is verdict]
        if own:
            rows.append(VerdictRow(verdict.value, len(own), round(sum(r.seconds for r in own), 3)))
    if not results:
        return Verdicts((), {}, "No trial has ended yet.")
    paces = [_own_pace(result) for result in results if result.outcome is Outcome.COMPLETED]
    slowest = max((pace for pace in paces if pace is not None), default=None)
    saved: dict[str, float] = {}
    unknown = 0
    for result in results:
        if result.outcome in EARLY:
            seconds = _saved(result, slowest)
            unknown += seconds is None
            if seconds is not None:
                saved[result.outcome.value] = saved.get(result.outcome.value, 0.0) + seconds
    return Verdicts(
        tuple(rows), {outcome: round(seconds, 3) for outcome, seconds in saved.items()}, _note(saved, unknown)
    )


def _saved(result: TrialResult, slowest: float | None) -> float | None:
    """Seconds that were left of a trial's epochs; None where these or its pace are not known.

    A trial that was stopped at once spent most of its time on starting: no pace counts as slower than the
    slowest of those that were trained to their end.
    """
    planned, pace = result.settings.get("epochs"), _own_pace(result)
    if not isinstance(planned, int | float):
        return None
    pace = slowest if pace is None else pace if slowest is None else min(pace, slowest)
    return None if pace is None else max(planned - result.epochs, 0.0) * pace


def _own_pace(result: TrialResult) -> float | None:
    """Seconds for an epoch."""
    return result.seconds / result.epochs if result.epochs > 0 else None


def _note(saved: dict[str, float], unknown: int) -> str:
    if not saved and not unknown:
        return "No trial was stopped early, so no time was saved by it."
    parts = []
    if saved:
        parts.append(
            "Time saved: what was left of a trial's epochs, at its own pace, but no slower than the slowest "
            "trial that was trained to its end."
        )
    if unknown:
        early = counted(unknown, "trial") + (" was" if unknown == 1 else " were")
        parts.append(f"{early} stopped early with planned epochs or a pace that is not known: not counted.")
    return " ".join(parts)
