"""What stands in the record of a study with several objectives: each as an axis, and who is on the front."""

from __future__ import annotations

import math
from collections.abc import Sequence

from searcher.fronts import pareto_front
from searcher.spec import StudySpec
from searcher.tracking.axes import objective_names
from searcher.trial import Outcome, TrialResult

PARETO = "pareto"
"""The tag of a trial that says whether it stands on the Pareto front."""


def further_objectives(spec: StudySpec, result: TrialResult) -> dict[str, float]:
    """The objectives beside the first one, finite ones, as axes."""
    found = {}
    for name, metric in zip(objective_names(spec)[1:], spec.further, strict=True):
        value = result.objectives.get(metric.name, 0.0)
        found[name] = value if math.isfinite(value) else 0.0
    return found


def pareto_tags(spec: StudySpec, results: Sequence[TrialResult]) -> dict[int, dict[str, str]]:
    """Whether each trial stands on the Pareto front, as its tags, by number; empty with one objective."""
    if not spec.is_several:
        return {}
    front = {result.number for result in pareto_front(spec.metrics, results)}
    return {result.number: {PARETO: "yes" if result.number in front else "no"} for result in results}


def off_front(spec: StudySpec, result: TrialResult) -> dict[str, str]:
    """What is known of that at once: a trial that was not trained to its end is on no front."""
    return {PARETO: "no"} if spec.is_several and result.outcome is not Outcome.COMPLETED else {}
