"""What the pruner sees: an image of the study in memory, in which every attempt at a trial begins clean.

Optuna's pruners write notes (the rungs a trial has climbed) into the store while a trial runs. A trial
that is interrupted and begins anew would meet the notes of its first attempt and be judged otherwise
than in an uninterrupted study. So pruners work on an image; what they noted is stored with the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from searcher.spec import Goal


class PruningBoard:
    """The image of one study. Trials have the numbers they have in the store."""

    def __init__(
        self, pruner: BasePruner, name: str, direction: Goal, trials: Sequence[FrozenTrial] = ()
    ) -> None:
        self._pruner = pruner
        self._name = name
        self._direction = direction
        self._draw(trials)

    def begin(self, number: int) -> None:
        """A trial begins, or begins anew: nothing is known of it."""
        if number < self._count:
            known = self._study.get_trials(deepcopy=False)
            self._draw([trial if trial.number != number else None for trial in known])
        while self._count <= number:
            self._add(None)

    def follow(self, number: int, values: Mapping[int, float]) -> None:
        """Take in what a trial has reached (evaluations due -> value): others are held against it."""
        trial_id = self._ids[number]
        known = self._storage.get_trial(trial_id).intermediate_values
        for due, value in values.items():
            if due not in known:
                self._storage.set_trial_intermediate_value(trial_id, due, value)

    def should_prune(self, number: int, values: Mapping[int, float]) -> bool:
        """Whether the pruner gives the trial up after these values (evaluations due -> value)."""
        self.follow(number, values)
        return bool(self._pruner.prune(self._study, self._storage.get_trial(self._ids[number])))

    def end(self, number: int, state: TrialState, value: float | None) -> dict[str, Any]:
        """A trial ended; what the pruner noted about it. It may be said again."""
        trial_id = self._ids[number]
        if not self._storage.get_trial(trial_id).state.is_finished():
            values = None if value is None or state is TrialState.FAIL else [value]
            self._storage.set_trial_state_values(trial_id, state, values)
        return dict(self._storage.get_trial(trial_id).system_attrs)

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Trials that were finished elsewhere."""
        if trials:
            known: dict[int, FrozenTrial | None] = {
                trial.number: trial for trial in self._study.get_trials(deepcopy=False)
            }
            known |= {trial.number: trial for trial in trials}
            self._draw([known.get(number) for number in range(max(known) + 1)])

    @property
    def _count(self) -> int:
        return len(self._ids)

    def _draw(self, trials: Sequence[FrozenTrial | None]) -> None:
        self._storage = InMemoryStorage()
        self._study = optuna.create_study(
            storage=self._storage, study_name=self._name, direction=self._direction, pruner=self._pruner
        )
        self._study_id = self._storage.get_study_id_from_name(self._name)
        self._ids: list[int] = []
        for trial in trials:
            self._add(trial if trial is not None and trial.state is not TrialState.WAITING else None)

    def _add(self, trial: FrozenTrial | None) -> None:
        self._ids.append(self._storage.create_new_trial(self._study_id, template_trial=trial))
