"""Whether the study file a report ends with is a better search: its median trial against that of the study it
came from, on real trainings. Some three minutes on one core:

    python -m benchmarks.next_study
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import numpy as np
import optuna

from searcher.catalog import find_study
from searcher.checks import read_checked
from searcher.report.numbers.build import build
from searcher.report.numbers.failures import FAILURES
from searcher.report.numbers.objective import objectives
from searcher.spec import Changes, StudySpec
from searcher.study import Places, run_study
from searcher.trial import TrialResult


@dataclass(frozen=True)
class Case:
    """A study that comes along, made small: its sampler, its trials, and settings that differ."""

    study: str
    sampler: str
    trials: int
    settings: Mapping[str, Any]


CASES = (
    Case("digits-mlp", "tpe", 40, {"epochs": 4, "width": 32}),
    Case("digits-mlp", "random", 40, {"epochs": 4, "width": 32, "optimizer": "sgd", "momentum": 0.9}),
    Case("diabetes-mlp", "random", 40, {"epochs": 8}),
)
"""Trainings of half a second each."""


@dataclass(frozen=True)
class Measured:
    """A study and the one that followed: median value and share of failures of each; what was changed."""

    name: str
    metric: str
    medians: tuple[float, float]
    failed: tuple[float, float]
    changes: tuple[str, ...]
    is_better: bool


def measure(case: Case, seed: int, folder: Path) -> Measured:
    """Run a study, the study its report ends with, and compare them."""
    changes: Changes = {
        "train": case.settings,
        "search": {"sampler": case.sampler, "pruner": "none", "seed": seed, "trials": case.trials},
        "dispatch": {"launcher": "inprocess"},
    }
    first = read_checked(find_study(case.study), changes)
    results = _run(first, folder)
    report = build(first, results, folder / "runs" / first.name)
    file = folder / "next.toml"
    file.write_text(report.next.study_file, encoding="utf-8")
    second = read_checked(file, {})
    after = _run(second, folder)
    medians = (_median(first, results), _median(second, after))
    better = medians[1] > medians[0] if first.metric.goal == "maximize" else medians[1] < medians[0]
    said = tuple(f"{c.setting}: {c.before} -> {c.after} ({c.reason})" for c in report.next.changes)
    name = f"{case.study}, {case.sampler}"
    return Measured(name, first.metric.name, medians, (_failed(results), _failed(after)), said, better)


def _run(spec: StudySpec, folder: Path) -> list[TrialResult]:
    places = Places(f"sqlite:///{folder / 'studies.db'}", None, folder / "runs", report=False)
    return run_study(spec, places, lambda _event: None)


def _median(spec: StudySpec, results: list[TrialResult]) -> float:
    return float(np.median(objectives(spec, results)))


def _failed(results: list[TrialResult]) -> float:
    return float(np.mean([result.outcome in FAILURES for result in results]))


def main() -> None:
    """Run and show."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.next_study", description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", type=int, choices=range(len(CASES)), help="this one alone")
    given = parser.parse_args()
    cases = CASES if given.case is None else [CASES[given.case]]
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    better = 0
    for case in cases:
        with tempfile.TemporaryDirectory() as folder:
            found = measure(case, given.seed, Path(folder))
        better += found.is_better
        (before, after), (failed, failed_after) = found.medians, found.failed
        print(
            f"{found.name}: median {found.metric} {before:.4g} -> {after:.4g}, failed {failed:.0%} -> "
            f"{failed_after:.0%}: {'better' if found.is_better else 'NOT better'}",
            flush=True,
        )
        for change in found.changes:
            print(f"    {change}")
    print(f"the median trial of the next study is better in {better} of {len(cases)} studies")


if __name__ == "__main__":
    main()
