"""How much of a budget is used."""

from __future__ import annotations

import numpy as np
import pytest

from diagnostics import Report, Verdict
from searcher.budget import exhausted, share_used, used_device_hours, used_hours
from searcher.spec import Search
from searcher.trial import Outcome, TrialResult


def trained(start: float, end: float) -> TrialResult:
    """A trial that trained from `start` to `end`, in hours."""
    report = Report(Verdict.CONVERGED, ())
    times = {"seconds": (end - start) * 3600, "ended_at": end * 3600}
    return TrialResult(0, {}, (), (), Outcome.COMPLETED, report, **times)


def test_hours_count_the_union_and_device_hours_the_sum() -> None:
    spans = [(5.0, 6.0), (1.0, 3.0), (2.0, 4.0), (2.5, 3.0)]
    results = [trained(*span) for span in spans]
    assert used_hours(results) == pytest.approx(4.0)
    assert used_device_hours(results) == pytest.approx(5.5)
    assert used_hours([]) == used_device_hours([]) == 0.0


def test_hours_against_a_slow_count(rng: np.random.Generator) -> None:
    starts = rng.integers(0, 50, 30)
    spans = [(int(a), int(a + b)) for a, b in zip(starts, rng.integers(0, 9, 30), strict=True)]
    ticks = {tick for a, b in spans for tick in range(a, b)}
    assert used_hours([trained(*span) for span in spans]) == pytest.approx(len(ticks))


@pytest.mark.parametrize(
    ("limits", "used", "expected"),
    [
        ({"trials": 3}, (2, 0.0, 0.0), ""),
        ({"trials": 3}, (3, 0.0, 0.0), "all 3 trials"),
        ({"trials": 3}, (4, 0.0, 0.0), "all 3 trials"),
        ({"hours": 0.5}, (99, 0.49, 9.0), ""),
        ({"hours": 0.5}, (0, 0.5, 0.0), "budget of 0.5 hours"),
        ({"device_hours": 2.0}, (0, 9.0, 1.9), ""),
        ({"device_hours": 2.0}, (0, 0.0, 2.0), "budget of 2 device hours"),
        ({"trials": 9, "hours": 1.0, "device_hours": 1.0}, (1, 0.1, 1.1), "device hours"),
    ],
)
def test_the_first_budget_reached_ends_the_study(
    limits: dict[str, float], used: tuple[int, float, float], expected: str
) -> None:
    why = exhausted(Search.model_validate(limits), *used)
    assert expected in why and bool(why) == bool(expected)


def test_a_space_of_so_many_points_is_a_budget_as_well() -> None:
    search = Search(trials=9)
    assert exhausted(search, 5, 0.0, 0.0, points=6) == ""
    assert exhausted(search, 6, 0.0, 0.0, points=6) == "all 6 points of the space were tried"


def test_the_share_used_is_that_of_the_budget_most_used() -> None:
    search = Search(trials=10, hours=2.0)
    assert share_used(search, 4, 0.5, 100.0) == pytest.approx(0.4)
    assert share_used(search, 4, 1.5, 0.0) == pytest.approx(0.75)
    assert share_used(search, 40, 0.0, 0.0) == 1.0
