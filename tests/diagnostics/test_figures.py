"""Figures of a row on their way to the host, and what the host makes of them."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from diagnostics.measuring import figures
from diagnostics.measuring.figures import Figure, Made, Row, pack

ODD = [0.0, -0.0, 1.0, -2.5, math.inf, -math.inf, math.nan, 1e-320, 3e38]


def difference(a: float, b: float) -> float:
    """Not symmetric: it shows when numbers are given in another order."""
    return a - b


def same(found: float, expected: float) -> bool:
    """Equal, or both without an answer."""
    return found == expected or (math.isnan(found) and math.isnan(expected))


def test_a_row_comes_to_the_host_as_it_is() -> None:
    x, y, z = torch.randn(3).unbind()
    nested: Figure = Made(difference, Made(difference, x, 2.0), Made(difference, y, z))
    row: Row = {
        "alone": x,
        "known": 4.0,
        "columns": {"a": y, "b": 1, "c": Made(difference, z, y)},
        "none": {},
        "nested": nested,
        "of one": torch.tensor([5.0]),
        "whole": torch.tensor(7),
        "half": torch.tensor(0.5, dtype=torch.bfloat16),
    }
    layout, packed = pack(row)
    assert [name for name, _ in layout] == [name for name in row if name != "none"]
    assert dict(layout)["columns"] == ("a", "b", "c") and dict(layout)["nested"] == ()
    a, b, c = map(float, (x, y, z))
    expected = [a, 4.0, b, 1.0, c - b, a - 2.0 - (b - c), 5.0, 7.0, 0.5]
    assert packed.tolist() == pytest.approx(expected, rel=1e-6)
    assert float(nested) == pytest.approx(a - 2.0 - (b - c), rel=1e-6)
    assert len(packed.parts) == 6, "what several figures are made of is copied once"


def test_a_row_of_known_numbers_needs_no_tensor() -> None:
    layout, packed = pack({"train_mode": 1.0})
    assert layout == (("train_mode", ()),) and packed.tolist() == [1.0]


def test_a_packed_row_is_as_its_figures_were() -> None:
    x = torch.ones(())
    _, packed = pack({"x": x, "more": Made(difference, x, 3.0)})
    x.fill_(9)
    assert packed.tolist() == [1, -2]


def test_a_quotient_is_the_one_of_the_hardware() -> None:
    for a, b in product(ODD, repeat=2):
        expected = float(torch.tensor(a, dtype=torch.float64) / torch.tensor(b, dtype=torch.float64))
        assert same(figures.quotient(a, b), expected), (a, b)


def test_no_number_makes_the_host_fail() -> None:
    for numbers in product(ODD, repeat=3):
        tensor = torch.tensor(numbers, dtype=torch.float64)
        assert same(figures.added(*numbers), float(tensor.sum()))
        assert same(figures.average(*numbers), float(tensor.sum() / 3))
        root = figures.root_of_squares(*numbers)
        assert same(root, float(tensor.norm())) or root == pytest.approx(float(tensor.norm()))
        assert math.isfinite(figures.finite(numbers[0]))
