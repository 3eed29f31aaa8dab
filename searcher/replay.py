"""The diagnosis of a recorded trial once more: its signals and facts, by the rules of today."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diagnostics import Report, Signals, diagnose
from searcher.errors import NotFound
from searcher.policy import SEEN_BY_LAUNCHER
from searcher.records import SIGNALS, UNREADABLE, trial_folder
from searcher.trial import Outcome, TrialResult

ENDED = {
    Outcome.COMPLETED: "finished",
    Outcome.PRUNED: "stopped",
    Outcome.DOOMED: "stopped",
    Outcome.INFEASIBLE: "stopped",
    Outcome.FAILED: "failed",
}
"""How trials ended whose facts do not say it: those recorded before they did."""


def replayed(runs: Path, result: TrialResult) -> Report:
    """The report on a trial whose files lie in the folder `runs` of its study.

    What the launcher saw of its end is not in the signals and stays as it was recorded.

    Raises: NotFound when the signals are not there or cannot be read.
    """
    file = trial_folder(runs, result.number) / SIGNALS
    elsewhere = "name the folder of the trials' files with --runs"
    if not file.exists():
        raise NotFound(f"the signals of trial {result.number} are not at {file}; {elsewhere}")
    try:
        signals = Signals.load(file)
    except UNREADABLE as error:
        raise NotFound(
            f"the signals of trial {result.number} at {file} cannot be read: {error}; {elsewhere}"
        ) from error
    report = diagnose(signals, {"ended": ENDED[result.outcome], **result.facts})
    seen = [finding for finding in result.report.findings if finding.kind in SEEN_BY_LAUNCHER]
    return replace(report, findings=(*seen, *report.findings))
