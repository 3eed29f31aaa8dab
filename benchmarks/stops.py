"""Whether stops of trials are right: every trial is let run on, and it is seen what became of it. Of doomed
ones the audit says so; those that do not begin to learn, and those past their best, are counted beside the
study.

    python -m benchmarks.stops --seeds 6 --file stops.jsonl       # runs what the file lacks, then shows
    python -m benchmarks.stops --show --file stops.jsonl          # shows what it has

The tasks are those of the search benchmark, with points drawn at random from their whole spaces, without a
pruner. All trials end, so that the best quarter is that of the trainings, not of those that were let live.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from statistics import mean

from benchmarks.search_runs import TASKS, Task
from searcher.audit import BEST_SHARE, LetRun, audited, spared
from searcher.events import Event, TrialEnded, TrialProgressed
from searcher.nonstarters import NonStarters
from searcher.opening import load_study
from searcher.pastbest import Waits
from searcher.spec import StudySpec
from searcher.study import Places, run_study
from searcher.trial import Outcome, TrialResult, ranked

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
    lived: int = 0  # of those due, trials that came to learn something all the same
    spared: int = 0
    wrong: list[str] = field(default_factory=list)
    idle: list[int] = field(default_factory=list)  # trials that would have been given up as non-starters
    idle_saved: float = 0.0  # share of the epochs
    idle_wrong: list[str] = field(default_factory=list)  # those that ended in the best quarter
    past: list[int] = field(default_factory=list)  # trials that would have ended past their best
    past_saved: float = 0.0  # share of the epochs
    past_wrong: list[str] = field(default_factory=list)  # of the best quarter those that became better later

    @property
    def best(self) -> int:
        """How many trials are in the best quarter."""
        return max(1, self.completed // BEST_SHARE)


class Watch:
    """Counts the non-starters of a study that gives up nobody, and the trials that would have ended past
    their best: trial -> the epoch at which it would have been over, after which it is no measure for others.
    `missed` are those of the latter that became better later, with their value then, and at their end.
    """

    def __init__(self, spec: StudySpec) -> None:
        self.given_up: dict[int, float] = {}
        self.past: dict[int, float] = {}
        self.missed: dict[int, tuple[float, float]] = {}
        self._judge = NonStarters(spec)
        self._waits = Waits(spec.metric)

    def __call__(self, event: Event) -> None:
        """Take in what happened."""
        if isinstance(event, TrialProgressed) and event.number not in self.given_up:
            if self._judge.why(event.course):
                self.given_up[event.number] = event.course.epoch
        elif isinstance(event, TrialEnded) and event.result.number not in self.given_up:
            self._judge.add(event.result)
            self._end_early(event.result)

    def _end_early(self, result: TrialResult) -> None:
        values, patience = result.values, self._waits.patience(result.settings)
        over = None if patience is None else first_lost(values, patience)
        if over is not None and over < max(values) and result.outcome is Outcome.COMPLETED:
            self.past[result.number] = result.epochs * over / max(values)
            if values[over] != result.value:
                self.missed[result.number] = (values[over], result.value or 0.0)
            values = {due: value for due, value in values.items() if due <= over}
            result = replace(result, values=values, value=values[over])
        self._waits.add(result)


def first_lost(values: Mapping[int, float], patience: int) -> int | None:
    """The evaluation at which a training of this patience ends (evaluations due -> best so far)."""
    since, before = 0, math.nan
    for due, value in sorted(values.items()):
        if value != before:
            since, before = due, value
        if due - since >= patience:
            return due
    return None


def audit_study(name: str, task: Task, seed: int, trials: int) -> AuditedStudy:
    """Run a study of so many trials to the end of each."""
    spec = task.spec(seed, {**EVERYTHING, "trials": trials})
    watch = Watch(task.spec(seed, {**EVERYTHING, "trials": trials, "pruner": "asha"}))
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/studies.db"
        run_study(spec, Places(url, None, Path(folder) / "runs", report=False), watch)
        results = load_study(spec.name, url).results()
    due, order = audited(spec.metric, results), ranked(spec.metric, results)
    best = [result.number for result in order[: max(1, len(order) // BEST_SHARE)]]
    epochs = {result.number: result.epochs for result in results}
    return AuditedStudy(
        name,
        seed,
        trials=len(results),
        completed=len(order),
        due=len(due),
        saved=sum(one.epochs for one in due) / sum(epochs.values()),
        lived=sum(has_learnt_since(task, one) for one in due),
        spared=len(spared(spec.metric, results)),
        wrong=[f"{one.reprieve.kind} {one.place}" for one in due if one.is_judged and one.is_among_best],
        idle=sorted(watch.given_up),
        idle_saved=sum(epochs[n] - at for n, at in watch.given_up.items()) / sum(epochs.values()),
        idle_wrong=[f"trial {n}, place {place}" for place, n in enumerate(best, 1) if n in watch.given_up],
        past=sorted(watch.past),
        past_saved=sum(epochs[n] - at for n, at in watch.past.items()) / sum(epochs.values()),
        past_wrong=[
            "place {}: {:.4g}, not {:.4g}".format(place, *watch.missed[n])
            for place, n in enumerate(best, 1)
            if n in watch.missed
        ],
    )


def has_learnt_since(task: Task, one: LetRun) -> bool:
    """Whether a trial was best after its stop was due, and better than a model that has learnt nothing, as in
    the search benchmark.
    """
    best = one.result.best
    is_later = best is not None and best.epoch > one.reprieve.epoch
    return is_later and best.metrics[task.metric] < task.trivial - task.little


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
    """The counts of every task and of all, in Markdown: of doomed trials, of non-starters, and of trials past
    their best."""
    studies = list(found)
    by_task = {
        name: [s for s in studies if s.task == name] for name in dict.fromkeys(s.task for s in studies)
    }
    rows = {**by_task, "all": studies}
    doomed = [
        "| task | trials | to their end | stops due | learnt yet | epochs saved | spared | wrong "
        "| of the best quarter |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
        *(_line(name, own) for name, own in rows.items()),
    ]
    idle = [
        "| task | non-starters | epochs saved | wrong | of the best quarter |",
        "|---|--:|--:|--:|--:|",
        *(_counted(name, own, "idle") for name, own in rows.items()),
    ]
    past = [
        "| task | past their best | epochs saved | better later | of the best quarter |",
        "|---|--:|--:|--:|--:|",
        *(_counted(name, own, "past") for name, own in rows.items()),
    ]
    return "\n".join([*doomed, "", *idle, "", *past])


def _line(name: str, studies: list[AuditedStudy]) -> str:
    wrong, best = [text for one in studies for text in one.wrong], sum(one.best for one in studies)
    each = ((s.trials, s.completed, s.due, s.lived) for s in studies)
    counts = [sum(values) for values in zip(*each, strict=True)]
    saved = mean(one.saved for one in studies)
    which = f" ({', '.join(wrong)})" if wrong else ""
    cells = [*counts, f"{saved:.1%}", sum(one.spared for one in studies), f"{len(wrong)}{which}"]
    return f"| {name} | {' | '.join(map(str, cells))} | {len(wrong)} of {best} = {len(wrong) / best:.1%} |"


def _counted(name: str, studies: list[AuditedStudy], what: str) -> str:
    """The line of a task, of what was counted beside it: `idle` or `past`."""
    known = [asdict(one) for one in studies]
    wrong, best = [text for one in known for text in one[f"{what}_wrong"]], sum(one.best for one in studies)
    saved = mean(one[f"{what}_saved"] for one in known)
    which = f" ({'; '.join(wrong)})" if wrong else ""
    cells = [sum(len(one[what]) for one in known), f"{saved:.1%}", f"{len(wrong)}{which}"]
    return f"| {name} | {' | '.join(map(str, cells))} | {len(wrong)} of {best} = {len(wrong) / best:.1%} |"


if __name__ == "__main__":
    main()
