"""A study as its sampler sees it: with trials of earlier studies, and with what trials violate."""

from __future__ import annotations

import copy
from collections.abc import Container, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

CONSTRAINT = "constraints:"
"""How Optuna begins the names of the attributes of a trial that hold its constraints."""

TOGETHER = "violation"
"""The one constraint that takes the place of all."""

KEPT = -1.0
"""How well a trial keeps its constraints of which nothing is known but that it violates none."""


class History:
    """A study with trials of earlier studies before its own.

    With `told_apart` it is for a sampler that reads trials in state COMPLETE alone, and may need the same
    constraints in all of them. A trial that was stopped and violates a constraint is shown as a complete one,
    with the last value that it was told with, but none worse than those of complete ones; and every trial
    has one constraint, for all of its own.
    """

    def __init__(self, study: optuna.Study, earlier: Sequence[FrozenTrial], told_apart: bool) -> None:
        self._study = study
        self._earlier = earlier
        self._told_apart = told_apart

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
        own = self._study._get_trials(deepcopy, None if self._told_apart else states, use_cache)
        trials = [*(copy.deepcopy(self._earlier) if deepcopy else self._earlier), *own]
        if self._told_apart and any(trial.constraints for trial in trials):
            reached = [trial.value for trial in trials if trial.state is TrialState.COMPLETE]
            known = [value for value in reached if value is not None]
            is_minimized = self._study.direction is StudyDirection.MINIMIZE
            worst = (max if is_minimized else min)(known, default=None)
            trials = [_shown(trial, worst, is_minimized) for trial in trials]
        return [trial for trial in trials if states is None or trial.state in states]


def _shown(trial: FrozenTrial, worst: float | None, is_minimized: bool) -> FrozenTrial:
    if trial.state not in (TrialState.COMPLETE, TrialState.PRUNED):
        return trial
    amounts = trial.constraints.values()
    violated = sum(amount for amount in amounts if amount > 0)
    if trial.state is TrialState.PRUNED and not (violated and trial.intermediate_values):
        return trial
    shown = copy.copy(trial)
    attrs = {name: value for name, value in trial.system_attrs.items() if not name.startswith(CONSTRAINT)}
    shown.system_attrs = {**attrs, CONSTRAINT + TOGETHER: violated or max(amounts, default=KEPT)}
    if trial.state is TrialState.PRUNED:
        shown.state = TrialState.COMPLETE
        last = trial.intermediate_values[max(trial.intermediate_values)]
        shown.value = last if worst is None else (min if is_minimized else max)(last, worst)
    return shown
