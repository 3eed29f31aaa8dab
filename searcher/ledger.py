"""What the trials of a study have come to so far: the results, the best of them, whose weights stay."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from diagnostics import Signals
from searcher.fronts import losses_of, pareto_front
from searcher.memory import Signature, signature
from searcher.pareto import crowding
from searcher.pastbest import Waits
from searcher.records import WEIGHTS, trial_folder
from searcher.spec import Metric, Objective
from searcher.trial import Facts, Outcome, TrialResult, ranked

KEPT_WEIGHTS, KEPT_FRONT = 3, 10
"""Trials whose weights stay on disk: so many of the best ones, or so many of the Pareto front."""

SAME_FAILURE = 3
"""Trials that may fail the same way, before any went well, until the study is given up."""

DIGEST = "data_digest"
"""The fact that names the data of a trial."""


SIBLINGS = ("train_loss", "val_loss")
"""Metrics of which the best value of the study's other trials is a fact for the last judgement."""


def with_sibling(known: Mapping[str, Any], other: TrialResult) -> Facts:
    """The best losses that trials on some data have reached, as facts, once one more has ended."""
    if other.best is None or other.outcome not in (Outcome.COMPLETED, Outcome.PRUNED):
        return dict(known)
    reached = {f"sibling_{name}": other.best.metrics.get(name, math.inf) for name in SIBLINGS}
    found = {name: min(value, known.get(name, math.inf)) for name, value in reached.items()}
    return {name: value for name, value in found.items() if value < math.inf}


class Ledger:
    """The results of a study by the order in which they came, without their signals.

    What is asked of all of them for every trial is kept as a figure: a study may have ten thousand.
    """

    def __init__(self, metric: Metric, runs: Path, further: Sequence[Objective] = ()) -> None:
        self.results: list[TrialResult] = []
        self.searched = 0  # trials of the search
        self.device_hours = 0.0  # that they took
        self.waits = Waits(metric)
        self._metrics = (metric, *further)
        self._runs = runs
        self._best: list[
            TrialResult
        ] = []  # those whose weights are kept, the best first; or the Pareto front
        self._kept: set[int] = set()  # numbers of trials of the front whose weights are kept
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
        """Take in a result; whether it is the best so far, or no other dominates it where several objectives
        count."""
        self.results.append(result := replace(result, signals=Signals(), usage=()))
        if result.confirms is None:
            self.searched += 1
            self.device_hours += result.seconds / 3600
        else:
            self._repeated.add(result.confirms)
        self.waits.add(result)
        data = result.facts.get(DIGEST)
        self._siblings[data] = with_sibling(self._siblings.get(data, {}), result)
        self._alike[signature(result.settings)].append(result)
        self._reasons.add(result.reason if result.outcome is Outcome.FAILED else "")
        if result.outcome is not Outcome.COMPLETED or result.value is None or result.confirms is not None:
            self._drop_weights(result.number)
            return False
        return self._is_on_front(result) if len(self._metrics) > 1 else self._is_best(result)

    def _is_best(self, result: TrialResult) -> bool:
        self._best = ranked(self._metrics[0], [*self._best, result])
        for dropped in (one for one in self._best[KEPT_WEIGHTS:] if one.number not in self._repeated):
            self._drop_weights(dropped.number)
        del self._best[KEPT_WEIGHTS:]
        return self._best[0].number == result.number

    def _is_on_front(self, result: TrialResult) -> bool:
        """Keep the weights of the front; where it has many, of those that stand farthest from each other."""
        self._best = pareto_front(self._metrics, [*self._best, result])
        front = {one.number for one in self._best}
        for number in {*self._kept, result.number} - front:
            self._drop_weights(number)
        self._kept = {*self._kept, result.number} & front
        if len(self._kept) > KEPT_FRONT:
            kept = [one for one in self._best if one.number in self._kept]
            crowded = kept[int(np.argmin(crowding(losses_of(self._metrics, kept))))].number
            self._drop_weights(crowded)
            self._kept.remove(crowded)
        return result.number in front

    def _drop_weights(self, number: int) -> None:
        (trial_folder(self._runs, number) / WEIGHTS).unlink(missing_ok=True)

    @property
    def common_failure(self) -> TrialResult | None:
        """The last result when all trials, and enough of them, failed the same way; else None."""
        alike = len(self._reasons) == 1 and "" not in self._reasons
        return self.results[-1] if alike and len(self.results) >= SAME_FAILURE else None


def with_weights(metrics: Sequence[Objective], results: Sequence[TrialResult]) -> list[TrialResult]:
    """The trials whose weights may be there: the best ones, or the Pareto front."""
    return pareto_front(metrics, results) if len(metrics) > 1 else ranked(metrics[0], results)[:KEPT_WEIGHTS]
