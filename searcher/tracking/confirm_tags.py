"""What the repeats of leading trials have shown, as tags of the runs it is about: plain names and values."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.confirming import Confirmed, confirmation
from searcher.spec import Metric
from searcher.trial import TrialResult
from searcher.verify import STUDY

NAMED = "named"
"""The tag of the study's run with the number of the trial that is the best by its repeats."""


def confirm_tags(metric: Metric, results: Sequence[TrialResult]) -> dict[int, dict[str, str]]:
    """Number of a trial, or of the study's own run -> tags; empty until all leaders were repeated."""
    known = confirmation(metric, results)
    if known is None:
        return {}
    named = {STUDY: {NAMED: str(known.named.trial.number)}}
    return named | {one.trial.number: _tags(one) for one in known.trials}


def _tags(one: Confirmed) -> dict[str, str]:
    """Mean, its standard error and the chance to be the best only where they are known."""
    numbers = {"mean": one.mean, "error": one.error, "chance": one.chance}
    known = {f"confirmed.{name}": f"{value:.6g}" for name, value in numbers.items() if value is not None}
    counts = {"repeats": len(one.values) + len(one.lost), "lost": len(one.lost)}
    return known | {f"confirmed.{name}": str(count) for name, count in counts.items()}
