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
from benchmarks.search_figures import Figures, Verdict, compare, figures_of, paired_p
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
    """A way against the product's own over all tasks: mean differences of last regret and of area, below 0
    where it is better, and how sure (Wilcoxon signed-rank test over pairs of task and seed)."""

    name: str
    pairs: int
    last: float
    area: float
    p_last: float
    p_area: float


def together(traces: Sequence[Course]) -> Iterator[Together]:
    """Every way but the product's own, over all tasks."""
    tasks = {name: [trace for trace in traces if trace.task == name] for name in TASKS}
    regrets = {name: regrets_of(name, own) for name, own in tasks.items() if own}
    for arm in ARMS:
        rival = rival_of(arm)
        pairs = [
            np.subtract(own[arm, seed], own[rival, seed])
            for own in regrets.values()
            for name, seed in own
            if name == arm and (rival, seed) in own
        ]
        if arm != rival and pairs:
            last, area = np.array(pairs).T
            yield Together(
                arm, len(pairs), float(last.mean()), float(area.mean()), paired_p(last), paired_p(area)
            )


def regrets_of(name: str, traces: Sequence[Course]) -> dict[tuple[str, int], tuple[float, float]]:
    """(contestant, seed) -> last regret and area of a search, among all of its task."""
    task = TASKS[name]
    floor = min(np.nanmin(trace.values) for trace in traces)
    at = np.linspace(0, task.budget, PLACES + 1)
    found = {}
    for trace in traces:
        best = np.minimum.accumulate([task.trivial, *trace.values])
        curve = best[np.searchsorted(trace.spent, at, side="right")]
        regret = (curve - floor) / (task.trivial - floor)
        found[trace.contestant, trace.seed] = float(regret[-1]), float(regret.mean())
    return found


def together_table(traces: Sequence[Course]) -> str:
    """All tasks together, in Markdown."""
    lines = [
        "**All tasks**, against `both` of the same sampler (below 0: better)",
        "",
        "| told | pairs | last | p of last | area | p of area |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {one.name} | {one.pairs} | {one.last:+.4f} | {one.p_last:.2g} "
        f"| {one.area:+.4f} | {one.p_area:.2g} |"
        for one in together(traces)
    ]
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
