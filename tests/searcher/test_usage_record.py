"""What trials took of their machines stands in MLflow's record, and comes there again when it is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damaged_record import Damaged
from made_up_study import made_up_study

from searcher.records import trial_folder, write_files
from searcher.tracking import MlflowTracker
from searcher.tracking.mlflow_repair import verify_record
from searcher.tracking.mlflow_sides import Recorded
from searcher.tracking.tracker import Started
from searcher.usage import Usage, read_usage, write_usage

SYSTEM = {
    "host_memory_mb": "system/host_memory_mb",
    "gpu_memory_mb": "system/gpu_memory_mb",
    "gpu_utilization_percent": "system/gpu_utilization_percent",
    "gpu_power_w": "system/gpu_power_w",
}


@pytest.fixture
def usage(rng: np.random.Generator) -> tuple[Usage, ...]:
    """Some minutes, the device used from the third row on."""
    rows = []
    for i in range(int(rng.integers(4, 60))):
        names = [*SYSTEM, "gpu_memory_in_use_mb"] if i > 1 else ["host_memory_mb"]
        rows.append(Usage(1.0 + 5 * i + rng.uniform(), {n: float(rng.uniform(1, 1e5)) for n in names}))
    return tuple(rows)


def expected(usage: tuple[Usage, ...], figure: str) -> list[tuple[int, float]]:
    return [(int(row.seconds), row.figures[figure]) for row in usage if figure in row.figures]


def curve(damaged: Damaged, number: int, name: str) -> list[tuple[int, float]]:
    run_id = damaged.run(number).info.run_id
    return sorted((p.step, p.value) for p in damaged.client.get_metric_history(run_id, name))


def assert_recorded(damaged: Damaged, number: int, usage: tuple[Usage, ...]) -> None:
    for figure, name in SYSTEM.items():
        assert curve(damaged, number, name) == expected(usage, figure)
    assert "usage.csv" in damaged.files(damaged.run(number).info.run_id)
    assert "gpu_memory_in_use_mb" not in "".join(damaged.run(number).data.metrics)


def test_usage_that_the_record_lacks_is_found_and_mended(
    damaged: Damaged, call: Callable[..., Any], mixed: Path, usage: tuple[Usage, ...]
) -> None:
    file = trial_folder(mixed / "searcher-runs" / "mixed", 5) / "usage.csv"
    write_usage(file, usage)
    said = call("verify")
    assert said.code == 1
    assert "trial 5: file usage.csv" in said.out and "trial 5: curve system/host_memory_mb" in said.out
    assert call("repair").code == 0 and call("verify").code == 0
    assert_recorded(damaged, 5, usage)
    damaged.client.delete_run(damaged.run(5).info.run_id)
    assert call("verify").code == 1
    assert call("repair").code == 0 and call("verify").code == 0
    assert_recorded(damaged, 5, usage)
    file.unlink()
    assert call("verify").code == 0, "what nobody knows any more is not missed"


def test_the_usage_of_a_trial_is_written_at_its_end(
    workplace: Path, usage: tuple[Usage, ...], rng: np.random.Generator
) -> None:
    spec, results = made_up_study(1, seed=int(rng.integers(1000)))
    result = replace(results[0], usage=usage, seconds=usage[-1].seconds + 1)
    runs, uri = workplace / "runs", f"sqlite:///{workplace / 'mlflow.db'}"
    write_files(runs, result)
    assert read_usage(trial_folder(runs, result.number) / "usage.csv") == usage
    tracker = MlflowTracker(spec, uri, runs)
    tracker.open([])
    tracker.start(Started(result.number, result.settings, {}))
    tracker.end(result)
    tracker.close("", [])
    differences = verify_record(Recorded(spec, [result], runs), uri)
    assert [str(d) for d in differences if "system/" in str(d) or "usage" in str(d)] == []
