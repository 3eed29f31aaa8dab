"""What the searches of the cliff study come to: each way of telling against the product's own, in Markdown.

Notation
    last    regret at the end of a search's epochs: 0 is the best that any search of the task has found, 1 the
            trivial model
    area    mean regret over the epochs
    p       of a two-sided Wilcoxon signed-rank test over pairs of the same seed
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cliff_runs import ARMS, Course, rival_of
from benchmarks.cliff_tables import read
from benchmarks.cliff_world import held_out
from benchmarks.search_figures import (
    Figures,
    Verdict,
    best_so_far,
    compare,
    dead_share,
    figures_of,
    paired_p,
)
from benchmarks.search_runs import TASKS

PLACES = 400
"""Places along the budget at which the area is taken."""


def task_table(name: str, traces: Sequence[Course]) -> str:
    """The figures of a task, in Markdown."""
    task = TASKS[name]
    figures = sorted(figures_of(task, traces), key=lambda f: list(ARMS).index(f.name))
    lines = [
        f"**{name}** ({task.budget} epochs a search)",
        "",
        "| told | seeds | trials | doomed | last (quartiles) | area | epochs on dead | better, worse "
        "| p of last | p of area |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for f in figures:
        rival = rival_of(f.name)
        verdict = None if rival == f.name else compare(task, traces, rival, f.name)
        doomed = float(np.mean([trace.doomed for trace in traces if trace.contestant == f.name]))
        lines.append(_line(f, doomed, verdict))
    return "\n".join(lines)


def _line(f: Figures, doomed: float, verdict: Verdict | None) -> str:
    median, low, high = f.regret
    cells = ["", "", ""]
    if verdict is not None:
        cells = [
            f"{verdict.wins}, {verdict.losses}",
            f"{verdict.p_last:.2g}",
            f"{verdict.p_area:.2g}",
        ]
    return (
        f"| {f.name} | {f.seeds} | {f.trials:.0f} | {doomed:.0f} | {median:.4f} ({low:.4f} to {high:.4f}) "
        f"| {f.area:.4f} | {f.dead:.1%} | " + " | ".join(cells) + " |"
    )


@dataclass(frozen=True)
class Together:
    """A way against the product's own over all tasks: mean differences of the last regret, of the area and of
    the share of epochs on dead trials, below 0 where it is better, each with how sure it is."""

    name: str
    pairs: int
    last: tuple[float, float]
    area: tuple[float, float]
    dead: tuple[float, float]


def together(courses: Sequence[Course]) -> Iterator[Together]:
    """Every way but the product's own, over all tasks."""
    found = {name: [course for course in courses if course.task == name] for name in TASKS}
    measured = {
        (name, *key): figures for name, own in found.items() if own for key, figures in measures(name, own)
    }
    for arm in ARMS:
        rival = rival_of(arm)
        pairs = [
            np.subtract(figures, measured[task, rival, seed])
            for (task, name, seed), figures in measured.items()
            if name == arm and (task, rival, seed) in measured
        ]
        if arm != rival and pairs:
            last, area, dead = ((float(one.mean()), paired_p(one)) for one in np.array(pairs).T)
            yield Together(arm, len(pairs), last, area, dead)


def measures(
    name: str, courses: Sequence[Course]
) -> Iterator[tuple[tuple[str, int], tuple[float, float, float]]]:
    """(contestant, seed), and last regret, area and share of epochs on dead trials, of all of a task."""
    task = TASKS[name]
    floor = min(np.nanmin(course.values) for course in courses)
    at = np.linspace(0, task.budget, PLACES + 1)
    for course in courses:
        regret = (best_so_far(course, at, course.spent, task.trivial) - floor) / (task.trivial - floor)
        figures = float(regret[-1]), float(regret.mean()), dead_share(task, course)
        yield (course.contestant, course.seed), figures


def together_table(courses: Sequence[Course]) -> str:
    """All tasks together, in Markdown."""
    lines = [
        "**All tasks**, against `both` of the same sampler and pruner (below 0: better)",
        "",
        "| told | pairs | last | p | area | p | epochs on dead | p |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for one in together(courses):
        pairs = [f"{one.last[0]:+.4f}", one.last[1], f"{one.area[0]:+.4f}", one.area[1]]
        cells = [*pairs, f"{one.dead[0]:+.1%}", one.dead[1]]
        shown = (cell if isinstance(cell, str) else f"{cell:.2g}" for cell in cells)
        lines.append(f"| {one.name} | {one.pairs} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def worlds_table(tasks: Iterable[str]) -> str:
    """How well stand-ins know trainings they have not seen, in Markdown."""
    lines = [
        "| task | trainings | doomed | rank correlation of best values | whether doomed | of what |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for name in tasks:
        recorded = read(name)
        known_, whether, what = held_out(TASKS[name], recorded)
        doomed = sum(one.doomed is not None for one in recorded) / len(recorded)
        lines.append(
            f"| {name} | {len(recorded)} | {doomed:.0%} | {known_:.2f} | {whether:.0%} | {what:.0%} |"
        )
    return "\n".join(lines)
