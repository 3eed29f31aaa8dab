"""Tables of trainings of the search benchmark's tasks, each run to its end, with where the diagnosis ends it.

Drawn at random from the task's space. In the form of docs/tables.md: a row an evaluation, at most `ROWS` of a
training, the metric to four digits, settings to three. Beside the metric stands a column for each cause that
a training was doomed of: in its first row, the epoch at which a search would have ended it.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import TrialState

from benchmarks.search_runs import TASKS, Task
from diagnostics.findings import first_fatal
from searcher.policy import stop_reason
from searcher.settings import settings_of
from searcher.space import suggest
from searcher.spec import Choices, StudySpec
from searcher.trial import TrialCourse
from trainers.config import config_from
from trainers.loop import train
from trainers.tabulated import EPOCH, Configuration, read_table

FOLDER = Path(__file__).with_name("tables")

TRAININGS: Mapping[str, int] = {"digits-mlp": 250, "fashion-cnn": 120, "adult-mlp": 150, "diabetes-mlp": 200}
"""How many trainings the tables that come along have."""

SEED = 1000
"""Of the points."""

ROWS = 9
"""Rows of a training, at most: of longer ones, every second or third evaluation."""


@dataclass(frozen=True)
class Recorded:
    """A training to its end: its point, the metric by epoch (NaN where it was not finite), and when and of
    what it was doomed; None when it was not."""

    params: Mapping[str, Any]
    values: tuple[tuple[float, float], ...]
    doomed: tuple[float, str] | None = None


def file_of(task: str, folder: Path = FOLDER) -> Path:
    """Where the table of a task lies."""
    return folder / f"{task}.csv"


def make(name: str, trainings: int, folder: Path = FOLDER) -> Path:
    """Train so many random points of a task to their end; the file their table is written to."""
    task, file = TASKS[name], file_of(name, folder)
    spec = task.spec(0, {})
    write(file, spec, metric_rows(task), [recorded(spec, point) for point in points(spec, trainings)])
    return file


def metric_rows(task: Task) -> int:
    """Every how many evaluations there is a row."""
    return math.ceil(task.train["epochs"] / ROWS)


def points(spec: StudySpec, number: int) -> Iterator[dict[str, Any]]:
    """So many random points of a study."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=SEED))
    for _ in range(number):
        trial = study.ask()
        yield dict(suggest(trial, spec).sampled)
        study.tell(trial, state=TrialState.FAIL)


def recorded(spec: StudySpec, params: Mapping[str, Any]) -> Recorded:
    """Train a point to its end, with the diagnosis on."""
    course, values, doomed = TrialCourse(spec.metric), [], None
    study = optuna.create_study()
    study.enqueue_trial(dict(params))
    settings = settings_of(spec, suggest(study.ask(), spec))
    for progress in train(config_from(settings)):
        findings = course.add(progress)
        if doomed is None and stop_reason(findings) and (fatal := first_fatal(findings)) is not None:
            doomed = (progress.epoch, fatal.kind)
        if progress.metrics:
            values.append((progress.epoch, float(progress.metrics[spec.metric.name])))
    return Recorded(params, tuple(values), doomed)


def write(file: Path, spec: StudySpec, every: int, trainings: Sequence[Recorded]) -> None:
    """Write a table, with every so many evaluations of each training."""
    causes = sorted({one.doomed[1] for one in trainings if one.doomed is not None})
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = csv.writer(out, lineterminator="\n")
        rows.writerow([*spec.space, EPOCH, spec.metric.name, *causes])
        for one in trainings:
            settings = [_cell(one.params.get(name), 3) for name in spec.space]
            doomed = {} if one.doomed is None else {one.doomed[1]: _cell(one.doomed[0], 3)}
            for epoch, value in one.values[every - 1 :: every]:
                cells = [doomed.get(cause, "") for cause in causes]
                rows.writerow([*settings, _cell(epoch, 3), _cell(value, 4), *cells])
                doomed = {}


def _cell(value: Any, digits: int) -> str:
    if value is None:
        return ""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def read(name: str, folder: Path = FOLDER) -> list[Recorded]:
    """The trainings of a task's table. Raises: DataError when it is not there or cannot be read."""
    task = TASKS[name]
    spec = task.spec(0, {})
    return [_as_recorded(spec, one) for one in read_table(file_of(name, folder)).configurations]


def _as_recorded(spec: StudySpec, one: Configuration) -> Recorded:
    params = {name: _value(spec, name, cell) for name, cell in one.settings.items() if cell}
    first = one.rows[0][1]
    doomed = next(((epoch, cause) for cause, epoch in first.items() if cause != spec.metric.name), None)
    values = tuple((epoch, measured[spec.metric.name]) for epoch, measured in one.rows)
    return Recorded(params, values, doomed)


def _value(spec: StudySpec, name: str, cell: str) -> Any:
    setting = spec.space[name]
    if isinstance(setting, Choices):
        return next(choice for choice in setting.choices if str(choice) == cell)
    return min(max(float(cell), setting.low), setting.high)
