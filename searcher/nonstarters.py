"""Trials that do not begin to learn when all good ones long have: they are given up, evaluated or not.

A pruner goes by evaluations, and a training that comes to nothing costs it all steps up to the first one. Its
losses show sooner that it is no better than guessing. That alone says little: trainings may be slow to begin.
How slow the good ones of this study are is known when some have come to their end.

Notation
    begun   epochs after which a trial was better than guessing, or infinity    [completed]
"""

from __future__ import annotations

import math

from diagnostics.evidence.starting import soon_begins
from searcher.beginnings import begun_at
from searcher.goodtrials import MARGIN, GoodTrials, counts
from searcher.spec import StudySpec
from searcher.trial import TrialCourse, TrialResult

LEAST = 0.3
"""Share of the way to its first evaluation that every trial is given (house rule)."""


class NonStarters:
    """How long trials of a study are given to begin to learn.

    For ever in a study that gives up no trial, or wants them all, or has several metrics: a trial that learns
    nothing may be the fastest one.
    """

    def __init__(self, spec: StudySpec) -> None:
        search = spec.search
        self._stops = search.non_starters == "stop" and search.pruner.name != "none" and not spec.is_several
        self._begun = GoodTrials(spec.metric)

    def add(self, result: TrialResult) -> None:
        """A trial has ended."""
        if counts(result):
            begun = begun_at(result.facts)
            self._begun.add(result, math.inf if begun is None else begun)

    def why(self, course: TrialCourse) -> str:
        """Why a trial is given up, as a sentence; empty when it is not."""
        if not self._stops or course.has_begun is not False:
            return ""
        least = LEAST / (float(course.facts.get("evaluations_per_epoch", 0)) or 1.0)
        if course.epoch <= max(MARGIN * self._begun.most, least) or soon_begins(course.signals, course.facts):
            return ""
        return (
            f"not begun to learn at epoch {course.epoch:.2g}: its training loss is that of guessing, "
            f"and the better half of the completed trials had passed it by epoch {self._begun.most:.2g}"
        )
