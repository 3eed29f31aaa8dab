"""Section 5 of a report: what matters. Importance of every setting, its slices, how the top two interact."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searcher.report.numbers.importance import importance_of
from searcher.report.numbers.interaction import told_interaction
from searcher.report.numbers.objective import Numbers, objectives, ranks
from searcher.report.numbers.scales import Column, columns_of
from searcher.report.observations import Importance, Interaction, Matters, Point, Slice
from searcher.spec import StudySpec
from searcher.trial import TrialResult

FEWEST = 12
"""Trials from which on importance is said (house rule: fewer than two for each usual setting say nothing)."""

EXPLAINED = 0.1
"""Share of the variance that the settings must foretell before it is shared out among them (house rule:
chance foretells as much in one of thirty studies of 20 trials)."""


@dataclass(frozen=True)
class _Known:
    """The trials that have an objective, their values, and the settings that differ between them."""

    results: list[TrialResult]
    values: Numbers
    columns: list[Column]


def matters(spec: StudySpec, results: Sequence[TrialResult]) -> Matters:
    """What moves the objective, failures counted; without importances where they would be chance."""
    known = _known(spec, results)
    slices = tuple(_slice(column, known) for column in known.columns)
    n, metric = len(known.results), spec.metric.name
    if not n:
        return Matters(
            (), slices, None, "No trial has ended yet." if not results else f"No {metric} is known."
        )
    varied = [column for column in known.columns if _varies(column)]
    if n < FEWEST:
        note = f"{n} trials are too few to say which settings matter: {FEWEST} are needed."
        return Matters((), slices, None, note if n > 1 else note.replace("1 trials are", "1 trial is"))
    r = ranks(spec, known.values)
    if r.std() == 0 or not varied:
        what = f"All {n} trials have the same {metric}" if varied else "No setting was varied"
        return Matters((), slices, None, f"{what}: nothing can be said to matter.")
    shares, explained = importance_of(varied, r)
    if explained < EXPLAINED:
        note = f"The settings do not foretell which of the {n} trials are better in {metric}: importances "
        return Matters((), slices, None, note + "would be chance, and are not told.")
    order = np.argsort(-shares, kind="stable").tolist()
    importance = tuple(Importance(varied[i].name, round(float(shares[i]), 3)) for i in order)
    top = [varied[i] for i in order[:2]]
    interaction = _interaction(spec, top[0], top[1], known) if len(top) == 2 else None
    return Matters(importance, slices, interaction, _note(metric, explained))


def _known(spec: StudySpec, results: Sequence[TrialResult]) -> _Known:
    values = objectives(spec, results)
    is_known = np.isfinite(values)
    kept = [result for result, there in zip(results, is_known, strict=True) if there]
    columns = [column for column in columns_of(spec, kept) if column.active.any()]
    return _Known(kept, values[is_known], columns)


def _varies(column: Column) -> bool:
    return len(np.unique(column.places[column.active])) > 1 or not column.active.all()


def _slice(column: Column, known: _Known) -> Slice:
    points = (
        Point(result.number, result.settings[column.name], float(value), result.verdict.value)
        for result, value, active in zip(known.results, known.values, column.active, strict=True)
        if active
    )
    return Slice(column.name, _is_log(column), tuple(points))


def _interaction(spec: StudySpec, first: Column, second: Column, known: _Known) -> Interaction:
    points = tuple(
        (result.number, result.settings[first.name], result.settings[second.name], float(value))
        for result, value, both in zip(known.results, known.values, first.active & second.active, strict=True)
        if both
    )
    text = told_interaction(spec, first, second, known.values)
    return Interaction(first.name, second.name, _is_log(first), _is_log(second), points, text)


def _is_log(column: Column) -> bool:
    return column.scale is not None and column.scale.log


def _note(metric: str, explained: float) -> str:
    return (
        f"The settings foretell {100 * explained:.0f} % of the variance of the rank in {metric} on held-out "
        "trials; the shares are shares of that. Trials that failed count as the worst, pruned ones as what "
        "they had reached. A setting that the sampler hardly varied looks unimportant."
    )
