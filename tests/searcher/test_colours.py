"""Colours of verdicts can be told apart, also by people who are colour-blind, on light and on dark paper."""

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR

Array = NDArray[np.float64]

# How linear RGB turns into what is seen without one kind of cones: Machado, Oliveira and Fernandes, 2009.
EYES = {
    "all-cones": np.eye(3),
    "no-red": [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
    "no-green": [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    "no-blue": [[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]],
}
TOLD_APART = 0.06
"""A distance in OKLab at which two marks side by side are clearly two colours; 0.02 is just noticeable."""

PAPERS = {"light": 1.0, "dark": 0.0086}
"""Luminance of white, and of the report's dark background."""


def linear(colour: str) -> Array:
    """A colour `#rrggbb` as linear RGB."""
    rgb = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def oklab(rgb: Array) -> Array:
    """Linear RGB as OKLab (Ottosson, 2020), where distances are as people see them."""
    cones = [[0.41222, 0.53633, 0.05145], [0.2119, 0.6807, 0.1074], [0.0883, 0.28172, 0.62998]]
    lab = [[0.21045, 0.79362, -0.00407], [1.978, -2.42859, 0.45059], [0.0259, 0.78277, -0.80868]]
    seen: Array = np.array(lab) @ np.cbrt(np.array(cones) @ np.clip(rgb, 0, 1))
    return seen


def distance(first: str, second: str, eyes: str) -> float:
    """How far apart two colours are for somebody with these eyes."""
    matrix = np.array(EYES[eyes])
    return float(np.linalg.norm(oklab(matrix @ linear(first)) - oklab(matrix @ linear(second))))


@pytest.mark.parametrize("eyes", EYES)
def test_any_two_verdicts_can_be_told_apart(eyes: str) -> None:
    pairs = {
        (a, b): distance(VERDICT_COLOUR[a], VERDICT_COLOUR[b], eyes)
        for a, b in itertools.combinations(Verdict, 2)
    }
    assert {pair: round(far, 3) for pair, far in pairs.items() if far < TOLD_APART} == {}


def test_red_and_green_of_equal_lightness_would_be_seen_as_one() -> None:
    assert distance("#b5651d", "#7d8000", "all-cones") > TOLD_APART
    assert distance("#b5651d", "#7d8000", "no-red") < TOLD_APART


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("verdict", Verdict)
def test_a_verdict_stands_out_from_its_paper(verdict: Verdict, paper: str) -> None:
    own = float(linear(VERDICT_COLOUR[verdict]) @ [0.2126, 0.7152, 0.0722])
    light, dark = max(own, PAPERS[paper]), min(own, PAPERS[paper])
    assert (light + 0.05) / (dark + 0.05) > 1.75
