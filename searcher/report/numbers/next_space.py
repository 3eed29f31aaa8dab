"""The space of the next study: narrowed to where good trials lie, widened where the best lies on a bound."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from searcher.checks import check
from searcher.errors import SpecError
from searcher.report.numbers.bounds import Side, beyond
from searcher.report.numbers.narrowing import Evidence, at_least, failing_ends, narrowed
from searcher.report.numbers.scales import Column, number_text, scale_of
from searcher.report.numbers.study_file import in_words
from searcher.report.observations import Condition, Number, Region, Value
from searcher.report.study_report import AtBound, Change
from searcher.space import conditions_first
from searcher.spec import Choices, Range, Scalar, StudySpec, parse_spec

Space = dict[str, Range | Choices]

LUCK = 0.1
"""Chance below which good trials with the last of few values ask for more such values (house rule)."""

LEFT_OUT = "left out"
"""What became of a setting that nothing switches on any more."""


Stage = tuple[Range | Choices, tuple[str, ...]]
"""What a setting becomes, and why."""

Stages = Mapping[str, tuple[Stage, ...]]

WIDENED, NARROWED, AS_IT_WAS = 2, 1, 0
"""The stages of a setting, the last one first: a widening starts from what was narrowed."""


@dataclass(frozen=True)
class Draft:
    """A space, and how it differs from the one before."""

    space: Space
    changes: tuple[Change, ...] = ()


def next_space(
    spec: StudySpec, columns: Sequence[Column], known: Evidence, bounds: Sequence[AtBound]
) -> Draft:
    """The space on this evidence, without changes that would be mistakes in a study file."""
    if not known.is_enough:
        return Draft(dict(spec.space))
    return _checked(spec, {column.name: _stages(spec, column, known, bounds) for column in columns})


def left_over(space: Space, regions: Sequence[Region]) -> tuple[Region, ...]:
    """The regions of failure that the space still reaches into."""
    return tuple(r for r in regions if all(_is_reached(space, condition) for condition in r.conditions))


def _is_reached(space: Space, condition: Condition) -> bool:
    setting, value = space.get(condition.setting), condition.value
    if isinstance(setting, Choices) and isinstance(value, tuple):
        return any(choice in setting.choices for choice in value)
    if isinstance(setting, Range) and not isinstance(value, tuple):
        if condition.word == "above":
            return setting.high > value
        has_low = scale_of(condition.setting, setting).values is not None  # else it is a single point
        return setting.low < value or (has_low and setting.low == value)
    return False


def _stages(spec: StudySpec, column: Column, known: Evidence, bounds: Sequence[AtBound]) -> tuple[Stage, ...]:
    """A setting as it was, narrowed, and widened after that."""
    setting, found = spec.space[column.name], narrowed(column, known)
    new: Range | Choices = setting
    if isinstance(setting, Range):
        new = _with_ends(setting, found.low, found.high)
    elif found.choices:
        new = setting.model_copy(update={"choices": list(found.choices)})
    wider, reasons = new, list(found.reasons)
    for bound in bounds:
        if bound.setting == column.name:
            wider, reason = _wider(spec, column, wider, bound, known)
            reasons += [reason] if reason else []
    return (setting, ()), (new, found.reasons), (wider, tuple(reasons))


def _draft(spec: StudySpec, stages: Stages, at: Mapping[str, int]) -> Draft:
    """The space with every setting at its stage."""
    space: Space = {}
    changes: list[Change] = []
    for name, setting in spec.space.items():
        space[name], reasons = stages[name][at[name]]
        if space[name] != setting:
            changes.append(Change(name, in_words(setting), in_words(space[name]), "; ".join(reasons)))
    return _consistent(spec, Draft(space, tuple(changes)))


def _with_ends(setting: Range, low: Number | None, high: Number | None) -> Range:
    """The range with new ends, none beyond the old ones."""
    new_low = setting.low if low is None else max(low, setting.low)
    new_high = setting.high if high is None else min(high, setting.high)
    return setting.model_copy(update={"low": new_low, "high": new_high}) if new_low <= new_high else setting


def _wider(
    spec: StudySpec, column: Column, setting: Range | Choices, bound: AtBound, known: Evidence
) -> tuple[Range | Choices, str]:
    """The setting with room beyond its bound, and why; unchanged where nothing but failures lies there."""
    side: Side = "high" if bound.bound == "high" else "low"
    value = beyond(spec, column.name, side)
    if value is None or (column.scale is not None and failing_ends(column, known, side)):
        return setting, ""
    end = "upper" if side == "high" else "lower"
    best = f"the best value, {number_text(bound.value)}, lies on the {end} bound"
    if column.scale is None or column.scale.values is not None:  # of few values the best is often at an end
        own = column.active & np.array([_is_same(value, bound.value) for value in column.values()])
        n, good = int(own.sum()), known.good & column.active
        hits = int((good & own).sum())
        if at_least(hits, n, int(column.active.sum()), int(good.sum())) > LUCK:
            return setting, ""
        best += f", and {hits} of the {n} trials with it are among the best {good.sum()}"
    if isinstance(setting, Range):
        return setting.model_copy(update={side: value}), best
    rises = list(setting.choices) == sorted(setting.choices, key=lambda choice: float(choice))
    choices = [*setting.choices, value] if (side == "high") == rises else [value, *setting.choices]
    return setting.model_copy(update={"choices": choices}), best


def _is_same(value: Value | None, other: Number) -> bool:
    """Whether a value is a number, but for what fractions lose in a computer."""
    return isinstance(value, int | float) and math.isclose(value, other, rel_tol=1e-9, abs_tol=1e-12)


def _consistent(spec: StudySpec, draft: Draft) -> Draft:
    """Without conditions on values that are gone, and without settings that nothing switches on any more."""
    space, changes = dict(draft.space), list(draft.changes)
    for name in conditions_first(spec):
        whens = spec.space[name].when
        when = {other: _still_taken(spec, space, other, allowed) for other, allowed in whens.items()}
        if not all(when.values()):
            before = in_words(spec.space[name])
            changes = [change for change in changes if change.setting != name]
            waited = " and ".join(when)
            changes.append(Change(name, before, LEFT_OUT, f"{waited} no longer takes what it waits for"))
            del space[name]
        else:
            space[name] = space[name].model_copy(update={"when": when})
    return Draft(space, tuple(changes))


def _still_taken(spec: StudySpec, space: Space, name: str, allowed: Sequence[Scalar]) -> list[Scalar]:
    """The values of a setting that a condition waits for, as far as the setting still takes them."""
    setting = space.get(name)
    if setting is None or setting == spec.space[name]:
        return [] if setting is None else list(allowed)
    if isinstance(setting, Choices):
        return [value for value in allowed if value in setting.choices]
    return [v for v in allowed if isinstance(v, int | float) and setting.low <= v <= setting.high]


def _checked(spec: StudySpec, stages: Stages) -> Draft:
    """The space without changes that would be mistakes in a study file."""
    at = dict.fromkeys(stages, WIDENED)
    while any(at.values()):
        draft = _draft(spec, stages, at)
        wrong = _mistakes(spec, draft.space) - _mistakes(spec, dict(spec.space))
        if not wrong:
            return draft
        at = _taken_back(stages, at, {place.split(".")[1] for place in wrong if place.startswith("space.")})
    return Draft(dict(spec.space))


def _taken_back(stages: Stages, at: Mapping[str, int], wrong: set[str]) -> dict[str, int]:
    """The stages with a change less: a widening while there is one, and what is `wrong` before all others."""
    for stage in (WIDENED, NARROWED):
        changed = {n for n, known in stages.items() if at[n] == stage and known[stage] != known[stage - 1]}
        if changed:
            less = changed & wrong or changed
            return {name: stage - 1 if name in less else place for name, place in at.items()}
        at = {name: min(place, stage - 1) for name, place in at.items()}
    return dict.fromkeys(at, AS_IT_WAS)


def _mistakes(spec: StudySpec, space: Space) -> set[str]:
    """Places of mistakes that a study with this space would have."""
    space_now = {name: setting.model_dump() for name, setting in space.items()}
    raw = {**spec.model_dump(), "space": space_now, "enqueue": []}
    return mistakes_of(raw, spec.name)


def mistakes_of(raw: Mapping[str, Any], name: str) -> set[str]:
    """Places of mistakes in a study as plain data."""
    try:
        check(parse_spec(raw, name), name)
    except SpecError as error:
        return {mistake.place for mistake in error.mistakes}
    return set()
