"""The Pareto front of a report: of a study with several objectives, which trials no other dominates."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.fronts import pareto_front
from searcher.report.study_report import Aim, OfFront, Pareto
from searcher.report.words import counted, number
from searcher.spec import StudySpec
from searcher.summary import sampled_of
from searcher.trial import TrialResult, ranked


def pareto(spec: StudySpec, results: Sequence[TrialResult]) -> Pareto | None:
    """The front, and the other trials that were trained to their end; None in a study with one objective."""
    if not spec.is_several:
        return None
    front = pareto_front(spec.metrics, results)
    there = {result.number for result in front}
    others = [result for result in ranked(spec.metric, results) if result.number not in there]
    return Pareto(
        aims=tuple(Aim(metric.name, metric.goal) for metric in spec.metrics),
        front=tuple(map(_row, front)),
        others=tuple(map(_row, others)),
        text=told_front(spec, results),
    )


def told_front(spec: StudySpec, results: Sequence[TrialResult]) -> str:
    """How many trials stand on the front, and how far it reaches in each objective."""
    front = pareto_front(spec.metrics, results)
    if not front:
        which = "The trial was not" if len(results) == 1 else f"None of the {len(results)} trials was"
        return f"{which} trained to its end, so there is no Pareto front."
    names = " and ".join(metric.name for metric in spec.metrics)
    if len(front) == 1:
        reached = ", ".join(f"{name} {number(value)}" for name, value in front[0].objectives.items())
        return f"Trial {front[0].number} is the best in all of {names}: {reached}."
    parts = []
    for metric in spec.metrics:
        one = min(front, key=lambda result: metric.sign * result.objectives[metric.name])
        rest = [f"{name} {number(v)}" for name, v in one.objectives.items() if name != metric.name]
        word = "highest" if metric.goal == "maximize" else "lowest"
        best = f"the {word} {metric.name}, {number(one.objectives[metric.name])}, has trial {one.number}"
        parts.append(f"{best} (with {', '.join(rest)})")
    stand = f"{counted(len(front), 'trial')} of {len(results)} stand on the Pareto front of {names}"
    return f"{stand}: none of them is beaten in all of it by another; {'; '.join(parts)}."


def _row(result: TrialResult) -> OfFront:
    return OfFront(result.number, dict(result.objectives), result.verdict.value, sampled_of(result))
