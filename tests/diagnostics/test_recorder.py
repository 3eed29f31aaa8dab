"""Rows from figures: thinned as they come, in the columns of the first, the same however often taken."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from diagnostics.measuring.everystep import BUFFER
from diagnostics.measuring.recorder import Recorder
from diagnostics.measuring.thinning import FULL, FULL_DUE
from diagnostics.signals import Signals


class Numbers(list[float]):
    """A row of numbers that counts how often somebody fetched it."""

    fetched = 0

    def tolist(self) -> list[float]:
        """The numbers."""
        self.fetched += 1
        return list(self)


def due(recorder: Recorder, step: int, row: Mapping[str, Mapping[str, float] | float]) -> Numbers:
    """Hand over one row."""
    layout, numbers = [], Numbers()
    for name, figures in row.items():
        columns = figures if isinstance(figures, Mapping) else {}
        layout.append((name, tuple(columns)))
        numbers.extend(columns.values() if isinstance(figures, Mapping) else [figures])
    recorder.due(step, tuple(layout), numbers)
    return numbers


def recorded(steps: int, chance: float, seed: int) -> Signals:
    """A training of which rows are taken now and then."""
    recorder, when, what = Recorder(), random.Random(seed), random.Random(1)
    signals = Signals()
    for step in range(steps):
        recorder.every_steps([step], {"loss": [what.gauss(1, 1) if step % 977 else np.nan]})
        if step % 3 == 0:
            recorder.every_steps([step], {"raw_grad_norm": [what.random()]})
        if step % 5 == 0:
            due(recorder, step, {"total": what.random(), "spread": {"a": what.random(), "b": what.random()}})
        if step % 400 == 399:
            recorder.evaluation(step, {"val_loss": what.random()})
        if when.random() < chance:
            signals = signals.extend(recorder.take())
    return signals.extend(recorder.take())


def test_the_rows_are_the_same_however_often_they_are_taken() -> None:
    kinds = [recorded(6000, chance, seed) for chance, seed in ((0.0, 1), (0.01, 2), (0.3, 3), (1.0, 4))]
    for other in kinds[1:]:
        assert other.keys() == kinds[0].keys()
        for name, series in kinds[0].items():
            assert np.array_equal(series.steps, other[name].steps), name
            assert np.array_equal(series.values, other[name].values, equal_nan=True), name


def test_nothing_is_fetched_before_somebody_asks() -> None:
    recorder = Recorder()
    rows = [due(recorder, step, {"total": 1.0}) for step in range(5)]
    assert [row.fetched for row in rows] == [0] * 5
    recorder.take()
    assert [row.fetched for row in rows] == [1] * 5


def test_rows_stay_few() -> None:
    signals = recorded(40_000, 0.001, 1)
    assert len(signals["loss"]) < 4 * FULL
    assert len(signals["spread"]) < 8 * FULL_DUE
    assert len(signals["val_loss"]) == 100
    assert BUFFER < FULL


def test_columns_are_those_of_the_first_row() -> None:
    recorder = Recorder()
    due(recorder, 0, {"spread": {"a": 1.0, "b": 2.0}})
    due(recorder, 1, {"spread": {"b": 3.0, "a": 4.0, "new": 5.0}})
    due(recorder, 2, {"spread": {"b": 6.0}})
    due(recorder, 3, {"spread": {"other": 7.0}})
    first = recorder.take()
    due(recorder, 4, {"spread": {"a": 8.0}})
    series = first.extend(recorder.take())["spread"]
    assert series.layers == ("a", "b")
    assert series.steps.tolist() == [0, 1, 2, 4], "a row with none of the columns is no row"
    assert series.values.tolist() == [[1, 2], [4, 3], [4, 6], [8, 6]], "what was not called keeps its number"


def test_a_signal_that_is_a_number_and_then_has_columns() -> None:
    recorder = Recorder()
    due(recorder, 0, {"spread": 1.0})
    due(recorder, 1, {"spread": {"a": 2.0}})
    due(recorder, 2, {"spread": 3.0})
    assert recorder.take()["spread"].values.tolist() == [1, 3]


def test_facts_travel_with_the_rows() -> None:
    recorder = Recorder()
    recorder.facts["task"] = "regression"
    assert dict(recorder.take().facts) == {"task": "regression"}
    recorder.facts["head"] = "Linear"
    assert dict(recorder.take().facts) == {"task": "regression", "head": "Linear"}
    recorder.every_steps([5], {"loss": [1.0]})
    with pytest.raises(ValueError, match="must not fall"):
        recorder.every_steps([4], {"loss": [1.0]})
