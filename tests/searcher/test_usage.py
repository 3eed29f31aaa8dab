"""What a training took of its machine: few rows that keep every peak, and a file that gives them back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from searcher.usage import MOST_ROWS, Usage, UsageLog, read_usage, write_usage


@pytest.mark.parametrize("count", [0, 1, 7, MOST_ROWS - 1, MOST_ROWS, 5 * MOST_ROWS + 3])
def test_a_long_trial_keeps_few_rows_and_every_peak(count: int, rng: np.random.Generator) -> None:
    log, values = UsageLog(), rng.uniform(1, 1000, size=count)
    for i, value in enumerate(values):
        log.add(Usage(5.0 * i, {"host_memory_mb": float(value)}))
    rows = log.rows
    assert len(rows) <= MOST_ROWS and (len(rows) > MOST_ROWS / 3 or len(rows) == count)
    if count:
        assert rows[-1].seconds == 5.0 * (count - 1)
        before = -1.0
        for row in rows:
            inside = [v for i, v in enumerate(values) if before < 5.0 * i <= row.seconds]
            assert row.figures["host_memory_mb"] == max(inside)
            before = row.seconds


def test_rows_are_read_as_they_were_written(tmp_path: Path, rng: np.random.Generator) -> None:
    names = ("host_memory_mb", "gpu_memory_mb", "gpu_power_w")
    rows = tuple(
        Usage(float(i) + rng.uniform(), {name: float(rng.uniform(0, 1e5)) for name in names[: 1 + i % 3]})
        for i in range(9)
    )
    write_usage(tmp_path / "usage.csv", rows)
    assert read_usage(tmp_path / "usage.csv") == rows
    assert read_usage(tmp_path / "nothing.csv") == ()


@pytest.mark.parametrize("text", ["seconds,x\n1.0,lots\n", "seconds,x\n,3\n", "seconds,x\n1,nan\n"])
def test_a_spoiled_file_is_told(text: str, tmp_path: Path) -> None:
    (tmp_path / "usage.csv").write_text(text)
    with pytest.raises(ValueError, match=r"usage|convert"):
        read_usage(tmp_path / "usage.csv")
