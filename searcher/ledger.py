"""What the trials of a study have come to so far: the results, the best of them, whose weights stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from diagnostics import Signals
from searcher.records import WEIGHTS, trial_folder
from searcher.spec import Metric
from searcher.trial import Outcome, TrialResult, ranked

KEPT_WEIGHTS = 3
"""Trials whose weights stay on disk: the best ones."""

SAME_FAILURE = 3
"""Trials that may fail the same way, before any went well, until the study is given up."""


class Ledger:
    """The results of a study by the order in which they came, without their signals."""

    def __init__(self, metric: Metric, runs: Path) -> None:
        self.results: list[TrialResult] = []
        self._metric = metric
        self._runs = runs
        self._best: list[TrialResult] = []  # completed trials whose weights are kept, the best first

    def add(self, result: TrialResult) -> bool:
        """Take in a result; whether it is the best so far."""
        self.results.append(replace(result, signals=Signals()))
        if result.outcome is not Outcome.COMPLETED or result.value is None:
            (trial_folder(self._runs, result.number) / WEIGHTS).unlink(missing_ok=True)
            return False
        self._best = ranked(self._metric, [*self._best, self.results[-1]])
        rank = self._best.index(self.results[-1])
        for dropped in self._best[KEPT_WEIGHTS:]:
            (trial_folder(self._runs, dropped.number) / WEIGHTS).unlink(missing_ok=True)
        del self._best[KEPT_WEIGHTS:]
        return rank == 0

    @property
    def common_failure(self) -> TrialResult | None:
        """The last result when all trials, and enough of them, failed the same way; else None."""
        reasons = {r.reason if r.outcome is Outcome.FAILED else "" for r in self.results}
        alike = len(reasons) == 1 and "" not in reasons
        return self.results[-1] if alike and len(self.results) >= SAME_FAILURE else None
