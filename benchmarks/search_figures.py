"""What the searches of the search benchmark come to: figures per task and contestant, and a paired test.

Notation
    best      lowest value up to an epoch of the search; the trivial model's before the first    [epochs]
    floor     lowest value any search of the task has found                                      scalar
    regret    (best - floor) / (trivial - floor): 1 has learnt nothing                           [epochs]
    median    of best over the seeds, at each epoch                                          [epochs]
    target    last value of the best rival's median
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import wilcoxon

from benchmarks.search_runs import Task, Trace

OURS = "ours"
PLACES = 400
"""Places along the budget at which the curves are compared."""


@dataclass(frozen=True)
class Figures:
    """One contestant on one task, over seeds.

    `to_target` are the epochs after which the median search has the best rival's last quality, as a share of
    what that rival needs for it; infinite when it never has.
    """

    name: str
    seeds: int
    trials: float
    regret: tuple[float, float, float]  # at the end: median and quartiles
    area: float  # mean regret over the budget
    to_target: float
    dead: float  # share of the epochs
    regret_in_time: float  # at the end of the time the fastest search of the same seed took


@dataclass(frozen=True)
class Verdict:
    """Ours against the best rival, by pairs of the same seed: who has the lower regret, and how sure."""

    rival: str
    wins: int
    losses: int
    p_last: float
    p_area: float


def best_so_far(trace: Trace, at: np.ndarray, clock: Sequence[float], start: float) -> np.ndarray:
    """The best value at each place of `clock` (epochs or seconds) in `at`."""
    best = np.full(len(at), start)
    for when, value in zip(clock, trace.values, strict=True):
        if math.isfinite(value):
            best[at >= when] = np.minimum(best[at >= when], value)
    return best


def figures_of(task: Task, traces: Sequence[Trace]) -> list[Figures]:
    """The figures of every contestant, in their order."""
    floor = min(v for trace in traces for v in trace.values if math.isfinite(v))
    at = np.linspace(0, task.budget, PLACES + 1)
    names = list(dict.fromkeys(trace.contestant for trace in traces))
    fastest = {
        seed: min(t.seconds_used for t in traces if t.seed == seed) for seed in {t.seed for t in traces}
    }

    def scaled(values: np.ndarray) -> np.ndarray:
        return (values - floor) / (task.trivial - floor)

    curves = {
        name: np.array(
            [scaled(best_so_far(t, at, t.spent, task.trivial)) for t in traces if t.contestant == name]
        )
        for name in names
    }
    rival = best_rival(curves)
    medians = {name: np.median(curve, axis=0) for name, curve in curves.items()}
    target = float(medians[rival][-1])
    needed = {name: _first(at, median, target) for name, median in medians.items()}

    def one(name: str) -> Figures:
        own = [trace for trace in traces if trace.contestant == name]
        low, median, high = np.quantile(curves[name][:, -1], [0.25, 0.5, 0.75])
        in_time = [
            scaled(best_so_far(t, np.array([fastest[t.seed]]), t.seconds, task.trivial))[0] for t in own
        ]
        return Figures(
            name=name,
            seeds=len(own),
            trials=float(np.mean([len(t.epochs_of) for t in own])),
            regret=(float(median), float(low), float(high)),
            area=float(np.mean(curves[name])),
            to_target=needed[name] / needed[rival],
            dead=float(np.mean([dead_share(task, t) for t in own])),
            regret_in_time=float(np.median(in_time)),
        )

    return [one(name) for name in names]


def best_rival(curves: Mapping[str, np.ndarray]) -> str:
    """The contestant beside ours whose median last regret is lowest."""
    rivals = {name: float(np.median(curve[:, -1])) for name, curve in curves.items() if not is_ours(name)}
    return min(rivals, key=rivals.__getitem__)


def is_ours(name: str) -> bool:
    """Whether it is our search, or a variant of it."""
    return name == OURS or name.startswith(f"{OURS}:")


def dead_share(task: Task, trace: Trace) -> float:
    """Share of the epochs that went to trials which never became better than the trivial model."""
    best: dict[int, float] = {}
    for number, value in zip(trace.trials, trace.values, strict=True):
        if math.isfinite(value):
            best[number] = min(value, best.get(number, math.inf))
    lived = {number for number, value in best.items() if value < task.trivial - task.little}
    dead = sum(epochs for number, epochs in enumerate(trace.epochs_of) if number not in lived)
    return dead / sum(trace.epochs_of)


def compare(task: Task, traces: Sequence[Trace], rival: str, ours: str = OURS) -> Verdict:
    """Ours against a rival over the seeds both have."""
    at = np.linspace(0, task.budget, PLACES + 1)
    by = {(t.contestant, t.seed): best_so_far(t, at, t.spent, task.trivial) for t in traces}
    seeds = sorted({t.seed for t in traces if (ours, t.seed) in by and (rival, t.seed) in by})
    last = np.array([by[ours, seed][-1] - by[rival, seed][-1] for seed in seeds])
    area = np.array([np.mean(by[ours, seed] - by[rival, seed]) for seed in seeds])
    return Verdict(rival, int(np.sum(last < 0)), int(np.sum(last > 0)), paired_p(last), paired_p(area))


def paired_p(differences: np.ndarray) -> float:
    """How sure paired differences are: two-sided Wilcoxon signed-rank test."""
    if not np.any(differences):
        return 1.0
    return float(wilcoxon(differences).pvalue)


def _first(at: np.ndarray, curve: np.ndarray, target: float) -> float:
    reached = np.flatnonzero(curve <= target)
    return float(at[reached[0]]) if len(reached) else math.inf
