"""Our results among the trials of Optuna's store: where one stands that has ended, and what it tells."""

from __future__ import annotations

import math

from optuna.trial import FrozenTrial, TrialState

from searcher.beginnings import RESULT
from searcher.records import result_from_record
from searcher.trial import Outcome, TrialResult
from searcher.vectors import vectors_in

ATTEMPTS = "searcher:attempts"
"""The attribute of a trial that says why attempts at it were given up."""

STATE = {
    Outcome.COMPLETED: TrialState.COMPLETE,
    Outcome.PRUNED: TrialState.PRUNED,
    Outcome.DOOMED: TrialState.PRUNED,
    Outcome.INFEASIBLE: TrialState.PRUNED,
    Outcome.FAILED: TrialState.FAIL,
}


def result_of(trial: FrozenTrial) -> TrialResult | None:
    """The result of a trial; None of one that has none, or has not ended."""
    record = trial.user_attrs.get(RESULT)
    if record is None or not trial.state.is_finished():
        return None
    values = {due: v for due, v in trial.intermediate_values.items() if math.isfinite(v)}
    attempts, vectors = tuple(trial.user_attrs.get(ATTEMPTS, ())), vectors_in(trial.user_attrs)
    return result_from_record(trial.number, record, values, attempts, vectors)


def reached(trial: FrozenTrial, place: int) -> float | None:
    """What a finished trial has told of an objective; None where that is nothing."""
    if vectors := vectors_in(trial.user_attrs):
        return trial.values[place] if trial.state is TrialState.COMPLETE else vectors[max(vectors)][place]
    return trial.values[place] if trial.values and place < len(trial.values) else None
