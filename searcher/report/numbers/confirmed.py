"""What training the leaders again with other seeds has shown, for the first section of a report."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.confirming import Confirmed, confirmation
from searcher.report.study_report import Repeated, Sureness
from searcher.spec import StudySpec
from searcher.summary import confirm_line
from searcher.trial import TrialResult

METHOD = (
    "The mean is that of the repeats alone: the first value has chosen the trial, and is likely a lucky one. "
    "The chance to be the best of these trials takes one spread over seeds for all of them, and nothing as "
    "known beforehand."
)
"""How the figures are to be read."""


def confirmed(spec: StudySpec, results: Sequence[TrialResult]) -> Sureness:
    """The trials that were repeated, the best first; empty where none was, or not all leaders yet."""
    known = confirmation(spec.metric, results)
    text = confirm_line(spec, results)
    if known is None:
        return Sureness(f"{text}." if text else "")
    rows = tuple(repeated(one) for one in known.trials)
    spread = None if known.spread is None else float(known.spread)
    return Sureness(f"{text}.", rows, spread, known.freedom, known.seconds, METHOD)


def repeated(one: Confirmed) -> Repeated:
    """A trial that was repeated, as plain numbers."""
    assert one.trial.value is not None
    return Repeated(one.trial.number, one.trial.value, one.values, one.lost, one.mean, one.error, one.chance)
