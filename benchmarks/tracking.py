"""What the record of a trial costs in MLflow, over one `log_batch` of the same points.

The record of a trial is more than its points: a run with its settings, tags, note and files. So this also
says what each of MLflow's calls takes.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rows import Result, Row, Share, row, to_text
from diagnostics import Signals
from searcher.records import write_files
from searcher.settings import settings_of
from searcher.space import Point
from searcher.spec import Metric, StudySpec, parse_spec
from searcher.tracking import MlflowTracker, Started, connect
from searcher.trial import Outcome, TrialCourse, TrialResult
from trainers.progress import Progress

TARGET = 1.5
SHAPES = ((10, 4), (40, 6), (100, 6))
"""Evaluations of a trial, and metrics of an evaluation."""

CALLS = (
    "create_run",
    "log_batch",
    "log_inputs",
    "log_artifact",
    "log_artifacts",
    "set_terminated",
    "set_tag",
    "update_run",
)
START_SECONDS = 180

Curve = list[tuple[int, dict[str, float]]]
"""Step and metrics of every evaluation."""


class Clock:
    """Seconds and calls of the client's methods, repeat by repeat."""

    def __init__(self) -> None:
        self.repeats: list[Counter[str]] = []
        self.calls: Counter[str] = Counter()

    @contextlib.contextmanager
    def on(self) -> Iterator[None]:
        """Time `CALLS` of every client for one repeat."""
        from mlflow import MlflowClient

        self.repeats.append(Counter())
        before = {name: getattr(MlflowClient, name) for name in CALLS}
        for name, call in before.items():
            setattr(MlflowClient, name, self._timed(name, call))
        try:
            yield
        finally:
            for name, call in before.items():
                setattr(MlflowClient, name, call)

    def shares(self, whole: Sequence[float]) -> list[Share]:
        """What each call takes in a repeat, longest first, and what is left of the `whole`; medians."""
        count = len(self.repeats)
        found = [
            Share(name, median(repeat[name] for repeat in self.repeats), calls / count)
            for name, calls in self.calls.items()
        ]
        left = [all_of_it - repeat.total() for all_of_it, repeat in zip(whole, self.repeats, strict=True)]
        return [
            *sorted(found, key=lambda share: -share.seconds),
            Share("the tracker itself", median(left), 1),
        ]

    def _timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def timed(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return call(*args, **options)
            finally:
                self.repeats[-1][name] += time.perf_counter() - began
                self.calls[name] += 1

        return timed


def measure(over_http: bool = False, repeats: int = 30) -> Result:
    """Trials and single batches by turns, on SQLite or through a server of MLflow on SQLite."""
    rows: list[Row] = []
    shares: list[Share] = []
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        stack.enter_context(contextlib.chdir(folder))
        uri = stack.enter_context(_server(folder)) if over_http else f"sqlite:///{folder / 'mlflow.db'}"
        for evaluations, metrics in SHAPES:
            found, parts = _measure(uri, folder / f"runs-{evaluations}", evaluations, metrics, repeats)
            rows += found
            shares = shares or parts
    about = (
        "Everything the tracker writes for one trial (start, one call for each evaluation, end with "
        "settings, tags, note, data and two files) over one `MlflowClient.log_batch` of the same points, and "
        "over the plainest run with the same points and settings (`create_run`, one `log_batch`, "
        "`set_terminated`); by turns" + (", over HTTP to `mlflow server`." if over_http else ", in SQLite.")
    )
    return Result(
        f"Tracking: a trial's record {'over HTTP' if over_http else 'in SQLite'}", about, rows, shares
    )


def _measure(
    uri: str, runs: Path, evaluations: int, metrics: int, repeats: int
) -> tuple[list[Row], list[Share]]:
    spec = _spec(f"tracking-{evaluations}-{metrics}")
    tracker, client, clock = MlflowTracker(spec, uri, runs), connect(uri), Clock()
    tracker.open([])
    experiment = client.create_experiment(f"bare-{evaluations}-{metrics}")
    ours: list[float] = []
    batch: list[float] = []
    record: list[float] = []
    for number in range(repeats + 2):  # the first two warm up
        result, curve = _trial(spec, number, evaluations, metrics)
        write_files(runs, result)
        run_id = client.create_run(experiment).info.run_id
        times = [time.perf_counter()]
        client.log_batch(run_id, _points(curve))
        times.append(time.perf_counter())
        _write_plainly(client, experiment, result, curve)
        times.append(time.perf_counter())
        with clock.on() if number > 1 else contextlib.nullcontext():
            tracker.start(Started(number, result.settings, {n: result.settings[n] for n in result.sampled}))
            for step, values in curve:
                tracker.evaluate(number, step, values)
            tracker.end(result)
        times.append(time.perf_counter())
        if number > 1:
            for kind, begin, end in zip((batch, record, ours), times, times[1:], strict=False):
                kind.append(end - begin)
    name = f"{evaluations} evaluations of {metrics} metrics"
    rows = [row(name, ours, batch, TARGET), row(f"{name}, over a plain run", ours, record)]
    return rows, clock.shares(ours)


def _points(curve: Curve) -> list[Any]:
    from mlflow.entities import Metric as Point_

    now = int(time.time() * 1000)
    return [Point_(name, value, now, step) for step, values in curve for name, value in values.items()]


def _write_plainly(client: Any, experiment: str, result: TrialResult, curve: Curve) -> None:
    """The least that any record of a run takes: made, one batch with its settings, ended."""
    from mlflow.entities import Param

    run_id = client.create_run(experiment).info.run_id
    params = [Param(name, str(value)) for name, value in result.settings.items()]
    client.log_batch(run_id, _points(curve), params)
    client.set_terminated(run_id)


def _trial(spec: StudySpec, number: int, evaluations: int, metrics: int) -> tuple[TrialResult, Curve]:
    """A finished trial with random curves, and its evaluations."""
    names = ["val_loss", "train_loss", "val_accuracy", "train_accuracy", "val_extra", "train_extra"][:metrics]
    curve = [(20 * n, {name: random.random() for name in names}) for n in range(1, evaluations + 1)]
    course = TrialCourse(Metric())
    for epoch, (step, values) in enumerate(curve, 1):
        steps = range(step - 20, step)
        signals = Signals.of({"loss": (steps, [random.random() for _ in steps])})
        course.add(Progress(step, epoch, evaluations, values, signals))
    point = Point({"learning_rate": random.uniform(1e-4, 1.0), "norm": "batch"}, ())
    result = TrialResult(
        number,
        settings_of(spec, point),
        tuple(point.sampled),
        point.inactive,
        Outcome.COMPLETED,
        course.judged("finished"),
        value=course.value,
        values=course.values,
        best=course.best,
        epochs=course.epoch,
        signals=course.signals,
        facts={"step_seconds": 0.001, "peak_memory_mb": 300.0, "data_digest": "0123456789abcdef"},
        seconds=10.0,
        ended_at=time.time(),
    )
    return result, curve


def _spec(name: str) -> StudySpec:
    raw = {
        "name": name,
        "train": {"data": "digits", "model": "mlp"},
        "space": {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}, "norm": ["none", "batch"]},
        "search": {"trials": 1},
    }
    return parse_spec(raw, "benchmark")


@contextlib.contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A real server of MLflow on a free port, with its store and files in `folder`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'server.db'}", "--workers", "1"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {
        **os.environ,
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env=environment, cwd=folder, stdout=quiet, stderr=quiet)
    try:
        _wait_for(server, port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the MLflow server did not come up within {START_SECONDS} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--http", action="store_true", help="through a real server instead of SQLite")
    print(to_text(measure(parser.parse_args().http)))
