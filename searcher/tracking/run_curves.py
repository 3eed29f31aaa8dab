"""The curves of any MLflow run, whoever logged it, as signals."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from diagnostics import Series, Signals
from diagnostics.curves import completed, signal_of
from diagnostics.signals import COUNTED, FIRST
from searcher.addresses import hide_passwords
from searcher.errors import NotFound
from searcher.lock import sqlite_file
from searcher.records import SIGNALS
from searcher.tracking.mlflow_store import connect, translated

Points = Sequence[tuple[int, int, float]]
"""What MLflow keeps of a metric: step, time in milliseconds, value."""

ENDED = {"FINISHED": "finished", "KILLED": "stopped", "FAILED": "failed"}
"""How a run ended, by its status in MLflow; a run in any other state goes on."""

LOSSES = {"loss", "train_loss", "val_loss"}


@dataclass(frozen=True)
class RunCurves:
    """What a run's record tells: its name, its signals with their facts, and which metric each is.

    `whole`: a trial of searcher or a monitor left all of its signals there.
    """

    name: str
    signals: Signals
    metrics: Mapping[str, str]
    whole: bool = False

    @property
    def unit(self) -> str:
        """What the steps of the signals are: `epoch` where the run was logged by epochs, else `step`."""
        return str(self.signals.facts.get(COUNTED, "step"))


def read_run(uri: str, run_id: str) -> RunCurves:
    """The signals of a run: all of them where its artifacts hold them, else the curves of its metrics.

    Raises: NotFound when there is no such run, it is that of a study, or none of its metrics is a loss;
    TrackingError.
    """
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        raise NotFound(
            f"there is no MLflow record at {hide_passwords(uri)}; name another one with --tracking-uri"
        )
    with _reading(uri, run_id):
        client = connect(uri)
        run = client.get_run(run_id)
        name = run.info.run_name or run_id
        if run.data.tags.get("searcher.kind") == "study":
            raise NotFound(
                f"run {run_id} is that of the study {name!r}, not of one training; its trials are diagnosed "
                f"with: searcher diagnose {name}"
            )
        facts = {"ended": ENDED[run.info.status]} if run.info.status in ENDED else {}
        if any(entry.path == SIGNALS for entry in client.list_artifacts(run_id)):
            with tempfile.TemporaryDirectory() as folder:
                signals = Signals.load(client.download_artifacts(run_id, SIGNALS, folder))
            return RunCurves(name, Signals(signals, {**facts, **signals.facts}), {}, whole=True)
        histories = {
            key: [
                (point.step, point.timestamp, point.value) for point in client.get_metric_history(run_id, key)
            ]
            for key in run.data.metrics
            if signal_of(key) is not None
        }
    metrics = chosen(histories)
    if not LOSSES & metrics.keys():
        logged = ", ".join(sorted(run.data.metrics)) or "none"
        raise NotFound(
            f"run {run_id} has no metric that is a loss, its metrics are: {logged}; "
            "log one as loss (of each step), train_loss or val_loss (of each evaluation)"
        )
    return RunCurves(name, _signals({s: histories[key] for s, key in metrics.items()}, facts), metrics)


def chosen(histories: Mapping[str, Points]) -> dict[str, str]:
    """The metric for each signal: the one of the signal's own name, else the one with most points."""
    found: dict[str, str] = {}
    for key in sorted(histories, key=lambda key: (signal_of(key) != key, -len(histories[key]), key)):
        found.setdefault(str(signal_of(key)), key)
    return found


def _signals(points: Mapping[str, Points], known: Mapping[str, str]) -> Signals:
    """The metrics of a run as signals, with what is known of it and what the metrics tell."""
    curves = {signal: _series(of_one) for signal, of_one in points.items()}
    facts: dict[str, float | int | str] = dict(known)
    if any(signal.endswith("_accuracy") for signal in curves):
        facts["task"] = "classification"
    by_epoch = _is_by_epoch(points)
    if by_epoch:
        facts |= {COUNTED: "epoch", FIRST: int(curves["val_loss"].steps[0] >= 1)}
    return Signals(completed(curves, by_epoch), facts)


def _is_by_epoch(points: Mapping[str, Points]) -> bool:
    """Whether validation was logged at every step, and no loss between: then the steps are epochs."""
    steps = {signal: sorted({step for step, _, _ in of_one}) for signal, of_one in points.items()}
    evaluated = steps.get("val_loss", [])
    if len(evaluated) < 2 or evaluated != list(range(evaluated[0], evaluated[0] + len(evaluated))):
        return False
    return all(len(points[s]) == len(steps[s]) <= len(evaluated) + 1 for s in LOSSES & steps.keys())


def _series(points: Points) -> Series:
    """The points by step; by time where all were logged at one step."""
    several = len({step for step, _, _ in points}) > 1
    ordered = sorted(points) if several else sorted(points, key=lambda point: point[1])
    steps = [step for step, _, _ in ordered] if several else range(len(ordered))
    return Series(np.array(steps), np.array([value for _, _, value in ordered]))


@contextmanager
def _reading(uri: str, run_id: str) -> Iterator[None]:
    """Errors of MLflow in our own words; a run that is not there is told as that."""
    with translated(uri, "read", moreover=""):
        try:
            yield
        except Exception as error:
            if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
                raise
            raise NotFound(
                f"no run {run_id!r} is in the MLflow record at {hide_passwords(uri)}; copy the id from the "
                "run's page, or name another record with --tracking-uri"
            ) from None
