"""Where a record differs from the truth: what should stand in it against what stands there. Pure.

Notation
    record  one run as plain data, of a trial or (number STUDY) of the study itself
    curve   metric name -> points (step, value), by step
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

Point = tuple[int, float]
Curves = Mapping[str, Sequence[Point]]

STUDY, NAMELESS = -1, -2
"""The numbers of the study's own run, and of a trial's run that does not say whose it is."""

RUNNING = "RUNNING"

SHOWN = 60
"""Characters of a value that a line shows."""


class Mend(StrEnum):
    """What brings a run to what it should be, the mildest first."""

    STATUS = "status"
    TAGS = "tags"
    PARAMS = "params"
    POINTS = "points"
    FILES = "files"
    DATA = "data"
    MODELS = "models"
    VIEWS = "views"
    REBUILD = "rebuild"  # what a record holds cannot be changed: the run is made anew
    DELETE = "delete"


@dataclass(frozen=True)
class RunRecord:
    """One run, as it should be or as it is.

    `metrics` are once-per-run figures, `files` its artifacts, `inputs` the digests of its data, `models` the
    names of its logged models, `views` the saved views of the study's pages. `shown` are tags that people may
    change, so that only their lack is a difference, or a text among `reserved`, which nobody but us would
    write. Where a `run_id` is expected, that run is the one to stay.
    """

    number: int
    status: str
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    curves: Curves = field(default_factory=dict)
    files: frozenset[str] = frozenset()
    inputs: frozenset[str] = frozenset()
    models: frozenset[str] = frozenset()
    views: Mapping[str, object] = field(default_factory=dict)
    shown: Mapping[str, str] = field(default_factory=dict)
    reserved: frozenset[str] = frozenset()
    run_id: str = ""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it should be, in the run `run_id` (none where a run lacks)."""

    number: int
    what: str
    expected: str
    found: str
    mend: Mend
    run_id: str = ""

    def __str__(self) -> str:
        names = {STUDY: "study", NAMELESS: "a trial without a number"}
        whose = names.get(self.number, f"trial {self.number}")
        return f"{whose}: {self.what}: expected {self.expected}, found {self.found}"


def differences(
    expected: Iterable[RunRecord], found: Iterable[RunRecord], running: Iterable[int] = ()
) -> list[Difference]:
    """Every difference, by trial. Trials that are `running` may have a run that goes on, or none yet.

    What stands in a run beyond what is expected is left alone: people add tags and notes of their own.
    """
    wanted = {record.number: record for record in expected}
    there: dict[int, list[RunRecord]] = {}
    for record in found:
        there.setdefault(record.number, []).append(record)
    result: list[Difference] = []
    going_on = set(running)
    for number in sorted(wanted.keys() | there.keys()):
        runs = there.get(number, [])
        if number in wanted:
            result += _of_one(wanted[number], runs)
        else:
            alive = [run for run in runs if number in going_on and run.status == RUNNING]
            result += [_too_many(run, "none") for run in runs if run not in alive[:1]]
    return result


def _of_one(wanted: RunRecord, runs: Sequence[RunRecord]) -> list[Difference]:
    """Of several runs the one that was chosen stays, else the one that needs the least."""
    if not runs:
        return [Difference(wanted.number, "run", "one", "none", Mend.REBUILD)]
    compared = [(_inside(wanted, run), run) for run in runs]

    def needs(pair: tuple[list[Difference], RunRecord]) -> tuple[bool, bool, int]:
        found, run = pair
        return run.run_id != wanted.run_id, any(d.mend is Mend.REBUILD for d in found), len(found)

    kept, best = min(compared, key=needs)
    return [*(_too_many(run, "one") for run in runs if run is not best), *kept]


def _too_many(run: RunRecord, expected: str) -> Difference:
    return Difference(run.number, "run", expected, f"run {run.run_id} too many", Mend.DELETE, run.run_id)


