"""What the pruner sees: the study in memory, in which every attempt at a trial begins clean.

Optuna's pruners write notes (the rungs a trial has climbed) into the store while a trial runs. A trial
that is interrupted and begins anew would meet the notes of its first attempt and be judged otherwise
than in an uninterrupted study. So trials are judged here; what was noted is stored with the result.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.contest import Contest, FinishedTrial, Judge, NeverPrunes, Value, Values, numbers_of
from searcher.repeats import without_repeats
from searcher.samplers import PRUNERS, build_pruner
from searcher.spec import Named, StudySpec
from searcher.vectors import vectors_in
from trainers.config import default_of

FIRST_RUNG = 9
"""`asha` asks first after so-manieth of a training: before, what is learnt quickly hides what is learnt well,
and in a training of few steps nothing is learnt at all (house rule)."""


def judge_of(spec: StudySpec, pruner: Named) -> Judge:
    """A pruner for the trials of a study. Raises: ValueError or TypeError for options it refuses."""
    contest = Contest(spec.name, spec.metric.goal, tuple(metric.goal for metric in spec.further))
    of_study = {"min_resource": _first_rung(spec)} if pruner.name == "asha" else {}
    return build_judge(pruner.name, {**of_study, **pruner.options}, contest)


def _first_rung(spec: StudySpec) -> int:
    """Evaluations to the first rung, by those that a training has as far as the study file says."""
    names = ("epochs", "evaluations_per_epoch")
    epochs, per_epoch = (spec.fixed.get(name, default_of(name)) for name in names)
    known = isinstance(epochs, int) and isinstance(per_epoch, int | None)
    if spec.trainer is not None or not known or not spec.space.keys().isdisjoint(names):
        return 1
    return max(1, int(epochs * (per_epoch or 1)) // FIRST_RUNG)


def build_judge(name: str, options: Mapping[str, Any], contest: Contest) -> Judge:
    """The pruner `name` with its options. Raises: ValueError or TypeError for options it refuses."""
    pruner, kind = build_pruner(name, options), PRUNERS[name]
    if name == "none":
        return NeverPrunes()
    if contest.further and not kind.several:
        there = ", ".join(known for known, one in PRUNERS.items() if one.several)
        raise ValueError(f"{name!r} judges by one metric, but there are several; choose from: {there}")
    if kind.own is not None:
        return kind.own(contest, **{**kind.defaults, **options})
    return OptunaJudge(pruner, contest)


class OptunaJudge:
    """One of Optuna's pruners on an image of the completed trials.

    It may look at no others than those and the one that is judged, and note nothing.
    """

    def __init__(self, pruner: BasePruner, contest: Contest) -> None:
        self._pruner = pruner
        self._contest = contest
        self._completed: dict[int, FinishedTrial] = {}
        self._study = self._image()

    def end(self, trial: FinishedTrial) -> None:
        """A trial has ended. It may be said again, also otherwise than before."""
        if self._completed.get(trial.number) == trial:
            return
        self.forget(trial.number)
        if trial.completed:
            self._completed[trial.number] = trial
            self._study.add_trial(_as_optunas(trial))

    def forget(self, number: int) -> None:
        """Nothing is known of a trial."""
        if self._completed.pop(number, None) is not None:
            self._study = self._image()

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether a trial is given up after these values (evaluations due -> value)."""
        trial = create_trial(state=TrialState.RUNNING, intermediate_values=numbers_of(values))
        trial.number = number
        return bool(self._pruner.prune(self._study, trial))

    def notes(self, number: int) -> dict[str, Any]:
        """There are none."""
        return {}

    def _image(self) -> optuna.Study:
        study = optuna.create_study(
            storage=InMemoryStorage(), study_name=self._contest.study, direction=self._contest.goal
        )
        study.add_trials(map(_as_optunas, self._completed.values()))
        return study


def _as_optunas(trial: FinishedTrial) -> FrozenTrial:
    return create_trial(value=trial.value, intermediate_values=numbers_of(trial.values))


class PruningBoard:
    """The trials of one study, finished and running, before its judge."""

    def __init__(self, judge: Judge, trials: Sequence[FrozenTrial] = ()) -> None:
        self._judge = judge
        self._running: dict[int, dict[int, Value]] = {}  # number -> evaluations due -> value
        self.learn(trials)

    def begin(self, number: int) -> None:
        """A trial begins, or begins anew: nothing is known of it."""
        self._running[number] = {}
        self._judge.forget(number)

    def follow(self, number: int, values: Values) -> None:
        """Take in what a trial has reached (evaluations due -> value) without judging it.

        The first value of an evaluation counts; that of a trial which ended elsewhere is known.
        """
        if (known := self._running.get(number)) is not None:
            known.update({due: value for due, value in values.items() if due not in known})

    def should_prune(self, number: int, values: Values) -> bool:
        """Whether the pruner gives the trial up after these values; never one that ended elsewhere."""
        self.follow(number, values)
        return number in self._running and self._judge.should_prune(number, self._running[number])

    def end(self, number: int, state: TrialState, value: float | None) -> dict[str, Any]:
        """A trial ended; what the pruner noted about it. It may be said again."""
        notes = self._judge.notes(number)
        values = self._running.pop(number, None)
        if values is not None:
            self._judge.end(FinishedTrial(number, state is TrialState.COMPLETE, value, values, notes))
        return notes

    def learn(self, trials: Sequence[FrozenTrial]) -> None:
        """Trials that were finished elsewhere, or before; those that are not finished tell nothing yet, and
        repeats of others never do."""
        for trial in sorted(filter(_is_finished, without_repeats(trials)), key=_ended):
            self._running.pop(trial.number, None)
            completed = trial.state is TrialState.COMPLETE
            value = trial.values[0] if completed else None
            values: Values = vectors_in(trial.user_attrs) or trial.intermediate_values
            notes = trial.system_attrs
            self._judge.end(FinishedTrial(trial.number, completed, value, values, notes))


def _is_finished(trial: FrozenTrial) -> bool:
    return trial.state.is_finished()


def _ended(trial: FrozenTrial) -> tuple[datetime, int]:
    return trial.datetime_complete or datetime.max, trial.number
