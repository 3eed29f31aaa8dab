"""The rules behind failures, in words with numbers.

Such as `learning_rate above 0.02 and norm other than batch: 17 of 18 diverged; elsewhere 1 of 42`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from searcher.report.numbers.scales import Column, Mask, number_text, rows_of
from searcher.report.numbers.separating import FEWEST, Found, Part, find_rule, holds
from searcher.report.observations import Condition, Region, Value
from searcher.spec import StudySpec

ANY = "any failure"
"""The kind of trials that were doomed or failed, for whatever reason."""

RULES = 2
"""Rules for a kind: the second one is sought among the trials outside of the first (house rule: a setting may
be too high for some trials, and too low for others)."""

CHANCE_LEVEL = 0.5
"""Balanced accuracy of no rule."""

DID = {
    ANY: "failed",
    "crashed": "crashed",
    "dead-units": "had dead units",
    "diverging": "diverged",
    "exploding-gradients": "had exploding gradients",
    "hung": "hung",
    "learning-rate-too-high": "had too high a learning rate",
    "learning-rate-too-low": "had too low a learning rate",
    "non-finite": "became non-finite",
    "not-learning": "did not learn",
    "oscillating": "oscillated",
    "out-of-memory": "ran out of memory",
    "overfitting": "overfitted",
    "saturated-activations": "had saturated activations",
    "timeout": "ran out of time",
    "underfitting": "underfitted",
    "vanishing-gradients": "had vanishing gradients",
}
"""What a trial with a finding did, as people say it; all others `had` it by its name."""


def regions(kind: str, columns: Sequence[Column], sick: Mask, spec: StudySpec) -> list[Region]:
    """The rules for a kind, the first one for all trials; one without conditions where none is clear."""
    found: list[Region] = []
    among = np.ones(len(sick), dtype=bool)
    while len(found) < RULES:
        rows, y = [rows_of(column, among) for column in columns], sick[among]
        rule = find_rule(rows, y)
        if rule is None or not rule.is_clear:
            break
        region, inside = _region(kind, rows, y, rule, spec, is_first=not found)
        found.append(region)
        among[np.flatnonzero(among)[inside]] = False
    return found or [_no_rule(kind, sick)]


def in_words(condition: Condition, columns: Sequence[Column]) -> str:
    """A condition as people say it: the shorter of what it is and what it is not."""
    if not isinstance(condition.value, tuple):
        return f"{condition.setting} {condition.word} {number_text(condition.value)}"
    known = next(column.choices for column in columns if column.name == condition.setting)
    others = [value for value in known if not _is_among(value, condition.value)]
    if len(others) == 1 < len(condition.value):
        return f"{condition.setting} other than {_text(others[0])}"
    return f"{condition.setting} = {' or '.join(map(_text, condition.value))}"


def did(kind: str) -> str:
    """What trials with a finding did."""
    return DID.get(kind, f"had {kind}")


def _region(
    kind: str, columns: Sequence[Column], sick: Mask, found: Found, spec: StudySpec, is_first: bool
) -> tuple[Region, Mask]:
    """A clear rule with its numbers, and the trials inside."""
    conditions = tuple(_condition(part, columns[part.column]) for part in found.rule)
    inside = holds(found.rule, columns)
    a, b, c, d = int(sick[inside].sum()), int(inside.sum()), int(sick[~inside].sum()), int((~inside).sum())
    words = " and ".join(in_words(condition, columns) for condition in conditions) + _where(conditions, spec)
    text = f"{words}: {a} of {b} {did(kind)}; elsewhere {c} of {d}"
    text = text if is_first else f"of the other {b + d} trials, {text}"
    return Region(kind, text, conditions, a, b, c, d, round(found.support, 3)), inside


def _condition(part: Part, column: Column) -> Condition:
    if column.scale is None:
        return Condition(column.name, part.word, tuple(column.choices[k] for k in part.chosen))
    return Condition(column.name, part.word, column.scale.rounded(part.cut, *part.gap))


def _where(conditions: Sequence[Condition], spec: StudySpec) -> str:
    """What the settings of a rule wait for, where the rule itself does not say it."""
    named = {condition.setting for condition in conditions}
    waits = {
        f"{other} = {' or '.join(map(_text, allowed))}"
        for name in named
        for other, allowed in spec.space[name].when.items()
        if other not in named
    }
    return f" (it waits for {', '.join(sorted(waits))})" if waits else ""


def _no_rule(kind: str, sick: Mask) -> Region:
    n, s = len(sick), int(sick.sum())
    count = f"{s} of {n} trials {did(kind)}"
    if s == n:
        text = f"no clear rule: all {n} trials {did(kind)}"
    elif s < FEWEST:
        text = f"no clear rule: {count}, too few to find one"
    elif n - s < FEWEST:
        text = f"no clear rule: {count}, and too few did not"
    else:
        text = f"no clear rule: {count}, and no bound or choice separates them from the others"
    return Region(kind, text, (), 0, 0, s, n, CHANCE_LEVEL)


def _is_among(value: Value, values: Sequence[Value]) -> bool:
    return any(type(value) is type(other) and value == other for other in values)


def _text(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