def _inside(wanted: RunRecord, run: RunRecord) -> list[Difference]:
    """What differs inside one run."""
    found: list[Difference] = []

    def note(what: str, expected: object, is_there: object, mend: Mend) -> None:
        found.append(Difference(wanted.number, what, _shown(expected), _shown(is_there), mend, run.run_id))

    if wanted.status != run.status:
        note("status", wanted.status, run.status, Mend.STATUS)
    for name, value in wanted.params.items():
        if (there := run.params.get(name)) != value:
            note(f"param {name}", value, there, Mend.PARAMS if there is None else Mend.REBUILD)
    for name, value in missing_tags(wanted, run).items():
        note(f"tag {name}", value, run.tags.get(name), Mend.TAGS)
    for name, number in wanted.metrics.items():
        figure = run.metrics.get(name)
        if figure is None or not same(figure, number):
            note(f"metric {name}", number, figure, Mend.POINTS if figure is None else Mend.REBUILD)
    for name, points in wanted.curves.items():
        for expected, is_there, mend in _in_curve(points, run.curves.get(name, ())):
            note(f"curve {name}", expected, is_there, mend)
    for kind, lacking, mend in (
        ("file", wanted.files - run.files, Mend.FILES),
        ("data", wanted.inputs - run.inputs, Mend.DATA),
        ("logged", wanted.models - run.models, Mend.MODELS),
    ):
        for name in sorted(lacking):
            note(f"{kind} {name}", "there", None, mend)
    for name, view in wanted.views.items():
        if run.views.get(name) != view:
            there = "another" if name in run.views else None
            note(f"saved view {name}", "as this study has it", there, Mend.VIEWS)
    return found


def _in_curve(wanted: Sequence[Point], there: Sequence[Point]) -> list[tuple[str, str, Mend]]:
    """What differs between two curves: points twice, beyond the end, of another value, or missing.

    A long training's signals are thinned, so between the expected points there may be others.
    """
    found: list[tuple[str, str, Mend]] = []
    end = wanted[-1][0] if wanted else -1
    values = dict(there)
    twice = [step for step, times in Counter(step for step, _ in there).items() if times > 1]
    if twice:
        found.append(("each step once", f"step {min(twice)} more than once", Mend.REBUILD))
    if beyond := [step for step in values if step > end]:
        found.append((f"its last point at step {end}", f"one at step {max(beyond)}", Mend.REBUILD))
    wrong = [(s, v) for s, v in wanted if s in values and not same(values[s], v)]
    if wrong:
        step, value = wrong[0]
        found.append((f"{value:.6g} at step {step}", f"{values[step]:.6g}", Mend.REBUILD))
    missing = [(step, value) for step, value in wanted if step not in values]
    if missing:
        last = f"{len(wanted)} points, the last {wanted[-1][1]:.6g} at step {end}"
        gap = f"none at {len(missing)} of their steps, the first {missing[0][0]}, the last {missing[-1][0]}"
        found.append((last, gap, Mend.POINTS))
    return found


def missing_tags(wanted: RunRecord, there: RunRecord) -> dict[str, str]:
    """The tags that a record lacks or has with another value."""
    lacking = {name: value for name, value in wanted.tags.items() if there.tags.get(name) != value}
    for name, value in wanted.shown.items():
        shown = there.tags.get(name, "")
        if not shown or (shown != value and shown in wanted.reserved):
            lacking[name] = value
    return lacking


def missing_points(wanted: Curves, there: Curves) -> dict[str, list[Point]]:
    """The points that a record lacks."""
    found = {name: dict(points) for name, points in there.items()}
    lacking = {
        name: [(step, value) for step, value in points if step not in found.get(name, {})]
        for name, points in wanted.items()
    }
    return {name: points for name, points in lacking.items() if points}


def same(one: float, other: float) -> bool:
    """Whether two figures are one, but for the last digits that travelling through text may cost."""
    return one == other or math.isclose(one, other, rel_tol=1e-12)


def _shown(value: object) -> str:
    if value is None:
        return "nothing"
    text = f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
