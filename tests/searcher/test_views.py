"""What is seen of a study: lines, JSON, the live table, and their small pieces."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from diagnostics import Finding, Report, Severity, Signals, Verdict
from searcher.events import Event, Noted, StudyLeft, StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.naming import duration
from searcher.spec import Metric, StudySpec
from searcher.summary import to_markdown
from searcher.trial import Outcome, TrialCourse, TrialResult
from searcher.views.json_lines import JsonView
from searcher.views.lines import LineView
from searcher.views.live import LAST_ENDED, STYLES, WIDEST, LiveView
from searcher.views.tables import end_of_study
from searcher.views.text import BARS, result_line, sparkline, value_text
from trainers.progress import Progress

Make = Callable[..., StudySpec]
FATAL = Finding("diverging", Severity.FATAL, 7, {"noise": math.inf}, "it left", "a smaller step")
SAMPLED = {"learning_rate": 3e-4, "norm": "batch"}


def ended(number: int = 3, outcome: Outcome = Outcome.COMPLETED, value: float | None = 0.25) -> TrialResult:
    findings = (FATAL,) if outcome is Outcome.DOOMED else ()
    verdict = {Outcome.COMPLETED: Verdict.CONVERGED, Outcome.DOOMED: Verdict.DIVERGED}.get(
        outcome, Verdict.INCOMPLETE
    )
    reason = "" if outcome is Outcome.COMPLETED else "it had to end\nwith a second line"
    settings = {**SAMPLED, "epochs": 4}
    report = Report(verdict, findings, statistics={"steps": 12.0})
    return TrialResult(
        number, settings, tuple(SAMPLED), (), outcome, report, value, reason=reason, seconds=2.0
    )


def running(values: tuple[float, ...] = (0.5,), loss: tuple[float, ...] = (3.0, 2.0, 1.0)) -> TrialCourse:
    course = TrialCourse(Metric())
    course.add(Progress(len(loss), 0.5, 4, signals=Signals.of({"loss": (range(len(loss)), list(loss))})))
    for i, value in enumerate(values, start=1):
        course.add(Progress(10 * i, i, 4, {"val_loss": value}))
    return course


def events(spec: StudySpec) -> list[Event]:
    """One of each."""
    return [
        StudyOpened(spec, ("cpu:0", "cpu:1"), (ended(0), ended(1)), 1),
        TrialStarted(3, "cpu:1", SAMPLED, ("killed",)),
        TrialProgressed(3, running(), False),
        TrialProgressed(3, running(), True),
        TrialProgressed(3, running(()), True),
        TrialEnded(ended(), True),
        TrialEnded(ended(4, Outcome.DOOMED), False),
        Noted("something to know"),
        StudyLeft(spec, (ended(),), "all trials are done"),
    ]


def test_lines(make_spec: Make) -> None:
    out = io.StringIO()
    with LineView(out) as view:
        for event in events(make_spec()):
            view(event)
    assert out.getvalue().splitlines() == [
        "study own on cpu:0, cpu:1; 2 trials are done; 1 interrupted ones begin anew",
        "trial 3 begins on cpu:1 (attempt 2): lr=0.0003 batch",
        "trial 3 epoch 1 of 4: best 0.5",
        "trial 3 epoch 0.5 of 4: best -",
        "trial 3 completed 0.25 converged | lr=0.0003 batch <- best so far",
        "trial 4 doomed at step 12: diverging: it left; a smaller step",
        "something to know",
        "study own: all trials are done; trials done: 1",
    ]


def test_json(make_spec: Make) -> None:
    out = io.StringIO()
    with JsonView(out) as view:
        for event in events(make_spec()):
            view(event)

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    lines = [json.loads(line, parse_constant=refuse) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "study_opened", "trial_started", "trial_progressed", "trial_evaluated", "trial_evaluated",
        "trial_ended", "trial_ended", "noted", "study_left",
    ]  # fmt: skip
    assert lines[0] == {
        "event": "study_opened", "study": "own", "slots": ["cpu:0", "cpu:1"], "finished": 2, "requeued": 1
    }  # fmt: skip
    assert (lines[1]["sampled"], lines[1]["attempts"]) == (SAMPLED, ["killed"])
    assert (lines[3]["value"], lines[3]["epoch"], lines[4]["value"]) == (0.5, 1, None)
    assert (lines[5]["outcome"], lines[5]["value"], lines[5]["is_best"]) == ("completed", 0.25, True)
    assert lines[6]["report"]["findings"][0]["evidence"] == {"noise": "inf"}
    assert (lines[8]["best_trial"], lines[8]["best_value"], lines[8]["best_sampled"]) == (3, 0.25, SAMPLED)


def test_json_of_numbers_that_json_lacks(make_spec: Make) -> None:
    out = io.StringIO()
    view = JsonView(out)
    view(TrialProgressed(0, TrialCourse(Metric()), False))
    view(TrialEnded(ended(0, Outcome.DOOMED, math.nan), False))
    assert "Infinity" not in out.getvalue() and "NaN" not in out.getvalue()


def screen(spec: StudySpec, *more: Event, width: int = 140) -> str:
    """What the live view shows after the study was opened and these events."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    view = LiveView(console)
    for event in (StudyOpened(spec, ("cpu:0",), (), 0), *more):
        view(event)
    console.print(view)
    return console.export_text()


