"""Trainings that are past their best: how long they wait for a better evaluation before they end.

In a study of an overfitting model every training goes through its best evaluation and on to the last epoch,
for nothing. How many evaluations without a better one say that none will come hangs on the task: validation
losses of small data come down in leaps. How long the good trials of this study waited is known when some have
come to their end. So each training is given a patience, with which it ends by itself, its best weights kept.

Notation
    W    longest wait of a trial between two evaluations that were each the best so far, epochs    [completed]
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from searcher.goodtrials import MARGIN, GoodTrials, counts
from searcher.reprieves import is_audited
from searcher.spec import Metric, StudySpec
from searcher.trial import TrialCourse, TrialResult

PATIENCE = "patience"
"""The setting of the trainer that says how many evaluations it waits."""

SHARE = 1 / 2
"""Share of a training's evaluations that it waits at least (house rule: with a third, one in forty of the
best ones would have become better later)."""

PER_EPOCH = "evaluations_per_epoch"


class Waits:
    """How long the good trials of a study waited for a better evaluation, and how long others do."""

    def __init__(self, metric: Metric) -> None:
        self._waits = GoodTrials(metric)
        self._per_epoch: set[float] = set()  # how many evaluations an epoch of the trials had

    def add(self, result: TrialResult) -> None:
        """A trial has ended. One that ended past its best says how long it waited up to there."""
        per_epoch = float(result.facts.get(PER_EPOCH, 0.0))
        if counts(result) and per_epoch:
            self._per_epoch.add(per_epoch)
            self._waits.add(result, longest_wait(result.values) / per_epoch)

    def patience(self, settings: Mapping[str, Any]) -> int | None:
        """For how many evaluations a training with these settings waits; None while that is not known, as
        where trials were evaluated more or less often by the size of their data.
        """
        given = settings.get(PER_EPOCH)
        if not math.isfinite(self._waits.most) or not (given or len(self._per_epoch) == 1):
            return None
        per_epoch = float(given or min(self._per_epoch))
        longer = math.floor(MARGIN * self._waits.most * per_epoch) + 1
        return max(longer, math.ceil(SHARE * int(settings["epochs"]) * per_epoch))


def may_end_early(spec: StudySpec, number: int, settings: Mapping[str, Any]) -> bool:
    """Whether the training of the trial of this number, with these settings, is given a patience: by the
    trainer that comes along, when its best evaluation counts, it has none of its own, and neither the study
    wants its trials whole nor an audit this one.
    """
    search = spec.search
    wants_all = search.past_best == "train" or search.pruner.name == "none"
    is_ours = spec.trainer is None and spec.metric.of == "best" and not spec.is_several
    is_whole = wants_all or is_audited(search.seed, number, search.audit)
    return is_ours and not is_whole and settings.get(PATIENCE) is None


def longest_wait(values: Mapping[int, float]) -> int:
    """Evaluations between two that were each the best so far, at most (evaluations due -> best so far)."""
    longest, before, since = 0, math.nan, 0
    for due, value in sorted(values.items()):
        if value != before:
            longest, before, since = max(longest, due - since if since else 0), value, due
    return longest


def why_past_best(metric: Metric, course: TrialCourse, patience: int | None) -> str:
    """Why a training ended before its last epoch, as a sentence; empty when it did not, or by itself."""
    if patience is None or course.best is None or not course.epoch < course.of_epochs:
        return ""
    return (
        f"past its best: {metric.name} was best at epoch {course.best.epoch:.3g} and not better in the "
        f"{patience} evaluations after it; no good trial ever waited that long for a better one"
    )
