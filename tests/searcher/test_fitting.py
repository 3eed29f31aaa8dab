"""Whether what is shown fits: a line per trial, cuts between words, columns that align."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console, RenderableType
from rich.text import Text

from diagnostics import Finding, Report, Severity, Verdict
from searcher.events import StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult
from searcher.views.diagnosis import causes_table, trial_text
from searcher.views.fitting import Clipped, Trimmed, clauses, clip
from searcher.views.live import DOOMED, LiveView
from searcher.views.reasons import LINE
from searcher.views.tables import end_of_study, next_looks, trials_table
from searcher.views.text import result_line
from trainers.progress import Progress

Make = Callable[..., StudySpec]
CAUSE = (
    "updates were 0.126 of the weights in the first 16 steps (1e-3 is usual), one update was 42.7 of the "
    "weights, the loss rose to 66.6 times its level within 16 steps; the loss is 79.26, 2.302 for guessing"
)
REMEDY = "lower learning_rate from 8.86 to about 6e-3, or let it grow slowly (warmup_epochs)"
SETTINGS = {"learning_rate": 8.86, "depth": 2, "activation": "sigmoid", "init": "kaiming_normal"}


def doomed(number: int = 4) -> TrialResult:
    symptom = Finding("not-learning", Severity.FATAL, 3, {"loss": 9.0}, "no better than guessing", "anew")
    fatal = Finding("learning-rate-too-high", Severity.FATAL, 0, {"lr": 8.86}, CAUSE, REMEDY, ("a.b",))
    report = Report(Verdict.NOT_LEARNING, (replace(fatal, consequences=(symptom,)),), {"steps": 120.0})
    return TrialResult(
        number, SETTINGS, tuple(SETTINGS), (), Outcome.DOOMED, report, 0.1, epochs=2, reason=f"as {CAUSE}"
    )


def remarked(number: int = 5) -> TrialResult:
    remark = Finding(
        "saturated-activations", Severity.INFO, 7, {"share": 0.9}, "half of them", "another init"
    )
    report = Report(Verdict.UNSTABLE, (remark,))
    return TrialResult(number, SETTINGS, tuple(SETTINGS), (), Outcome.COMPLETED, report, 0.5)


def drawn(shown: RenderableType, width: int) -> list[str]:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(shown)
    return console.export_text().splitlines()


@pytest.mark.parametrize("width", range(0, 20))
def test_a_text_is_cut_between_words(width: int) -> None:
    text = "lr=0.1 depth=4"
    cut = clip(text, width)
    assert len(cut) <= width
    if cut != text and width >= len("lr=0.1 ..."):
        assert cut == "lr=0.1 ..."
    assert clip("", width) == ""
    assert drawn(Clipped(text), max(width, 1)) == ([clip(text, max(width, 1))] if clip(text, 1) else [""])


@pytest.mark.parametrize(
    ("room", "kept"),
    [
        (300, CAUSE),
        (len(CAUSE) - 1, CAUSE.rpartition(", ")[0]),
        (80, CAUSE.partition(", one")[0]),
        (40, "updates were 0.126 of the weights in ..."),
    ],
)
def test_a_sentence_is_cut_at_a_clause_and_never_in_brackets(room: int, kept: str) -> None:
    assert clauses(CAUSE, room) == kept and len(kept) <= room
    assert clauses("use one (a, b), or two", 17) == "use one (a, b)"
    assert clauses("use one (a, b), or two", 12) == "use one ..."


def test_the_line_of_a_doomed_trial_says_why_and_what_to_change() -> None:
    line = result_line(doomed())
    assert line.startswith(
        "trial 4 doomed at step 120: not-learning, caused by learning-rate-too-high: updates"
    )
    assert line.endswith("(1e-3 is usual); lower learning_rate from 8.86 to about 6e-3")
    assert len(line) <= LINE
    assert "warning: saturated-activations (likely)" in result_line(remarked())


@pytest.mark.parametrize("width", [80, 200])
def test_every_trial_is_one_line_and_its_settings(make_spec: Make, width: int) -> None:
    lines = drawn(trials_table(make_spec(), [doomed(), remarked()], width), width)
    assert all(line == line.rstrip() and len(line) <= width for line in lines)
    row = next(line for line in lines if line.startswith("4 "))
    assert row.split()[1:6] == ["doomed", "-", "not-learning", "learning-rate-too-high", "@0"]
    settings = "lr=8.86 depth=2 sigmoid kaiming_normal"
    assert lines.count("    " + settings) == (2 if width == 80 else 0)
    assert row.endswith(settings) == (width == 200)
    assert any("saturated-activations (likely) @7" in line for line in lines)
    assert "updates" not in " ".join(lines), "the sentences are for `diagnose`"


def test_no_trials_are_a_heading(make_spec: Make) -> None:
    assert len(drawn(trials_table(make_spec(), [], 80), 80)) == 1


def test_the_table_of_causes_says_what_to_change_where_it_has_room() -> None:
    judged = [(result, result.report) for result in (doomed(), remarked())]
    narrow, wide = (drawn(Trimmed(causes_table(judged, width)), width) for width in (80, 120))
    assert "change" not in " ".join(narrow) and max(map(len, narrow)) <= 80
    assert "lower learning_rate from 8.86 to about 6e-3" in " ".join(" ".join(wide).split())
    assert "or let it grow" not in " ".join(wide), "its first clause is enough"
    row = next(line for line in narrow if line.split()[:1] == ["5"])
    assert "saturated-activations (likely)" in row, "a bad verdict has something beside it"


def test_what_ended_a_trial_is_not_told_twice() -> None:
    lines = trial_text(doomed(), doomed().report, 80).splitlines()
    assert lines[1] == "ended: stopped at step 120: not-learning, caused by learning-rate-too-high"
    assert max(map(len, lines)) <= 80
    crashed = Finding("crashed", Severity.FATAL, 3, {"step": 3}, "ValueError: no", "read the log")
    report = Report(Verdict.FAILED, (crashed,))
    failed = replace(doomed(), outcome=Outcome.FAILED, report=report, reason="ValueError: no")
    assert trial_text(failed, report, 80).count("ValueError: no") == 1
    pruned = replace(doomed(), outcome=Outcome.PRUNED, reason="pruned by median " + "far behind " * 12)
    assert max(map(len, trial_text(pruned, Report(Verdict.IMPROVING, ()), 80).splitlines())) <= 80


def test_the_best_is_named_once_at_the_end(make_spec: Make) -> None:
    text = "\n".join(drawn(end_of_study(make_spec(), [remarked(), doomed()]), 80))
    assert text.count("best: val_loss 0.5 by trial 5") == 1 and text.count("kaiming_normal") == 1
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_where_to_look_next_is_aligned() -> None:
    looks = [("searcher show a", "every trial"), ("searcher ui", "compare")]
    lines = drawn(next_looks(looks, 80), 80)
    assert lines[0].index("every") == lines[1].index("compare")


def test_where_to_look_next_stands_below_long_commands() -> None:
    looks = [(f"searcher show a --storage sqlite:///{'far/' * 8}s.db", "every trial"), ("searcher ui", "it")]
    lines = drawn(next_looks(looks, 80), 80)
    assert [line.split()[0] for line in lines] == ["searcher", "every", "searcher", "it"]


def screen(spec: StudySpec, width: int, *, heard: bool = True) -> list[str]:
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True)
    view = LiveView(console)
    view(StudyOpened(spec, ("cpu:0", "cpu:1"), (), 0))
    if heard:
        view(TrialEnded(doomed(), False))
    view(TrialStarted(5, "cpu:0", SETTINGS, ()))
    view(TrialStarted(6, "cpu:1", SETTINGS, ()))
    if heard:
        course = TrialCourse(Metric())
        course.add(Progress(3, 1, 4, {"val_loss": 0.5}))
        view(TrialProgressed(5, course, True))
    console.print(view)
    return [line.rstrip() for line in console.export_text().splitlines()]


@pytest.mark.parametrize("width", [80, 120])
def test_the_live_view_wraps_nothing_and_cuts_no_word(make_spec: Make, width: int) -> None:
    lines = screen(make_spec(name="quite-a-long-name-of-a-study", search={"trials": 24}), width)
    assert DOOMED in lines and "(1 doomed)" in lines[0] if width == 120 else "ended 1 doomed" in lines
    assert "1 of 24 trials" in lines[0] and "to go" in lines[0]
    words = {"lr=8.86", "depth=2", "sigmoid", "kaiming_normal", "..."}
    rows = [line.split() for line in lines if "lr=8.86" in line]
    assert len(rows) == 3 and all(words & set(row) for row in rows)
    assert not any(part[:3] in ("dep", "sig", "kai") and part not in words for row in rows for part in row)


def test_the_live_view_says_what_is_waited_for(make_spec: Make) -> None:
    lines = screen(make_spec(), 80, heard=False)
    assert "starting: loading torch and the data in 2 workers" in lines
    assert not any("starting: " in line for line in screen(make_spec(), 80))


def test_nothing_stands_behind_the_last_word() -> None:
    assert drawn(Trimmed(Text("a  \nb\n\n", end="")), 10)[:3] == ["a", "b", ""]
