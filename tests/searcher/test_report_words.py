"""How numbers, names and axes of a report are set."""

from __future__ import annotations

import pytest

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.report.observations import Point
from searcher.report.pages.axes import GLYPH, SYMBOL, Places, fitting_axis
from searcher.report.pages.setting_figures import objective_range
from searcher.report.pages.tables import MEANING
from searcher.report.words import number, percent, sentence_of


def test_every_verdict_has_a_colour_a_mark_and_a_meaning() -> None:
    for table in (VERDICT_COLOUR, SYMBOL, GLYPH, MEANING):
        assert set(table) == set(Verdict)
    for table in (VERDICT_COLOUR, SYMBOL, GLYPH):
        assert len(set(table.values())) == len(Verdict)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.973145, "0.9731"),
        (3.2e-5, "3.2e-5"),
        (12000.0, "12000"),
        (1_500_000, "1.5e+6"),
        (0.0, "0"),
        (float("nan"), "nan"),
        (-2.5, "-2.5"),
    ],
)
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_shares() -> None:
    assert [percent(*given) for given in ((0, 0), (0, 5), (1, 500), (499, 500), (5, 5), (1, 3))] == [
        *("0 %", "0 %", "< 1 %", "> 99 %", "100 %", "33 %"),
    ]


def test_clauses_become_sentences() -> None:
    assert sentence_of("lower it") == "Lower it."
    assert sentence_of("learning_rate above 0.1: all failed.") == "learning_rate above 0.1: all failed."
    assert sentence_of("") == ""


def test_an_axis_is_logarithmic_where_values_are_widely_spread() -> None:
    assert fitting_axis([0.01, 5.0]).get("type") == "log"
    assert "type" not in fitting_axis([1.0, 5.0]) and "type" not in fitting_axis([0.0, 500.0])
    assert "type" not in fitting_axis([])


def test_settings_find_their_places() -> None:
    names = Places(["relu", "tanh", "relu"], log=False)
    assert names.has_names
    places = {names.of("relu", trial) for trial in range(50)}
    assert len(places) == 50 and all(-0.31 <= place <= 0.31 for place in places)
    sizes = Places([16, 128, 32, 64], log=False)
    assert sizes.axis()["ticktext"] == ["16", "32", "64", "128"] and not sizes.has_names
    assert Places([True, False], log=False).has_names
    rates = Places([1e-4, 1.0], log=True)
    assert rates.of(0.01, 3) == 0.01 and rates.axis()["type"] == "log"
    assert "type" not in Places([0.5, 0.5], log=True).axis(), "one value has no decades"


def test_a_stray_objective_does_not_press_the_others_flat() -> None:
    trained = [Point(i, 0.1, 0.9 + 0.001 * i, "converged") for i in range(30)]
    wrong = [Point(100, 0.5, -1e6, "diverged"), Point(101, 0.5, 0.2, "incomplete")]
    low, high = objective_range([*trained, *wrong])
    assert 0.85 < low <= 0.9 and high == pytest.approx(0.929)
    assert objective_range(wrong) == (-1e6, 0.2), "where nothing was trained, what there is"
    assert objective_range([Point(0, 1, 0.5, "converged")]) == (0.5, 0.5)
