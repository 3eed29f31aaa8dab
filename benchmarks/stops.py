"""Whether stops of doomed trials are right: every trial is let run on, and the audit says what became of it.

    python -m benchmarks.stops --seeds 6 --file stops.jsonl       # runs what the file lacks, then shows
    python -m benchmarks.stops --show --file stops.jsonl          # shows what it has

The tasks are those of the search benchmark, with points drawn at random from their whole spaces, without a
pruner. All trials end, so that the best quarter is that of the trainings, not of those that were let live.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import mean

from benchmarks.search_runs import TASKS, Task
from searcher.audit import BEST_SHARE, audited, spared
from searcher.opening import load_study
from searcher.study import Places, run_study
from searcher.trial import ranked

EVERYTHING = {"sampler": "random", "pruner": "none", "start": "anywhere", "audit": 1.0}
"""What the study file says, so that no trial is given up."""


@dataclass
class AuditedStudy:
    """One study in which all stops were audited, as counts; `wrong` says by which finding, and its place."""

    task: str
    seed: int
    trials: int = 0
    completed: int = 0
    due: int = 0  # stops that would have been carried out
    saved: float = 0.0  # share of the epochs of all trials that they would have saved
    spared: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def best(self) -> int:
        """How many trials are in the best quarter."""
        return max(1, self.completed // BEST_SHARE)


def audit_study(name: str, task: Task, seed: int, trials: int) -> AuditedStudy:
    """Run a study of so many trials to the end of each."""
    spec = task.spec(seed, {**EVERYTHING, "trials": trials})
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/studies.db"
        run_study(spec, Places(url, None, Path(folder) / "runs", report=False), lambda event: None)
        results = load_study(spec.name, url).results()
    due = audited(spec.metric, results)
    return AuditedStudy(
        name,
        seed,
        trials=len(results),
        completed=len(ranked(spec.metric, results)),
        due=len(due),
        saved=sum(one.epochs for one in due) / sum(result.epochs for result in results),
        spared=len(spared(spec.metric, results)),
        wrong=[f"{one.reprieve.kind} {one.place}" for one in due if one.is_judged and one.is_among_best],
    )


def main() -> None:
    """Run what is missing, and show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.stops", description=__doc__)
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--trials", type=int, default=30, help="of each study")
    parser.add_argument("--file", type=Path, default=Path("stops.jsonl"), help="where counts are kept")
    parser.add_argument("--show", action="store_true", help="run nothing")
    given = parser.parse_args()
    if not given.show:
        for seed in range(given.seeds):
            for name, task in TASKS.items():
                _run(name, task, seed, given.trials, given.file)
    print(table(_known(given.file)))


def _run(name: str, task: Task, seed: int, trials: int, file: Path) -> None:
    if any((one.task, one.seed) == (name, seed) for one in _known(file)):
        return
    began = time.perf_counter()
    found = audit_study(name, task, seed, trials)
    with file.open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(found)) + "\n")
    print(f"{name}, seed {seed}: {time.perf_counter() - began:.0f} s", flush=True)


def _known(file: Path) -> list[AuditedStudy]:
    if not file.exists():
        return []
    return [AuditedStudy(**json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]


def table(found: Iterable[AuditedStudy]) -> str:
    """The counts of every task and of all, in Markdown."""
    studies = list(found)
    lines = [
        "| task | trials | to their end | stops due | epochs saved | spared | wrong | of the best quarter |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name in dict.fromkeys(one.task for one in studies):
        lines.append(_line(name, [one for one in studies if one.task == name]))
    return "\n".join([*lines, _line("all", studies)])


def _line(name: str, studies: list[AuditedStudy]) -> str:
    wrong, best = [text for one in studies for text in one.wrong], sum(one.best for one in studies)
    counts = [sum(values) for values in zip(*((s.trials, s.completed, s.due) for s in studies), strict=True)]
    saved = mean(one.saved for one in studies)
    which = f" ({', '.join(wrong)})" if wrong else ""
    cells = [*counts, f"{saved:.1%}", sum(one.spared for one in studies), f"{len(wrong)}{which}"]
    return f"| {name} | {' | '.join(map(str, cells))} | {len(wrong)} of {best} = {len(wrong) / best:.1%} |"


if __name__ == "__main__":
    main()
