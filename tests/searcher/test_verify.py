"""Records held against each other as plain data: every difference is found and says what is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from searcher.verify import NAMELESS, STUDY, Difference, Mend, RunRecord, differences, missing_points


def record(number: int, rng: np.random.Generator, **others: Any) -> RunRecord:
    """What the run of a trial should be."""
    curve = [(10 * n, float(rng.normal())) for n in range(1, 6)]
    made: dict[str, Any] = {
        "status": "FINISHED",
        "params": {"x": str(rng.uniform())},
        "tags": {"verdict": "converged"},
        "metrics": {"objective": float(rng.normal())},
        "curves": {"val_loss": curve},
        "files": frozenset({"signals.npz"}),
        "run_id": f"run-{number}",
    }
    return RunRecord(number, **{**made, **others})


def mends(found: Sequence[Difference]) -> list[tuple[int, Mend]]:
    return [(difference.number, difference.mend) for difference in found]


def test_equal_records_have_no_difference(rng: np.random.Generator) -> None:
    records = [record(number, rng) for number in range(5)]
    assert differences(records, reversed(records)) == []


def test_what_people_add_is_theirs(rng: np.random.Generator) -> None:
    wanted = record(0, rng)
    more = replace(
        wanted,
        tags={**wanted.tags, "mlflow.note.content": "look here"},
        params={**wanted.params, "mine": "1"},
        metrics={**wanted.metrics, "mine": 2.0},
        files=wanted.files | {"plot.png"},
    )
    assert differences([wanted], [more]) == []


@pytest.mark.parametrize(
    ("change", "what", "mend"),
    [
        ({"status": "RUNNING"}, "status: expected FINISHED, found RUNNING", Mend.STATUS),
        ({"params": {}}, "param x: expected 0.", Mend.PARAMS),
        ({"params": {"x": "7"}}, "found 7", Mend.REBUILD),
        ({"tags": {"verdict": "failed"}}, "tag verdict: expected converged, found failed", Mend.TAGS),
        ({"metrics": {}}, "metric objective", Mend.POINTS),
        ({"metrics": {"objective": 99.0}}, "found 99", Mend.REBUILD),
        ({"curves": {}}, "none at 5 of their steps, the first 10, the last 50", Mend.POINTS),
        ({"files": frozenset()}, "file signals.npz: expected there, found nothing", Mend.FILES),
    ],
)
def test_each_difference_says_what_is_there(
    change: dict[str, Any], what: str, mend: Mend, rng: np.random.Generator
) -> None:
    wanted = record(3, rng)
    found = differences([wanted], [replace(wanted, **change)])
    assert mends(found) == [(3, mend)]
    assert str(found[0]).startswith("trial 3: ") and what in str(found[0])


def test_curves_are_compared_point_by_point(rng: np.random.Generator) -> None:
    wanted = record(0, rng)
    points = list(wanted.curves["val_loss"])

    def found(*there: tuple[int, float]) -> list[Mend]:
        is_there = replace(wanted, curves={"val_loss": there})
        return [difference.mend for difference in differences([wanted], [is_there])]

    middle = int(rng.integers(1, 4))
    step, value = points[middle]
    assert found(*points[:middle], *points[middle + 1 :]) == [Mend.POINTS]
    assert found(*points, (step, value)) == [Mend.REBUILD], "a point twice"
    assert found(*points[:middle], (step, value + 1e-6), *points[middle + 1 :]) == [Mend.REBUILD]
    assert found(*points, (60, 1.0)) == [Mend.REBUILD], "a point beyond the end"
    assert found((step + 1, 0.0), *points) == [], "a thinned training has points that its signals lack"
    lacking = missing_points(wanted.curves, {"val_loss": points[:middle]})
    assert lacking == {"val_loss": points[middle:]}


def test_of_two_runs_the_better_one_stays(rng: np.random.Generator) -> None:
    wanted = record(1, rng)
    other = replace(wanted, run_id="other", params={"x": "7"})
    for runs in ([wanted, other], [other, wanted]):
        found = differences([wanted], runs)
        assert [(d.mend, d.run_id) for d in found] == [(Mend.DELETE, "other")]


def test_runs_that_nobody_asked_for(rng: np.random.Generator) -> None:
    there = [record(number, rng) for number in (STUDY, 0, 7, NAMELESS)]
    found = differences(there[:2], there)
    assert mends(found) == [(NAMELESS, Mend.DELETE), (7, Mend.DELETE)]
    going_on = replace(there[2], status="RUNNING")
    assert differences(there[:2], [*there[:2], going_on], running=[7]) == []
    assert mends(differences(there[:2], [*there[:2], going_on])) == [(7, Mend.DELETE)]
