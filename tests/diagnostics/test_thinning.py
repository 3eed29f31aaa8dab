"""Thinned rows against a slow, obvious twin; live against replay; and how many rows are left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from diagnostics.measuring.thinning import FULL, FULL_DUE, Thinned, keeps, thin, thin_due
from diagnostics.signals import Series

Array = np.ndarray[Any, np.dtype[Any]]


def block_of(t: int) -> tuple[int, int]:
    """The first and the last step of the block of a step."""
    size = 1
    while t >= FULL * size:
        size *= 2
    return t // size * size, t // size * size + size - 1


def slowly(steps: Array, values: Array) -> Series:
    """The rows, value by value, as the module's docstring tells it."""
    rows: list[tuple[int, float]] = []
    pending: list[float] = []
    block, hit = -1, -1
    for t, x in zip(steps.tolist(), values.tolist(), strict=True):
        first, last = block_of(t)
        if pending and block != first:
            rows.append((t, float(np.median(pending))))
            pending = []
        block = first
        if np.isfinite(x):
            pending.append(x)
        elif hit != first:
            hit = first
            if pending:
                rows.append((t, float(np.median(pending))))
                pending = []
            rows.append((t, x))
        if t == last and pending:
            rows.append((t, float(np.median(pending))))
            pending = []
    return Series(np.array([t for t, _ in rows], np.int64), np.array([x for _, x in rows]))


def stream(steps: Array, values: Array, rng: np.random.Generator, largest: int) -> Series:
    thinned = Thinned()
    taken = thinned.take()
    place = 0
    while place < len(steps):
        n = int(rng.integers(1, largest + 1))
        thinned.add(steps[place : place + n], values[place : place + n])
        place += n
        if rng.random() < 0.3:
            taken = taken.then(thinned.take())
    return taken.then(thinned.take())


def some_signal(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """Steps with a few gaps and repeats, values with a few that are not finite, alone and in runs."""
    steps = np.cumsum(rng.choice([0, 1, 3, 40], n, p=[0.01, 0.97, 0.015, 0.005]))
    values = rng.normal(size=n)
    values[rng.random(n) < 0.002] = rng.choice([np.nan, np.inf, -np.inf])
    run = int(rng.integers(0, n))
    values[run : run + int(rng.integers(0, 50))] = np.nan
    return steps, values


def same(a: Series, b: Series) -> bool:
    return np.array_equal(a.steps, b.steps) and np.array_equal(a.values, b.values, equal_nan=True)


def test_streamed_rows_equal_those_of_the_whole_and_of_the_slow_twin(rng: np.random.Generator) -> None:
    for n in (1, 999, 1500, 5000, 20_000):
        steps, values = some_signal(rng, n)
        whole = thin(Series(steps, values))
        assert same(whole, slowly(steps, values))
        for largest in (1, 7, 3000):
            assert same(stream(steps, values, rng, largest), whole)


def test_what_is_known_live_is_what_the_replay_knows(rng: np.random.Generator) -> None:
    steps, values = some_signal(rng, 6000)
    whole = thin(Series(steps, values))
    last_of_step = np.flatnonzero(np.append(np.diff(steps) > 0, True))
    for n in rng.choice(last_of_step, 30):
        live = thin(Series(steps[: n + 1], values[: n + 1]))
        assert same(live, whole.until(int(steps[n])))


def test_a_row_is_the_median_of_its_block_at_its_last_step(rng: np.random.Generator) -> None:
    values = rng.normal(size=4000)
    rows = thin(Series(np.arange(4000), values))
    assert np.array_equal(rows.values[:FULL], values[:FULL])
    assert rows.steps[FULL] == FULL + 1
    assert rows.values[FULL] == pytest.approx(np.median(values[FULL : FULL + 2]))
    assert rows.steps[-1] == 3999
    assert rows.values[-1] == pytest.approx(np.median(values[-4:]))


def test_a_value_that_is_not_finite_is_seen_at_its_own_step(rng: np.random.Generator) -> None:
    for _ in range(20):
        values = rng.normal(size=9000)
        at = int(rng.integers(0, 9000))
        values[at] = np.nan
        rows = thin(Series(np.arange(at + 1), values[: at + 1]))
        assert rows.steps[-1] == at
        assert np.isnan(rows.values[-1])


def test_rows_stay_few_however_long_the_training(rng: np.random.Generator) -> None:
    thinned, rows = Thinned(), 0
    for start in range(0, 1_000_000, 50_000):
        thinned.add(np.arange(start, start + 50_000), rng.normal(size=50_000))
        rows += len(thinned.take())
    assert 5_500 < rows < 6_100
    bad = Thinned()
    bad.add(np.arange(100_000), np.full(100_000, np.nan))
    assert len(bad.take()) < 4_500


def test_due_rows_are_kept_or_dropped_by_their_steps_alone(rng: np.random.Generator) -> None:
    steps = np.cumsum(rng.integers(1, 30, size=8000))
    series = Series(steps, rng.normal(size=(8000, 3)), ("a", "b", "c"))
    kept = [-1]
    for step in steps.tolist():
        if keeps(step, kept[-1]):
            kept.append(step)
    rows = thin(series)
    assert rows.steps.tolist() == kept[1:]
    assert same(rows, thin_due(series))
    assert rows.layers == series.layers
    assert len(rows) < 450
    assert np.array_equal(rows.values, series.values[np.isin(steps, rows.steps)])
    assert len(thin_due(Series(np.arange(FULL_DUE), np.zeros(FULL_DUE)))) == FULL_DUE


def test_wrong_input_is_told() -> None:
    thinned = Thinned()
    thinned.add(5, 1.0)
    with pytest.raises(ValueError, match="after step 5 came 4"):
        thinned.add([4], [1.0])
    with pytest.raises(ValueError, match="one value"):
        thinned.add([6, 7], [1.0])
    with pytest.raises(ValueError, match="must not fall"):
        thinned.add([9, 8], [1.0, 1.0])
