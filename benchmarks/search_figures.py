"""What the searches of the search benchmark come to: figures per task and contestant, and a paired test.

Notation
    best      lowest value up to an epoch of the search; the trivial model's before the first    [epochs]
    floor     lowest value any search of the task has found                                      scalar
    regret    (best - floor) / (trivial - floor): 1 has learnt nothing                           [epochs]
    median    of best over the seeds, at each epoch                                          [epochs]
    target    last value of the best rival's median
    curves    of each contestant: regret                                                     [seeds, epochs]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from benchmarks.search_runs import Task, Trace

OURS, HALVING = "ours", "tpe-halving"
PLACES = 400
"""Places along the budget at which the curves are compared."""

DRAWS = 1000
"""Sets of seeds that are drawn from all, with some of them several times, to see what a figure owes to them
(Efron, Bootstrap Methods: Another Look at the Jackknife, Annals of Statistics 7, 1979)."""

Curves = Mapping[str, NDArray[np.float64]]


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


@dataclass(frozen=True)
class Aim:
    """A figure with a target, which is to be at `most` so much. In four fifths of the drawn sets of seeds it
    lies between `low` and `high`.
    """

    what: str
    value: float
    low: float
    high: float
    most: float


def best_so_far(trace: Trace, at: np.ndarray, clock: Sequence[float], start: float) -> np.ndarray:
    """The best value at each place of `clock` (epochs or seconds) in `at`."""
    best = np.full(len(at), start)
    for when, value in zip(clock, trace.values, strict=True):
        if math.isfinite(value):
            best[at >= when] = np.minimum(best[at >= when], value)
    return best


def figures_of(task: Task, traces: Sequence[Trace]) -> list[Figures]:
    """The figures of every contestant, in their order."""
    scaled = _regret(task, traces)
    curves = _curves(task, traces)
    needed = _needed(curves)
    fastest = {
        seed: min(t.seconds_used for t in traces if t.seed == seed) for seed in {t.seed for t in traces}
    }

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
            to_target=needed[name],
            dead=float(np.mean([dead_share(task, t) for t in own])),
            regret_in_time=float(np.median(in_time)),
        )

    return [one(name) for name in curves]


def aims_of(task: Task, traces: Sequence[Trace], ours: str = OURS) -> list[Aim]:
    """What ours aims at, as the seeds have it that were searched by all; nothing where there are none."""
    names = [name for name in _names(traces) if name == ours or not is_ours(name)]
    seeds = [{t.seed for t in traces if t.contestant == name} for name in names]
    common = sorted(set.intersection(*seeds))
    if not common:
        return []
    shared = sorted((t for t in traces if t.contestant in names and t.seed in common), key=lambda t: t.seed)
    curves = _curves(task, shared)
    drawn = np.random.default_rng(0).integers(len(common), size=(DRAWS, len(common)))

    def aim(what: str, most: float, figure: Callable[[NDArray[np.int64]], float]) -> Aim:
        low, high = np.quantile([figure(places) for places in drawn], [0.1, 0.9], method="nearest")
        return Aim(what, figure(np.arange(len(common))), float(low), float(high), most)

    def epochs(places: NDArray[np.int64]) -> float:
        return _needed({name: curve[places] for name, curve in curves.items()})[ours]

    aims = [aim("epochs to the best rival's last quality", 0.5, epochs)]
    if HALVING not in names:
        return aims
    own, rivals = (
        np.array([dead_share(task, trace) for trace in shared if trace.contestant == name])
        for name in (ours, HALVING)
    )

    def dead(places: NDArray[np.int64]) -> float:
        less, more = float(own[places].sum()), float(rivals[places].sum())
        return less / more if more else math.inf if less else 0.0

    return [*aims, aim(f"dead epochs over those of {HALVING}", 0.25, dead)]


def _names(traces: Sequence[Trace]) -> list[str]:
    return list(dict.fromkeys(trace.contestant for trace in traces))


def _regret(task: Task, traces: Sequence[Trace]) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Regret of best values, beside the lowest one that any of these searches found."""
    floor = min(v for trace in traces for v in trace.values if math.isfinite(v))
    return lambda best: (best - floor) / (task.trivial - floor)


def _places(task: Task) -> NDArray[np.float64]:
    return np.linspace(0, task.budget, PLACES + 1)


def _curves(task: Task, traces: Sequence[Trace]) -> Curves:
    """The curves of each contestant."""
    at, scaled = _places(task), _regret(task, traces)
    return {
        name: np.array(
            [scaled(best_so_far(t, at, t.spent, task.trivial)) for t in traces if t.contestant == name]
        )
        for name in _names(traces)
    }


def _needed(curves: Curves) -> dict[str, float]:
    """The way that the median search of each goes until it has the best rival's last quality, as a share of
    what that one needs; infinite when it never has."""
    rival = best_rival(curves)
    medians = {name: np.median(curve, axis=0) for name, curve in curves.items()}
    target = float(medians[rival][-1])
    needed = {name: _first(median, target) for name, median in medians.items()}
    if not needed[rival]:  # the best rival has learnt nothing: all are there from the start
        return dict.fromkeys(needed, 1.0)
    return {name: epochs / needed[rival] for name, epochs in needed.items()}


def best_rival(curves: Curves) -> str:
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
    at = _places(task)
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


def _first(curve: NDArray[np.float64], target: float) -> float:
    """The first place of a curve that is as low, as a share of all places."""
    reached = np.flatnonzero(curve <= target)
    return float(reached[0]) / PLACES if len(reached) else math.inf
