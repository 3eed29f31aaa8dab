"""Whether the diagnosis helps the search: ours against Optuna's TPE with each of its pruners, really trained.

    python -m benchmarks.search --seeds 10 --file searches.jsonl       # runs what the file lacks, then shows
    python -m benchmarks.search --show --file searches.jsonl           # shows what it has

Each search has the same epochs. The comparison by time, that of the processor (one process with one thread),
cuts all searches of a seed at the time of the one that was done first. Ours diagnoses every training and
keeps its store and files; a rival does not.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.search_figures import OURS, Aim, Figures, aims_of, compare, figures_of, is_ours
from benchmarks.search_runs import RIVALS, TASKS, Trace, run_ours, run_rival

VARIANTS: Mapping[str, Mapping[str, Any]] = {
    OURS: {},
    f"{OURS}:anywhere": {"start": "anywhere"},
    f"{OURS}:tpe": {"sampler": "tpe"},
}
"""Our search as it is by default, and others of it: the name, and what the study file says then."""


def main() -> None:
    """Run what is missing, and show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--task", choices=TASKS, action="append", help="this one alone; may be repeated")
    parser.add_argument("--contestant", choices=[*VARIANTS, *RIVALS], action="append")
    parser.add_argument("--file", type=Path, default=Path("searches.jsonl"), help="where searches are kept")
    parser.add_argument("--show", action="store_true", help="run nothing")
    given = parser.parse_args()
    tasks, contestants = given.task or list(TASKS), given.contestant or [*VARIANTS, *RIVALS]
    if not given.show:
        for seed in range(given.first, given.first + given.seeds):
            for name in tasks:
                for contestant in contestants:
                    _run(name, contestant, seed, given.file)
    traces = _known(given.file)
    for name in tasks:
        own = [trace for trace in traces if trace.task == name]
        if any(not is_ours(trace.contestant) for trace in own):
            print(table(name, own), end="\n\n")
        elif own:
            print(f"{name}: no rival is in {given.file} yet, and there is nothing to compare with")


def _run(task: str, contestant: str, seed: int, file: Path) -> None:
    if any((t.task, t.contestant, t.seed) == (task, contestant, seed) for t in _known(file)):
        return
    trace, began = Trace(task, contestant, seed), time.perf_counter()
    if contestant in VARIANTS:
        run_ours(TASKS[task], trace, VARIANTS[contestant])
    else:
        run_rival(TASKS[task], trace, RIVALS[contestant]())
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(trace.as_dict()) + "\n")
    print(f"{task}, {contestant}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


def _known(file: Path) -> list[Trace]:
    if not file.exists():
        return []
    return [Trace(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def table(name: str, traces: Sequence[Trace]) -> str:
    """The figures of a task, in Markdown."""
    task = TASKS[name]
    figures = figures_of(task, traces)
    lines = [
        f"**{name}** ({task.budget} epochs a search, {max(f.seeds for f in figures)} seeds)",
        "",
        "| search | trials | last regret (quartiles) | area | epochs to the best rival's last | dead | "
        "last regret, equal time |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *map(_line, figures),
        "",
    ]
    rivals = [f for f in figures if not is_ours(f.name)]
    for ours in (f.name for f in figures if is_ours(f.name)):
        lines += [f"- {ours}: {_aimed(aim)}" for aim in aims_of(task, traces, ours)]
        for rival in rivals:
            found = compare(task, traces, rival.name, ours)
            lines.append(
                f"- {ours} against {rival.name}: better in {found.wins}, worse in {found.losses} seeds "
                f"(p {found.p_last:.2g}); by area p {found.p_area:.2g}"
            )
    return "\n".join(lines)


def _aimed(aim: Aim) -> str:
    verdict = "met" if aim.value <= aim.most else "MISSED"
    return (
        f"{aim.what} {_ratio(aim.value)}, at most {aim.most}: {verdict} "
        f"({_ratio(aim.low)} to {_ratio(aim.high)} in four fifths of the drawn sets of seeds)"
    )


def _ratio(value: float) -> str:
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _line(f: Figures) -> str:
    median, low, high = f.regret
    return (
        f"| {f.name} | {f.trials:.0f} | {median:.4f} ({low:.4f} to {high:.4f}) | {f.area:.4f} | "
        f"{_ratio(f.to_target)} | {f.dead:.1%} | {f.regret_in_time:.4f} |"
    )


if __name__ == "__main__":
    main()
