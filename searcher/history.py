"""A study as its sampler sees it: with trials of earlier studies, and with the ends of stopped ones."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searcher.foretold import foretold

SIGN = {StudyDirection.MINIMIZE: 1.0, StudyDirection.MAXIMIZE: -1.0}
"""What makes lower values of a metric the better ones."""


class History:
    """A study with trials of earlier studies before its own.

    With `told_complete` it is for a sampler that reads trials in state COMPLETE alone: those that were
    stopped are shown to it as such (see `foretold`).
    """

    def __init__(self, study: optuna.Study, earlier: Sequence[FrozenTrial], told_complete: bool) -> None:
        self._study = study
        self._earlier = earlier
        self._told_complete = told_complete

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials in these states, the earlier ones first."""
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        own = self._study._get_trials(deepcopy, None if self._told_complete else states, use_cache)
        trials = [*(copy.deepcopy(self._earlier) if deepcopy else self._earlier), *own]
        if self._told_complete:
            trials = foretold(trials, *(SIGN[direction] for direction in self._study.directions))
        return [trial for trial in trials if states is None or trial.state in states]
