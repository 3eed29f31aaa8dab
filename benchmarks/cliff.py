"""How a sampler should be told of doomed trials: searches on stand-ins for real trainings, in every way.

    python -m benchmarks.cliff --seeds 20 --sampler tpe      # runs what the file lacks, then shows
    python -m benchmarks.cliff --show                        # shows what it has
    python -m benchmarks.cliff --held-out                    # how good the stand-ins are
    python -m benchmarks.cliff --make digits-mlp             # trains a task's table anew (minutes)

Each search has the same epochs. Ways are compared by pairs of the same seed with the product's own, which is
called `both`: a doomed trial is pruned, has a stand-in as its last value, and violates a constraint.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import optuna

from benchmarks.cliff_figures import task_table, together_table, worlds_table
from benchmarks.cliff_runs import ARMS, Arm, Course, Way, search
from benchmarks.cliff_tables import TRAININGS, make, read
from benchmarks.cliff_world import World
from benchmarks.search_runs import TASKS

SAMPLERS = tuple(dict.fromkeys(arm.sampler for arm in ARMS.values()))
PRUNERS = tuple(dict.fromkeys(arm.pruner for arm in ARMS.values()))
WAYS = tuple(way.value for way in Way)


def main() -> None:
    """Run what is missing, and show."""
    given = _parser().parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    tasks = given.task or list(TASKS)
    if given.make is not None:
        print(f"written to {make(given.make, given.trainings or TRAININGS[given.make])}")
        return
    if given.held_out:
        print(worlds_table(tasks))
        return
    if not given.show:
        seeds = range(given.first, given.first + given.seeds)
        arms = [
            arm
            for arm in ARMS.values()
            if arm.sampler in (given.sampler or SAMPLERS)
            and arm.pruner in (given.pruner or PRUNERS)
            and arm.way.value in (given.way or WAYS)
        ]
        run(tasks, arms, seeds, given.file)
    found = [trace for trace in known(given.file) if trace.task in tasks]
    for name in tasks:
        if own := [trace for trace in found if trace.task == name]:
            print(task_table(name, own), end="\n\n")
    if found:
        print(together_table(found))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cliff", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--task", choices=TASKS, action="append", help="this one alone; may be repeated")
    parser.add_argument("--sampler", choices=SAMPLERS, action="append")
    parser.add_argument("--pruner", choices=PRUNERS, action="append")
    parser.add_argument("--way", choices=WAYS, action="append", help="of telling; `both` is the product's")
    parser.add_argument("--file", type=Path, default=Path("cliff.jsonl"), help="where searches are kept")
    parser.add_argument("--show", action="store_true", help="run nothing")
    parser.add_argument("--held-out", action="store_true", help="how good the stand-ins are")
    parser.add_argument("--make", choices=TASKS, help="train a task's table anew")
    parser.add_argument("--trainings", type=int, help="how many, for --make")
    return parser


def run(tasks: Iterable[str], arms: Sequence[Arm], seeds: Iterable[int], file: Path) -> None:
    """Run the searches that the file lacks; each is added to it when it is done."""
    done = {(trace.task, trace.contestant, trace.seed) for trace in known(file)}
    worlds = {name: World(TASKS[name], read(name)) for name in tasks}
    for seed in seeds:
        began = time.perf_counter()
        for name, world in worlds.items():
            for arm in arms:
                if (name, arm.name, seed) in done:
                    continue
                trace = Course(name, arm.name, seed)
                search(world, TASKS[name], trace, arm)
                with file.open("a", encoding="utf-8") as out:
                    out.write(json.dumps(trace.as_dict()) + "\n")
        print(f"seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


def known(file: Path) -> list[Course]:
    """The searches of a file."""
    if not file.exists():
        return []
    return [Course(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


if __name__ == "__main__":
    main()