def test_the_live_view_shows_what_runs(make_spec: Make) -> None:
    spec = make_spec(search={"trials": 8})
    text = screen(spec, TrialStarted(3, "cpu:0", SAMPLED, ()))
    assert "own" in text and "0 of 8 trials (starting)" in text and "best  none yet" in text
    assert "lr=0.0003 batch" in text and "starting" in text
    text = screen(spec, TrialStarted(3, "cpu:0", SAMPLED, ()), TrialProgressed(3, running(), True))
    row = next(line for line in text.splitlines() if "lr=0.0003" in line)
    assert row.split() == ["3", "cpu:0", "lr=0.0003", "batch", "1.0/4", "█▅▁", "0.5"], (
        "after one evaluation there is no verdict to show"
    )
    sick = TrialProgressed(3, running((), (1.0, math.nan)), False)
    text = screen(spec, TrialStarted(3, "cpu:0", SAMPLED, ()), sick)
    row = next(line for line in text.splitlines() if "lr=0.0003" in line)
    assert row.split()[:7] == ["3", "cpu:0", "lr=0.0003", "batch", "0.5/4", "▁!", "non-finite"]
    warned = running()
    warned.findings = (replace(FATAL, kind="dead-units", severity=Severity.WARNING),)
    text = screen(spec, TrialStarted(3, "cpu:0", SAMPLED, ()), TrialProgressed(3, warned, True))
    assert "dead-units" in next(line for line in text.splitlines() if "lr=0.0003" in line)
    text = screen(spec, TrialStarted(3, "cpu:0", SAMPLED, ()), TrialProgressed(3, warned, True), width=80)
    assert "dead-units" in next(line for line in text.splitlines() if "lr=" in line)


def test_the_live_view_shows_what_ended(make_spec: Make) -> None:
    spec = make_spec(search={"trials": 20})
    many = [ended(n, value=1.0 - n / 100) for n in range(9)]
    last = TrialEnded(ended(9, Outcome.DOOMED), False)
    text = screen(spec, *(TrialEnded(r, True) for r in many), last, width=WIDEST)
    assert "10 of 20 trials (9 completed, 1 doomed)" in text
    assert "best  val_loss 0.92 by trial 8 (lr=0.0003 batch)" in text
    rows = [line.split() for line in text.splitlines() if "lr=0.0003 batch" in line and "best" not in line]
    assert [row[0] for row in rows] == [str(n) for n in range(10 - LAST_ENDED, 10)]
    why = "diverging: it left; a smaller step"
    assert rows[-1] == ["9", "doomed", "-", "diverged", "diverging", "lr=0.0003", "batch", *why.split()]
    narrow = screen(spec, last, width=80)
    row = next(line for line in narrow.splitlines() if " doomed " in line and "lr=" in line)
    assert row.split()[:6] == ["9", "doomed", "-", "diverged", "diverging", "lr=0.0003"], "no room for why"


