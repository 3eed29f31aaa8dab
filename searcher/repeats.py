"""Repeats: trainings of a trial's settings with another seed, as they stand among the trials of a study.

A repeat is a trial like any other, but it is none of the search: no sampler draws it, no budget counts it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

CONFIRMS = "searcher:confirms"
"""The attribute of a repeat: which trial it repeats, with which seed, and after which budget."""

EXTENDED = "searcher:extended"
"""The attribute of a trial that has more epochs than were planned."""

Budget = list[Any]
"""The budget of the search after which a repeat was begun: trials, hours, device hours."""


@dataclass(frozen=True)
class Repeat:
    """The settings of trial `of`, trained with another `seed`."""

    of: int
    seed: int


def repeat_of(attributes: Mapping[str, Any]) -> Repeat | None:
    """What a trial with these attributes repeats; None for one of the search."""
    known = attributes.get(CONFIRMS)
    return None if known is None else Repeat(known["trial"], known["seed"])


def without_repeats(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """The trials of the search."""
    return [trial for trial in trials if CONFIRMS not in trial.user_attrs]


def begin_repeat(study: optuna.Study, repeat: Repeat, budget: Budget) -> Trial:
    """A running trial for a repeat: the one that waits for it, if there is one, else a new one.

    It is made as a whole in one write, with the values of the trial that it repeats.
    """
    storage, study_id = study._storage, study._study_id
    for trial in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
        if repeat_of(trial.user_attrs) == repeat:
            storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
            return Trial(study, trial._trial_id)
    of = storage.get_trial(storage.get_trial_id_from_study_id_trial_number(study_id, repeat.of))
    attributes: dict[str, Any] = {CONFIRMS: {"trial": repeat.of, "seed": repeat.seed, "budget": budget}}
    if EXTENDED in of.user_attrs:
        as_it = {"because": f"as trial {repeat.of} did", "seconds": 0.0}
        attributes[EXTENDED] = {**of.user_attrs[EXTENDED], **as_it}
    again = create_trial(
        state=TrialState.RUNNING,
        params=dict(of.params),
        distributions=dict(of.distributions),
        user_attrs=attributes,
    )
    return Trial(study, storage.create_new_trial(study_id, again))


@dataclass(frozen=True)
class Recorded:
    """The repeats that a study has, in whatever state; the first of those that wait to be trained, if any;
    and whether trials of the search are running."""

    begun: frozenset[Repeat]
    waiting: Repeat | None
    is_searching: bool


def recorded_repeats(trials: Iterable[FrozenTrial]) -> Recorded:
    """What the trials of a study say of its repeats."""
    begun: list[tuple[Repeat, TrialState]] = []
    is_searching = False
    for trial in trials:
        repeat = repeat_of(trial.user_attrs)
        if repeat is not None:
            begun.append((repeat, trial.state))
        is_searching = is_searching or (repeat is None and trial.state is TrialState.RUNNING)
    waiting = next((repeat for repeat, state in begun if state is TrialState.WAITING), None)
    return Recorded(frozenset(repeat for repeat, _ in begun), waiting, is_searching)


def is_after(trials: Iterable[FrozenTrial], budget: Budget) -> bool:
    """Whether a repeat was begun after this budget was used: then the search is over, whatever clocks say."""
    return any(trial.user_attrs.get(CONFIRMS, {}).get("budget") == budget for trial in trials)
