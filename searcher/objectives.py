"""The objectives of a trial beside the first one: whether they were said, and what stands for those that
were not."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from searcher.figures import figures
from searcher.naming import figure_text
from searcher.spec import StudySpec
from searcher.trial import TrialCourse, TrialResult


def unknown_objective(spec: StudySpec, course: TrialCourse) -> str:
    """The first objective that a trial has no finite number of, though it was evaluated; empty when it has
    all.
    """
    known = course.objectives
    return next((one.name for one in spec.further if not math.isfinite(known[one.name])), "")


def with_objectives(
    spec: StudySpec, result: TrialResult, stand_in: Callable[[int, list[float]], float]
) -> TrialResult:
    """The result with a finite number for each objective of a study with several.

    What is known of a trial whatever became of it, its settings and facts, stays so. Of a metric that it did
    not reach, or of one that was doomed or failed, `stand_in` gives the worst, from its place in the study
    file and the trial's own values.
    """
    if not spec.is_several or result.value is None:
        return result
    metrics = result.best.metrics if result.best is not None and result.has_own_value else {}
    known = figures(result.settings, result.facts, metrics)
    found = {spec.metric.name: result.value}
    for place, one in enumerate(spec.further, start=1):
        value = known.get(one.name, math.nan)
        if not math.isfinite(value):
            own = [vector[place] for vector in result.vectors.values()]
            value = stand_in(place, own)
        found[one.name] = value
    return replace(result, objectives=found)


def behind_others(spec: StudySpec, course: TrialCourse) -> str:
    """That a trial stands behind others, as a clause."""
    if not spec.is_several:
        return f"{spec.metric.name} {list(course.values.values())[-1]:.4g} is behind other trials"
    reached = ", ".join(f"{name} {figure_text(value)}" for name, value in course.objectives.items())
    return f"{reached}: other trials are as good in all of it, and better in some"
