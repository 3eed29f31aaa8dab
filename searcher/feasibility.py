"""Whether a trial keeps the constraints of its study, as soon as that is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from searcher.constraints import MOST, Constraint
from searcher.errors import SearcherError
from searcher.figures import FIGURES, PEAK, STEP_SECONDS, STEP_TIME, figures, is_number
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult
from trainers.config import SETTINGS, default_of
from trainers.losses import metric_names

JUDGED = (Outcome.COMPLETED, Outcome.PRUNED, Outcome.INFEASIBLE)
"""Ends of which it is said what they keep: the others have come to nothing by themselves."""


def known_names(spec: StudySpec) -> list[str] | None:
    """What constraints may name; None for an own trainer, of which only its trials can tell."""
    if spec.trainer is not None:
        return None
    numbers = [name for name in (*spec.space, *spec.fixed) if _is_of_numbers(name, spec)]
    return [*FIGURES, *metric_names(str(spec.fixed.get("task", "auto"))), *numbers]


def broken_early(
    constraints: Sequence[Constraint], settings: Mapping[str, Any], facts: Mapping[str, Any]
) -> str:
    """Why a trial that still runs can be given up, as a sentence; empty while it keeps what is known.

    A setting and a fact are known once they are said. A median and a metric are known at the end; so is a
    peak, unless it is above its bound already.
    """
    for constraint in constraints:
        name = constraint.name
        value = settings.get(name)
        if value is None and name not in (STEP_TIME, STEP_SECONDS):
            value = facts.get(name) if name != PEAK or constraint.is_upper else None
        if is_number(value) and constraint.amount(value) > 0:
            return constraint.sentence(value)
    return ""


def amounts(constraints: Sequence[Constraint], known: Mapping[str, float]) -> dict[str, float]:
    """By how much each constraint is violated, where that is known; 0 or less where it is kept."""
    return {str(c): c.amount(known[c.name]) for c in constraints if c.name in known}


def settled(constraints: Sequence[Constraint], result: TrialResult) -> TrialResult:
    """The result with how it keeps the constraints; one that violates any is infeasible.

    What a pruned trial has reached is no reason to call it that: its metrics might have come to more.
    A trial that was trained to its end without ever saying what a constraint names violates it.
    """
    if not constraints or result.outcome not in JUDGED:
        return result
    is_whole = result.outcome is Outcome.COMPLETED
    known = figures(result.settings, result.facts, result.best.metrics if result.best and is_whole else {})
    found = amounts(constraints, known)
    sentences = [c.sentence(known[c.name]) for c in constraints if found.get(str(c), 0.0) > 0]
    for constraint in constraints:
        if is_whole and constraint.name not in (*known, *result.inactive):
            found[str(constraint)] = MOST
            sentences.append(f"violates {constraint}: it never said what it has")
    if not sentences:
        return replace(result, constraints=found)
    reason = result.reason if result.outcome is Outcome.INFEASIBLE else "; ".join(sentences)
    return replace(result, constraints=found, outcome=Outcome.INFEASIBLE, reason=reason)


def violated(result: TrialResult) -> list[str]:
    """The constraints that a trial violates."""
    return [text for text, amount in result.constraints.items() if amount > 0]


def check_names(
    constraints: Sequence[Constraint], result: TrialResult, before: Sequence[TrialResult]
) -> None:
    """Raises: SearcherError when a constraint names what no trial of the study has ever said, so that it is
    most likely misspelt."""
    if result.outcome is not Outcome.COMPLETED:
        return
    metrics = dict.fromkeys(result.metrics, 0.0)
    known = {*figures(result.settings, result.facts, metrics), *result.inactive}
    for constraint in constraints:
        if constraint.name in known or any(str(constraint) in other.constraints for other in before):
            continue
        raise SearcherError(
            f"the constraint {str(constraint)!r} names {constraint.name!r}, which no trial has said; what "
            f"this one said are numbers called: {', '.join(sorted(known))}"
        )


def check_measured(spec: StudySpec, constraints: Sequence[Constraint], facts: Mapping[str, Any]) -> None:
    """Raises: SearcherError when the peak of memory is demanded or searched by, but is not one trial's."""
    if spec.trainer is None and facts.get("device") == "cpu":
        if any(metric.name == PEAK for metric in spec.further):
            raise SearcherError(
                f"the metric {PEAK!r} needs a GPU: on a CPU the peak is that of a worker in all its life, "
                "not of one trial; take parameters, or another one"
            )
        for constraint in (c for c in constraints if c.name == PEAK):
            raise SearcherError(
                f"the constraint {str(constraint)!r} needs a GPU: on a CPU the peak is that of a worker in "
                "all its life, not of one trial; leave it out, or limit workers with memory_gb in [dispatch]"
            )


def _is_of_numbers(name: str, spec: StudySpec) -> bool:
    setting = spec.space.get(name)
    values = [spec.fixed.get(name)] if setting is None else setting.examples
    if name in SETTINGS and all(value is None for value in values):
        values = [default_of(name)]
    return all(map(is_number, values))
