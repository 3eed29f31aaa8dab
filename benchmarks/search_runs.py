"""One search of the search benchmark: ours by `run_study`, a rival by Optuna's own `study.optimize`.

Both see the same trainings: the same space, data, seeds and evaluations, one trial at a time. What is noted
of either is the same: each evaluation, when it came and how many epochs the search had used by then.

Notation
    spent    epochs that the search has used, parts of epochs of stopped trials among them
    seconds  processor time of the search, which is one process with one thread: the wall clock of a machine
             with nothing else to do, without waits for the disk
    value    the study's metric at an evaluation, NaN where it was not finite
"""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is loaded

import optuna
from optuna import pruners

from diagnostics import Signals
from searcher.catalog import find_study
from searcher.checks import read_checked
from searcher.events import Event, TrialProgressed
from searcher.settings import settings_of
from searcher.space import suggest
from searcher.spec import StudySpec
from searcher.study import Places, run_study
from trainers.config import config_from
from trainers.loop import Training

Changes = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Task:
    """Real trainings to search: a study that comes along, made small and wide; `budget` is in epochs.

    `trivial` is what the metric of a model is that has learnt nothing, `little` what it must do better
    to have learnt something at all: a trial that ends without is dead.
    """

    study: str
    metric: str
    budget: int
    trivial: float
    little: float
    train: Mapping[str, Any]
    space: Mapping[str, Any]

    def spec(self, seed: int, search: Mapping[str, Any]) -> StudySpec:
        """The study, for one seed of the search."""
        changes: Changes = {
            "train": dict(self.train),
            "metric": {"name": self.metric, "goal": "minimize"},
            "space": dict(self.space),
            "search": {"pruner": "asha", "trials": PLENTY, "seed": seed, **search},
            "dispatch": {"launcher": "inprocess", "state_seconds": 1e9},
        }
        return read_checked(find_study(self.study), changes)


PLENTY = 250
"""Trials of our searches, which end by their epochs before: a budget for which `auto` still takes `gp`."""

WIDE = {
    "learning_rate": {"low": 1e-5, "high": 10.0, "log": True},
    "init": ["kaiming_normal", "xavier_uniform", "orthogonal", "normal"],
    "init_std": {"low": 1e-4, "high": 3.0, "log": True, "when": {"init": "normal"}},
}
"""Ranges with cliffs: rates that diverge, initialisations that do not train."""


def _small(study: str, metric: str, budget: int, trivial: float, little: float, **settings: Any) -> Task:
    """A study that comes along with these settings, wide, on a CPU, evaluated once an epoch."""
    train = {"evaluations_per_epoch": 1, "device": "cpu", **settings}
    return Task(study, metric, budget, trivial, little, train, WIDE)


TASKS: Mapping[str, Task] = {
    "digits-mlp": _small("digits-mlp", "val_loss", 270, 2.303, 0.1, epochs=9),
    "fashion-cnn": _small("fashion-cnn", "val_loss", 160, 2.303, 0.1, epochs=8, max_samples=2000, channels=8),
    "adult-mlp": _small("adult-mlp", "val_loss", 270, 0.552, 0.02, epochs=9, max_samples=3000),
    "diabetes-mlp": _small("diabetes-mlp", "val_rmse", 810, 77.0, 4.0, epochs=27),
}


@dataclass
class Trace:
    """One search as it went; lists of equal length, an entry per evaluation, `dead` an entry per trial."""

    task: str
    contestant: str
    seed: int
    spent: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    trials: list[int] = field(default_factory=list)
    epochs_of: list[float] = field(default_factory=list)  # of each trial
    seconds_used: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As it is kept in a file."""
        return asdict(self)


class Enough(Exception):
    """The budget is used."""


class Meter:
    """Counts the epochs of a search, and notes what it finds."""

    def __init__(self, trace: Trace, budget: float) -> None:
        self._trace, self._budget = trace, budget
        self._began = time.process_time()
        self._before, self._now = 0.0, 0.0

    def begin(self) -> None:
        """Another trial."""
        self._before += self._now
        self._now = 0.0
        self._trace.epochs_of.append(0.0)

    def note(self, epoch: float, value: float | None) -> None:
        """The trial has come so far. Raises: Enough once the budget is used."""
        self._now = epoch
        trace = self._trace
        trace.epochs_of[-1] = epoch
        trace.seconds_used = time.process_time() - self._began
        if value is not None:
            trace.spent.append(self._before + epoch)
            trace.seconds.append(trace.seconds_used)
            trace.values.append(value)
            trace.trials.append(len(trace.epochs_of) - 1)
        if self._before + epoch >= self._budget:
            raise Enough


def run_ours(task: Task, trace: Trace, search: Mapping[str, Any]) -> None:
    """Our search, as a person would start it, without the record in MLflow."""
    spec = task.spec(trace.seed, search)
    meter = Meter(trace, task.budget)
    running: list[int] = []

    def view(event: Event) -> None:
        if not isinstance(event, TrialProgressed):
            return
        if event.number not in running:
            running.append(event.number)
            meter.begin()
        values = event.course.signals.get(spec.metric.name) if event.evaluated else None
        meter.note(event.course.epoch, None if values is None else float(values.values[-1]))

    with tempfile.TemporaryDirectory() as folder:
        places = Places(f"sqlite:///{folder}/studies.db", None, Path(folder) / "runs", report=False)
        with contextlib.suppress(Enough):
            run_study(spec, places, view)


RIVALS: Mapping[str, Callable[[], pruners.BasePruner]] = {
    "tpe": pruners.NopPruner,
    "tpe-median": pruners.MedianPruner,
    "tpe-halving": pruners.SuccessiveHalvingPruner,
    "tpe-hyperband": pruners.HyperbandPruner,
}
"""Optuna's TPE with each of its pruners, all with their defaults."""


def run_rival(task: Task, trace: Trace, pruner: pruners.BasePruner) -> None:
    """Optuna's search: report each evaluation, ask the pruner, return the last value of the training."""
    spec = task.spec(trace.seed, {})
    meter = Meter(trace, task.budget)

    def objective(trial: optuna.Trial) -> float:
        settings = settings_of(spec, suggest(trial, spec))
        meter.begin()
        best = math.nan
        for epoch, value in _bare_training(settings, spec.metric.name):
            meter.note(epoch, value)
            if math.isnan(best) or spec.metric.is_better(value, best):
                best = value
            trial.report(value, int(epoch))
            if trial.should_prune():
                raise optuna.TrialPruned
        return best

    direction = spec.metric.goal
    with tempfile.TemporaryDirectory() as folder:
        study = optuna.create_study(
            storage=f"sqlite:///{folder}/studies.db",
            sampler=optuna.samplers.TPESampler(seed=trace.seed),
            pruner=pruner,
            direction=direction,
        )
        with contextlib.suppress(Enough):
            study.optimize(objective, n_trials=10_000)


def _bare_training(settings: Mapping[str, Any], metric: str) -> Iterator[tuple[float, float]]:
    """The same training without the diagnostics: epochs done and the metric, at each evaluation."""
    training = _Unwatched(config_from(settings))
    for message in training.messages():
        if message.metrics:
            yield message.epoch, message.metrics[metric]


class _Unwatched(Training):
    """A training nobody measures."""

    def _watched(self, facts: Any) -> Any:
        return _Blind()


class _Blind:
    """Sees nothing."""

    needs_hooks = False

    def step(self, *_: object, **__: object) -> None: ...

    def begin(self, *_: object) -> None: ...

    def evaluate(self, **_: object) -> None: ...

    def take(self) -> Signals:
        return Signals()
