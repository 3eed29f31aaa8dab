"""What samplers make of stopped trials with two objectives: shown as complete ones, or as they are.

    python -m benchmarks.fronts --seeds 8

A made-up problem, nothing is trained: a loss that is the lower, the nearer one comes to a cliff beyond which
trainings diverge, and a size that is to be small. Trials are given up by asha. Medians over the seeds;
`front` is the volume under the Pareto front, larger is better. Seconds are those of all asks.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from unittest.mock import patch

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import Trial, TrialState

from searcher.contest import Contest, FinishedTrial
from searcher.foretold import foretold
from searcher.history import without_values
from searcher.rungs import SuccessiveHalving
from searcher.samplers import SAMPLERS, Reproducible, build_sampler
from searcher.vectors import OBJECTIVES, Vector, to_rows

SPACE: dict[str, BaseDistribution] = {name: FloatDistribution(0, 1) for name in ("rate", "size", "other")}
EVALUATIONS, NOISE, FAR = 9, 0.02, (0.8, 1.1)
"""Evaluations of a trial, the noise of one, and the corner from which the volume is counted."""

COMPARED = {"random": 100, "tpe": 100, "gp": 60, "nsga-ii": 300, "nsga-iii": 300}
"""Samplers and their trials."""


@dataclass(frozen=True)
class Search:
    """One search: trials that diverged, that were given up, the volume under the front, seconds of asking."""

    fell: int
    pruned: int
    front: float
    seconds: float


def at(point: Mapping[str, float]) -> tuple[float, float, bool]:
    """Loss and size of a training to its end, and whether it diverges before."""
    cliff = 0.75 - 0.3 * point["size"]
    beside = (point["other"] - 0.4) ** 2
    loss = 0.1 + 0.5 * (1 - point["size"]) ** 2 + 1.5 * (cliff - point["rate"]) ** 2 + 0.5 * beside
    return loss, 0.05 + point["size"] ** 2 + 0.1 * beside, point["rate"] > cliff


def volume(points: list[tuple[float, float]]) -> float:
    """What the points dominate of the box up to the corner `FAR`."""
    found, edge = 0.0, FAR[1]
    for loss, size in sorted(points):
        if loss < FAR[0] and size < edge:
            found, edge = found + (FAR[0] - loss) * (edge - size), size
    return found


def sampler_of(name: str, seed: int, is_shown: bool) -> Reproducible:
    """A sampler that is shown stopped trials as complete ones, or as what they are."""
    kind = replace(SAMPLERS[name], complete=False, stopped=foretold if is_shown else without_values)
    with patch.dict(SAMPLERS, {name: kind}):
        return build_sampler(name, {}, seed, SPACE, SPACE, several=True)


def searched(name: str, trials: int, seed: int, is_shown: bool) -> Search:
    """A search as a study makes it."""
    rng = np.random.default_rng(seed)
    study = optuna.create_study(directions=["minimize"] * 2, sampler=sampler_of(name, seed, is_shown))
    judge = SuccessiveHalving(Contest("fronts", "minimize", ("minimize",)), 1, 3)
    fell, pruned, seconds, worst, ends = 0, 0, 0.0, FAR[0], []
    for number in range(trials):
        began = time.perf_counter()
        trial = study.ask(fixed_distributions=SPACE)
        seconds += time.perf_counter() - began
        loss, size, falls = at(trial.params)
        reached: dict[int, Vector] = {}
        is_stopped = False
        for due in range(1, EVALUATIONS + 1):
            reached[due] = (loss + 1 / due + NOISE * float(rng.normal()), size)
            worst = max(worst, reached[due][0])
            is_stopped = judge.should_prune(number, reached)
            if is_stopped or falls:
                break
        fell, pruned = fell + falls, pruned + (is_stopped and not falls)
        done = not (is_stopped or falls)
        judge.end(FinishedTrial(number, done, loss, reached, judge.notes(number)))
        ends += [(loss, size)] if done else []
        if falls:
            trial.set_constraint("diverging", 1.0)
            reached[max(reached) + 1] = (worst, size)
        _tell(study, trial, reached, done)
    return Search(fell, pruned, volume(ends), seconds)


def _tell(study: optuna.Study, trial: Trial, reached: Mapping[int, Vector], done: bool) -> None:
    """As the store does."""
    for due, vector in reached.items():
        study._storage.set_trial_intermediate_value(trial._trial_id, due, vector[0])
    trial.set_user_attr(OBJECTIVES, to_rows(reached))
    if done:
        study.tell(trial, list(reached[max(reached)]))
    else:
        study.tell(trial, state=TrialState.PRUNED)


def main() -> None:
    """A row for each sampler, with stopped trials shown and not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fronts", description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--sampler", choices=COMPARED, action="append", help="this one alone")
    given = parser.parse_args()
    seeds = range(given.seeds)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print("| sampler | trials | stopped ones | front | quartiles | diverged | given up | s |")
    print("|---|--:|---|--:|---|--:|--:|--:|")
    for name in given.sampler or COMPARED:
        trials = COMPARED[name]
        for is_shown in (False, True)[: 2 - (name == "random")]:
            runs = [searched(name, trials, seed, is_shown) for seed in seeds]
            low, middle, high = np.percentile([run.front for run in runs], (25, 50, 75))
            fell, pruned, seconds = (
                float(np.median([getattr(run, figure) for run in runs]))
                for figure in ("fell", "pruned", "seconds")
            )
            how = "as complete" if is_shown else "as stopped"
            cells = (name, trials, how, f"{middle:.3f}", f"{low:.3f} to {high:.3f}")
            print(f"| {' | '.join(map(str, cells))} | {fell:g} | {pruned:g} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
