"""How a study with several objectives is shown while it runs and at its end."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from diagnostics import Signals, diagnose
from searcher.events import Event, StudyLeft, StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.fronts import pareto_front
from searcher.naming import figure_text
from searcher.spec import StudySpec, parse_spec
from searcher.summary import front_line, to_markdown
from searcher.trial import Outcome, TrialCourse, TrialResult
from searcher.views.json_lines import JsonView
from searcher.views.lines import LineView
from searcher.views.live import MOST_OF_FRONT, LiveView
from searcher.views.tables import end_of_study, trials_table
from trainers.progress import Progress


@pytest.fixture
def spec() -> StudySpec:
    """A study of accuracy and size."""
    metrics = [{"name": "val_accuracy", "goal": "maximize"}, {"name": "parameters"}]
    raw = {"name": "two", "metric": metrics, "space": {"width": [4, 8, 16]}, "search": {"trials": 30}}
    return parse_spec(raw, "two.toml")


def ended(number: int, accuracy: float, parameters: float) -> TrialResult:
    told = {"val_accuracy": accuracy, "parameters": parameters}
    settings = {"width": 8}
    report = diagnose(Signals())
    return TrialResult(number, settings, ("width",), (), Outcome.COMPLETED, report, accuracy, objectives=told)


@pytest.fixture
def results(rng: np.random.Generator) -> list[TrialResult]:
    """Trials of which more stand on the front than are shown while a study runs."""
    on = [ended(n, 0.5 + n / 100, 100 + 900 * n) for n in range(MOST_OF_FRONT + 3)]
    off = [ended(n + 50, 0.4, float(rng.integers(10_000, 90_000))) for n in range(4)]
    return [*on, *off]


def picture(spec: StudySpec, results: list[TrialResult], width: int) -> str:
    screen = Console(width=width, file=io.StringIO(), force_terminal=True, height=60)
    view = LiveView(screen)
    course = TrialCourse(spec.metric, spec.further, {})
    course.add(Progress(3, 1, 4, {"val_accuracy": 0.71}, facts={"parameters": 4321}))
    view(StudyOpened(spec, ("cpu:0",), tuple(results), 0))
    view(TrialStarted(99, "cpu:0", {"width": 8}, ()))
    view(TrialProgressed(99, course, True))
    view(TrialEnded(replace(results[0], number=60), False))
    out = Console(width=width, file=io.StringIO())
    out.print(view)
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


@pytest.mark.parametrize("width", [80, 120, 170])
def test_the_live_table_shows_the_front_and_all_objectives(
    spec: StudySpec, results: list[TrialResult], width: int
) -> None:
    text = picture(spec, results, width)
    assert "Pareto front  " in text and "0.71, 4321" in text and "0.5, 100" in text
    assert (
        f"and {len(pareto_front(spec.metrics, [*results, ended(60, 0.5, 100)])) - MOST_OF_FRONT} more" in text
    )
    assert all(len(line) <= width for line in text.splitlines())
    assert ("val_accuracy, parameters" in text) == (width >= 100)


def test_the_end_names_no_winner_and_lists_the_front(spec: StudySpec, results: list[TrialResult]) -> None:
    out = Console(width=120, file=io.StringIO())
    out.print(end_of_study(spec, results))
    assert isinstance(out.file, io.StringIO)
    text = out.file.getvalue()
    front = pareto_front(spec.metrics, results)
    assert f"Pareto front: {len(front)} trials of {len(results)}" in text and "best:" not in text
    rows = [line.split()[:3] for line in text.splitlines()]
    for result in front:
        assert [str(result.number), *map(figure_text, result.objectives.values())] in rows
    note = to_markdown(spec, results, "")
    assert f"**Pareto front:** {front_line(spec, results)}" in note and "| 0 | 0.5 | 100 | width=8 |" in note


def test_every_trial_of_the_front_stands_out(spec: StudySpec, results: list[TrialResult]) -> None:
    text = trials_table(spec, results, 120)
    bold = {text.plain[span.start : span.end].split()[0] for span in text.spans if "bold" in str(span.style)}
    assert bold == {str(result.number) for result in pareto_front(spec.metrics, results)}


def test_lines_and_json_have_all_objectives(spec: StudySpec) -> None:
    course = TrialCourse(spec.metric, spec.further, {})
    course.add(Progress(3, 1, 4, {"val_accuracy": 0.71}))
    events: list[Event] = [
        StudyOpened(spec, ("cpu:0",), (), 0),
        TrialProgressed(1, course, True),
        TrialEnded(ended(1, 0.8, 640), True),
        StudyLeft(spec, (ended(1, 0.8, 640),), "all is done"),
    ]
    lines, objects = io.StringIO(), io.StringIO()
    for event in events:
        with_lines, with_json = LineView(lines), JsonView(objects)
        with_lines(events[0])
        with_lines(event)
        with_json(event)
    assert "best 0.71, -" in lines.getvalue()
    assert "trial 1 completed 0.8, 640" in lines.getvalue()
    assert "<- on the Pareto front so far" in lines.getvalue()
    _, progressed, done, left = [json.loads(line) for line in objects.getvalue().splitlines()]
    assert progressed["objectives"] == {"val_accuracy": 0.71, "parameters": None}
    assert done["objectives"] == {"val_accuracy": 0.8, "parameters": 640}
    assert left["pareto_front"] == [
        {"trial": 1, "objectives": {"val_accuracy": 0.8, "parameters": 640}, "sampled": {"width": 8}}
    ]
