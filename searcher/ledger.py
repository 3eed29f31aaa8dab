"""What the trials of a study have come to so far: the results, the best of them, whose weights stay."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from diagnostics import Signals
from searcher.memory import Signature, signature
from searcher.records import WEIGHTS, trial_folder
from searcher.spec import Metric
from searcher.trial import Facts, Outcome, TrialResult, ranked, with_sibling

KEPT_WEIGHTS = 3
"""Trials whose weights stay on disk: the best ones."""

SAME_FAILURE = 3
"""Trials that may fail the same way, before any went well, until the study is given up."""

DIGEST = "data_digest"
"""The fact that names the data of a trial."""


class Ledger:
    """The results of a study by the order in which they came, without their signals.

    What is asked of all of them for every trial is kept as a figure: a study may have ten thousand.
    """

    def __init__(self, metric: Metric, runs: Path) -> None:
        self.results: list[TrialResult] = []
        self.searched = 0  # trials of the search
        self.device_hours = 0.0  # that they took
        self._metric = metric
        self._runs = runs
        self._best: list[TrialResult] = []  # completed trials whose weights are kept, the best first
        self._siblings: dict[object, Facts] = {}  # digest of the data -> the best losses on it
        self._alike: defaultdict[Signature, list[TrialResult]] = defaultdict(list)
        self._reasons: set[str] = set()  # why trials failed; empty for one that did not
        self._repeated: set[int] = set()  # trials whose weights stay, since one of them may be named

    def siblings(self, facts: Mapping[str, Any]) -> Facts:
        """The best losses that trials on the same data have reached, as facts."""
        return dict(self._siblings.get(facts.get(DIGEST), {}))

    def alike(self, settings: Mapping[str, Any]) -> Sequence[TrialResult]:
        """The trials whose memory says something about that of a trial with these settings."""
        return self._alike[signature(settings)]

    def add(self, result: TrialResult) -> bool:
        """Take in a result; whether it is the best so far."""
        self.results.append(result := replace(result, signals=Signals(), usage=()))
        if result.confirms is None:
            self.searched += 1
            self.device_hours += result.seconds / 3600
        else:
            self._repeated.add(result.confirms)
        data = result.facts.get(DIGEST)
        self._siblings[data] = with_sibling(self._siblings.get(data, {}), result)
        self._alike[signature(result.settings)].append(result)
        self._reasons.add(result.reason if result.outcome is Outcome.FAILED else "")
        if result.outcome is not Outcome.COMPLETED or result.value is None or result.confirms is not None:
            (trial_folder(self._runs, result.number) / WEIGHTS).unlink(missing_ok=True)
            return False
        self._best = ranked(self._metric, [*self._best, self.results[-1]])
        rank = self._best.index(self.results[-1])
        for dropped in (one for one in self._best[KEPT_WEIGHTS:] if one.number not in self._repeated):
            (trial_folder(self._runs, dropped.number) / WEIGHTS).unlink(missing_ok=True)
        del self._best[KEPT_WEIGHTS:]
        return rank == 0

    @property
    def common_failure(self) -> TrialResult | None:
        """The last result when all trials, and enough of them, failed the same way; else None."""
        alike = len(self._reasons) == 1 and "" not in self._reasons
        return self.results[-1] if alike and len(self.results) >= SAME_FAILURE else None
