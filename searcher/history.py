"""A study as its sampler sees it: with trials of earlier studies, and with the ends of stopped ones."""

from __future__ import annotations

import copy
from collections.abc import Callable, Container, Sequence
from typing import Any

import optuna
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searcher.foretold import foretold
from searcher.repeats import repeat_of, without_repeats

SIGN = {StudyDirection.MINIMIZE: 1.0, StudyDirection.MAXIMIZE: -1.0}
"""What makes lower values of a metric the better ones."""


View = Callable[..., list[FrozenTrial]]
"""What is shown in place of finished trials, given these and a sign for each objective (see `foretold`)."""


def without_values(trials: Sequence[FrozenTrial], *_: float) -> list[FrozenTrial]:
    """The trials, those that were stopped as if they had never been evaluated.

    For `tpe` with several objectives, which asks for the one direction of a study to compare such values, and
    fails. So they count as bad ones, whatever they had reached.
    """
    return [_bare(trial) if trial.state is TrialState.PRUNED else trial for trial in trials]


def _bare(trial: FrozenTrial) -> FrozenTrial:
    seen = copy.copy(trial)
    seen.intermediate_values = {}
    return seen


class Shown:
    """What a sampler is shown of finished trials, made once as long as no other has finished: a sampler asks
    for them several times for each point."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._of: Any = None
        self._trials: dict[int, FrozenTrial] = {}

    def of(self, study: optuna.Study, trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
        """The trials of a study, by the view."""
        finished = [trial for trial in trials if trial.state.is_finished()]
        now = (study._storage, study._study_id, [(trial.number, trial.values) for trial in finished])
        if now != self._of:
            seen = self._view(finished, *(SIGN[direction] for direction in study.directions))
            self._of, self._trials = now, {trial.number: trial for trial in seen}
        return [self._trials.get(trial.number, trial) for trial in trials]


class History:
    """A study with trials of earlier studies before its own, and each of its points once.

    With `told_complete` it is for a sampler that reads trials in state COMPLETE alone: those that were
    stopped are shown to it as such (see `foretold`); `shown` is another view of them, None for none.
    """

    def __init__(
        self,
        study: optuna.Study,
        earlier: Sequence[FrozenTrial],
        told_complete: bool = False,
        shown: Shown | None = None,
    ) -> None:
        self._study = study
        self._earlier = earlier
        self._shown = Shown(foretold) if told_complete else shown

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """All trials in these states, the earlier ones first, without repeats."""
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        own = self._study._get_trials(deepcopy, states if self._shown is None else None, use_cache)
        trials = [*(copy.deepcopy(self._earlier) if deepcopy else self._earlier), *averaged(own)]
        if self._shown is not None:
            trials = self._shown.of(self._study, trials)
        return [trial for trial in trials if states is None or trial.state in states]


def averaged(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The trials of the search; those that were repeated have the mean of their repeats as their value.

    Repeats draw nothing to their point: they were not chosen for what was known of it.
    """
    values: dict[int, list[float]] = {}
    for trial in trials:
        if (repeat := repeat_of(trial.user_attrs)) is not None and trial.state is TrialState.COMPLETE:
            values.setdefault(repeat.of, []).extend(trial.values)

    def seen(trial: FrozenTrial) -> FrozenTrial:
        if trial.number not in values or trial.state is not TrialState.COMPLETE:
            return trial
        again = copy.copy(trial)
        again.values = [sum(values[trial.number]) / len(values[trial.number])]
        return again

    searched = without_repeats(trials)
    return searched if len(searched) == len(trials) else [seen(trial) for trial in searched]
