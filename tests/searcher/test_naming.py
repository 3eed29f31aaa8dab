"""Short names for people."""

from __future__ import annotations

import numpy as np
import pytest

from searcher.naming import run_name, short_settings, short_value


@pytest.mark.parametrize(
    ("value", "short"),
    [
        (3e-4, "0.0003"),
        (1.23456e-5, "1.23e-5"),
        (123456.0, "1.23e+5"),
        (1e-12, "1e-12"),
        (0.5, "0.5"),
        (64, "64"),
        (1234567, "1234567"),
        (True, "True"),
        ("relu", "relu"),
    ],
)
def test_values(value: object, short: str) -> None:
    assert short_value(value) == short


def test_a_short_value_is_the_value_to_three_digits(rng: np.random.Generator) -> None:
    for value in (10 ** rng.uniform(-12, 12, 50)).tolist():
        assert float(short_value(value)) == pytest.approx(value, rel=5.1e-3)


def test_settings_in_a_line() -> None:
    sampled = {"learning_rate": 3e-4, "batch_size": 64, "norm": "batch", "activation": "relu", "init": "none"}
    assert short_settings(sampled) == "lr=0.0003 bs=64 batch relu init=none"
    assert short_settings({}) == ""


def test_run_names_sort_by_number() -> None:
    names = [run_name(number, {"learning_rate": 0.1}) for number in (0, 7, 42, 999, 1000, 9999)]
    assert names == sorted(names) and names[2] == "t0042 lr=0.1"


def test_run_names_fit_into_the_record() -> None:
    assert len(run_name(1, {f"setting_{i}": "a" * 40 for i in range(20)})) == 250