def test_the_live_view_clears_what_ran_and_notes_what_matters(make_spec: Make) -> None:
    spec = make_spec()
    console = Console(record=True, width=120, file=io.StringIO(), force_terminal=True)
    with LiveView(console) as view:
        view(StudyOpened(spec, ("cpu:0",), (ended(0),), 2))
        view(TrialStarted(3, "cpu:0", SAMPLED, ()))
        view(TrialProgressed(3, running(), True))
        view(Noted("[a worker] died"))
        view(StudyLeft(spec, (ended(0),), "parked"))
    text = console.export_text()
    assert "going on: 1 trials are done, 2 interrupted ones begin anew" in text
    assert "[a worker] died" in text
    console.print(view)
    assert "cpu:0" not in console.export_text()


@pytest.mark.parametrize("width", [30, 60, 100])
def test_the_live_view_fits_any_terminal(make_spec: Make, width: int) -> None:
    spec = make_spec(search={"hours": 1.0})
    long = {f"setting_{i}": "[brackets]" * 3 for i in range(4)}
    text = screen(spec, TrialStarted(1, "gpu:0", long, ()), TrialProgressed(1, running(), True), width=width)
    assert max(map(len, text.splitlines())) <= width


def test_the_live_view_leaves_no_running_trial_behind_when_the_study_breaks(make_spec: Make) -> None:
    console = Console(record=True, width=120, file=io.StringIO(), force_terminal=True)
    with LiveView(console) as view:
        view(StudyOpened(make_spec(), ("cpu:0",), (), 0))
        view(TrialStarted(3, "cpu:0", SAMPLED, ()))
    console.export_text()
    console.print(view)
    assert "cpu:0" not in console.export_text()


def test_the_end_of_a_study_says_why_trials_failed_and_what_to_change(make_spec: Make) -> None:
    crashed = replace(ended(7, Outcome.FAILED), report=Report(Verdict.FAILED, ()))
    results = [ended(5, Outcome.DOOMED), ended(2, Outcome.DOOMED), ended(3), crashed]
    console = Console(record=True, width=100, file=io.StringIO())
    console.print(end_of_study(make_spec(), results))
    text = console.export_text()
    row = next(line for line in text.splitlines() if line.split()[:1] == ["diverging"])
    assert row.split()[1:] == ["2", "trial", "2:", "a", "smaller", "step"]
    assert "it had to end" in text, "what nothing was found of goes by its reason"
    console.print(end_of_study(make_spec(), [ended(3)]))
    assert "why trials failed" not in console.export_text()
    assert "| diverging | 2 | a smaller step |" in to_markdown(make_spec(), results, "")


def test_every_verdict_has_a_colour() -> None:
    assert set(STYLES) == {str(verdict) for verdict in Verdict}


@pytest.mark.parametrize("outcome", Outcome)
def test_only_values_that_were_reached_are_shown(outcome: Outcome) -> None:
    reached = {Outcome.COMPLETED: " 0.25 ", Outcome.PRUNED: " 0.25 ", Outcome.INFEASIBLE: " - "}
    shown = reached.get(outcome, " at step 12: ")
    assert result_line(ended(outcome=outcome)).startswith(f"trial 3 {outcome}{shown}")
    assert ("0.25" in result_line(ended(outcome=outcome))) == ("0.25" in shown)
    assert "None" not in result_line(ended(outcome=outcome, value=None))
    assert value_text(ended(outcome=outcome)) == ("0.25" if "0.25" in shown else "-")
    assert value_text(ended(outcome=outcome, value=None)) == "-"


def test_sparklines() -> None:
    assert sparkline(np.array([])) == ""
    assert sparkline(np.linspace(0, 1, 8)) == BARS
    assert sparkline(np.array([2.0, 2.0, 2.0])) == BARS[0] * 3
    assert sparkline(np.array([1.0, np.nan, 0.0, np.inf])) == "█!▁!"
    assert sparkline(np.array([np.nan, np.inf])) == "!!"


def test_a_long_curve_keeps_its_shape(rng: np.random.Generator) -> None:
    curve: Any = np.linspace(5, 1, 1000) + rng.normal(0, 0.01, 1000)
    drawn = sparkline(curve, 8)
    assert (
        len(drawn) == 8
        and list(drawn) == sorted(drawn, reverse=True)
        and drawn[0] == "█"
        and drawn[-1] == "▁"
    )
    curve[-3:] = np.nan
    assert sparkline(curve, 8)[-1] == "!", "a curve that ends in NaN shows it"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.6, "1 h 0 min"),
        (7500, "2 h 5 min"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words
