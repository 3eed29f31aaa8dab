"""What our control of a study costs per trial, over Optuna alone with the same work.

Both sides sample the same settings with the same sampler, report the same number of values, ask the same
pruner after each, and write to SQLite with the same pragmas. The objective rises from trial to trial, so
that the pruner does all its work but never prunes: every trial is equally long.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import optuna
import sqlalchemy
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from benchmarks.rows import Result, Row, row, to_text
from searcher.events import Event, StudyOpened, TrialEnded
from searcher.spec import StudySpec, parse_spec
from searcher.study import Places, run_study
from trainers.progress import Progress

TARGET = 1.3
EVALUATIONS = 10
BLOCK = 5
"""Trials that one side runs before it is the other's turn."""

SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "batch_size": [16, 32, 64, 128],
    "dropout": {"low": 0.0, "high": 0.6},
    "init": ["kaiming_normal", "xavier_uniform", "orthogonal", "normal"],
    "norm": ["none", "batch", "layer"],
    "activation": ["relu", "leaky_relu", "elu", "silu", "tanh", "sigmoid"],
}
"""The six settings of the study `digits-mlp`."""

SAMPLERS: Mapping[str, type[RandomSampler] | type[TPESampler]] = {"random": RandomSampler, "tpe": TPESampler}

_turns = itertools.count()


def measure(history: tuple[int, ...] = (1000,)) -> Result:
    """New studies of 100 trials, and trials on top of a `history` of so many random ones."""
    rows: list[Row] = []
    for sampler in SAMPLERS:
        ours, bare = _study([(sampler, 100)])
        rows.append(_per_trial(f"{sampler}, trials 1 to 100", ours, bare))
    for length in history:
        ours, bare = _study([("random", length), ("tpe", length + 50)])
        late = length // BLOCK
        rows += [
            _per_trial(
                f"random, trials {length - 99} to {length}", ours[late - 20 : late], bare[late - 20 : late]
            ),
            _per_trial(f"tpe, trials {length + 1} to {length + 50}", ours[late:], bare[late:]),
        ]
    about = (
        "A study with a trainer that does nothing, in this process and without MLflow, over `study.optimize` "
        f"on the same storage kind: {len(SPACE)} settings, {EVALUATIONS} reports and pruner decisions "
        f"(successive halving) in each trial. Times are of one trial, measured in blocks of {BLOCK} by turns."
    )
    return Result("Control: a study over bare Optuna", about, rows)


def do_nothing(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A trainer whose numbers cost nothing and never fall behind."""
    turn = next(_turns)
    for epoch in range(1, EVALUATIONS + 1):
        accuracy = turn + epoch / 100
        metrics = {"train_loss": 1 / epoch, "val_loss": 1.1 / epoch, "val_accuracy": accuracy}
        yield Progress(epoch * 20, epoch, EVALUATIONS, metrics)


class Bare:
    """Optuna alone, as a person writes it."""

    def __init__(self, url: str) -> None:
        self._storage = optuna.storages.RDBStorage(url, engine_kwargs={"connect_args": {"timeout": 30}})
        sqlalchemy.event.listen(self._storage.engine, "connect", _tune)
        self._storage.engine.dispose()
        self._pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1)

    def study(self, sampler: BaseSampler) -> optuna.Study:
        """The only study, created or gone on with."""
        return optuna.create_study(
            storage=self._storage,
            study_name="bare",
            direction="maximize",
            sampler=sampler,
            pruner=self._pruner,
            load_if_exists=True,
        )


def objective(trial: optuna.Trial) -> float:
    """The same work as our study gives one trial."""
    trial.suggest_float("learning_rate", 1e-4, 1.0, log=True)
    trial.suggest_categorical("batch_size", [16, 32, 64, 128])
    trial.suggest_float("dropout", 0.0, 0.6)
    trial.suggest_categorical("init", SPACE["init"])
    trial.suggest_categorical("norm", SPACE["norm"])
    trial.suggest_categorical("activation", SPACE["activation"])
    accuracy = 0.0
    for epoch in range(1, EVALUATIONS + 1):
        accuracy = trial.number + epoch / 100
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


class _Turns:
    """A view of our study that lets Optuna have its turn after every block of trials."""

    def __init__(self, study: optuna.Study) -> None:
        self.ours: list[float] = []
        self.bare: list[float] = []
        self._study = study
        self._trials = 0
        self._began = 0.0

    def __call__(self, event: Event) -> None:
        """Stop our clock when a block is full; start it again when Optuna has had its turn."""
        if isinstance(event, StudyOpened):
            self._began = time.perf_counter()
        elif isinstance(event, TrialEnded):
            self._trials += 1
            if self._trials % BLOCK == 0:
                middle = time.perf_counter()
                self._study.optimize(objective, n_trials=BLOCK)
                end = time.perf_counter()
                self.ours.append((middle - self._began) / BLOCK)
                self.bare.append((end - middle) / BLOCK)
                self._began = time.perf_counter()


def _study(parts: list[tuple[str, int]]) -> tuple[list[float], list[float]]:
    """Seconds per trial, block by block, of a study whose parts are (sampler, trials so far)."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    ours: list[float] = []
    bare: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        places = Places(f"sqlite:///{folder / 'ours.db'}", None, folder / "runs", report=False)
        optuna_alone = Bare(f"sqlite:///{folder / 'bare.db'}")
        for sampler, trials in parts:
            turns = _Turns(optuna_alone.study(SAMPLERS[sampler](seed=0)))
            results = run_study(_spec(sampler, trials), places, turns)
            assert len(results) == trials, f"{len(results)} trials instead of {trials}"
            assert all(len(result.values) == EVALUATIONS for result in results), "a trial was cut short"
            ours, bare = ours + turns.ours, bare + turns.bare
    return ours, bare


def _spec(sampler: str, trials: int) -> StudySpec:
    raw = {
        "name": "nothing",
        "train": {"trainer": "benchmarks.control:do_nothing"},
        "metric": {"name": "val_accuracy", "goal": "maximize"},
        "space": SPACE,
        "search": {"sampler": sampler, "pruner": "asha", "trials": trials},
        "dispatch": {"launcher": "inprocess"},
    }
    return parse_spec(raw, "benchmark")


def _per_trial(name: str, ours: list[float], bare: list[float]) -> Row:
    return row(name, ours, bare, TARGET)


def _tune(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--history", type=int, action="append", help="trials before those measured; repeatable"
    )
    print(to_text(measure(tuple(parser.parse_args().history or ()))))
