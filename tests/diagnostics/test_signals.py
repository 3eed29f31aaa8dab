"""Signals: appended, cut, saved and read back without loss."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diagnostics import Series, Signals


def some_signals(rng: np.random.Generator) -> Signals:
    n = int(rng.integers(3, 40))
    steps = np.sort(rng.integers(0, 100, n))
    return Signals(
        {
            "loss": Series(steps, rng.normal(size=n)),
            "gradient_norm": Series(steps, rng.normal(size=(n, 3)), ("a", "b.weight", "c")),
        }
    )


def test_until_keeps_exactly_the_rows_up_to_a_step(rng: np.random.Generator) -> None:
    signals = some_signals(rng)
    step = int(rng.integers(0, 100))
    cut = signals.until(step)
    expected = signals["loss"].values[signals["loss"].steps <= step]
    assert np.array_equal(cut["loss"].values if "loss" in cut else [], expected)


def test_rows_put_together_are_the_rows_that_were_there(rng: np.random.Generator) -> None:
    signals = some_signals(rng)
    loss = signals["loss"]
    together = Signals()
    for start in range(0, len(loss), 2):
        some = {"loss": Series(loss.steps[start : start + 2], loss.values[start : start + 2])}
        together = together.extend(some)
    assert np.array_equal(together["loss"].values, loss.values)
    assert together.last_step == loss.steps[-1]


def test_saved_signals_come_back(rng: np.random.Generator, tmp_path: Path) -> None:
    signals = some_signals(rng)
    values = signals["loss"].values.copy()
    values[0] = np.nan
    signals = Signals({**signals, "loss": Series(signals["loss"].steps, values)})
    signals.save(tmp_path / "signals.npz")
    back = Signals.load(tmp_path / "signals.npz")
    assert set(back) == set(signals)
    for name in signals:
        assert np.array_equal(back[name].values, signals[name].values, equal_nan=True)
        assert back[name].layers == signals[name].layers
    assert [file.name for file in tmp_path.iterdir()] == ["signals.npz"]


def test_signals_cannot_be_changed(rng: np.random.Generator) -> None:
    source = rng.normal(size=5)
    series = Series(np.arange(5), source)
    with pytest.raises(ValueError, match="read-only"):
        series.values[0] = 1.0
    source[0] = 99.0
    assert series.values[0] != 99.0


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        Series(np.arange(3), np.zeros(4))
    with pytest.raises(ValueError, match="must not fall"):
        Series(np.array([2, 1]), np.zeros(2))
    with pytest.raises(ValueError, match="cannot go on"):
        Series(np.arange(1), np.zeros((1, 1)), ("a",)).then(Series(np.arange(1), np.zeros((1, 1)), ("b",)))
