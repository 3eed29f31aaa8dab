"""A share of the doomed trials is let run on, the best are spared, and the report says how many stops were
wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from audit_trainers import EPOCHS, ends_in_nan, ups_and_downs
from made_up_study import made_up_study

from diagnostics import Finding, Severity, Signals
from searcher.audit import audit_line
from searcher.opening import load_study
from searcher.report.numbers.audit import audit
from searcher.report.numbers.build import build
from searcher.report.numbers.failures import wilson
from searcher.report.pages.markdown import to_markdown
from searcher.reprieves import among_the_best, can_recover, is_audited, reprieve_of
from searcher.spec import Metric, StudySpec
from searcher.summary import to_markdown as to_note
from searcher.tracking.belongings import OF_RESULT
from searcher.tracking.entries import result_note, result_tags
from searcher.trial import Outcome, Reprieve, TrialCourse, TrialResult
from searcher.views.text import result_line

Call = Callable[..., Any]
GOOD, FOR_GOOD, BACK, BACK_POOR, BEST_BACK, BEST_FOR_GOOD = 0.5, -2.0, -0.2, -0.8, -3.5, -5.0
"""Settings of the trainer: how its losses go."""


def run(
    searcher: Call,
    points: Sequence[float],
    share: float,
    pruner: str = '"none"',
    trainer: str = "ups_and_downs",
) -> dict[float, TrialResult]:
    """A study of these points in this order; the results by point."""
    listed = "".join(f"[[enqueue]]\nx = {x}\n" for x in points)
    Path("study.toml").write_text(
        f'name = "audited"\n[train]\ntrainer = "audit_trainers:{trainer}"\n'
        f"[space]\nx = {{ low = -10.0, high = 10.0 }}\n"
        f'[search]\nsampler = "random"\npruner = {pruner}\naudit = {share}\ntrials = {len(points)}\n'
        f'[dispatch]\nlauncher = "inprocess"\n{listed}'
    )
    said = searcher("run", "study.toml", "--no-tracking", "--json")
    assert said.code == 0, said.err
    Path("said.jsonl").write_text(said.out)
    return {
        result.settings["x"]: result for result in load_study("audited", "sqlite:///studies.db").results()
    }


def notes() -> list[str]:
    events = [json.loads(line) for line in Path("said.jsonl").read_text().splitlines()]
    return [event["text"] for event in events if event["event"] == "noted"]


def test_who_is_audited_hangs_on_the_seed_and_the_number_alone(rng: np.random.Generator) -> None:
    seed, share = int(rng.integers(10**6)), float(rng.uniform(0.05, 0.9))
    drawn = [number for number in range(4000) if is_audited(seed, number, share)]
    assert drawn == [number for number in range(4000) if is_audited(seed, number, share)]
    assert abs(len(drawn) - 4000 * share) < 6 * (4000 * share * (1 - share)) ** 0.5
    assert all(is_audited(seed, number, min(1.0, 1.1 * share)) for number in drawn)
    assert drawn != [number for number in range(4000) if is_audited(seed + 1, number, share)]
    assert not any(is_audited(seed, number, 0.0) for number in range(4000))
    assert all(is_audited(seed, number, 1.0) for number in range(4000))


def test_the_search_learns_the_truth_of_an_audited_trial(searcher: Call) -> None:
    found = run(searcher, [GOOD, 0.9, FOR_GOOD, BACK, BACK_POOR], 1.0)
    assert {x: result.outcome for x, result in found.items()} == {
        GOOD: Outcome.COMPLETED,
        0.9: Outcome.COMPLETED,
        FOR_GOOD: Outcome.DOOMED,
        BACK: Outcome.COMPLETED,
        BACK_POOR: Outcome.COMPLETED,
    }
    assert (found[BACK].value, found[BACK_POOR].value) == (0.01, 1.9)
    assert found[FOR_GOOD].value is not None and found[FOR_GOOD].epochs == EPOCHS
    for x in (FOR_GOOD, BACK, BACK_POOR):
        (one,) = found[x].reprieves
        assert (one.why, one.step, one.epoch, one.kind) == ("audited", 60, 3, "diverging")
        assert one.reason.startswith("diverging at step") and "; remedy: " in one.reason
    assert not found[GOOD].reprieves
    assert len(notes()) == 3
    assert all("audited: would have been stopped at step 60 because of diverging" in note for note in notes())
    events = [json.loads(line) for line in Path("said.jsonl").read_text().splitlines()]
    told = {event["trial"]: event["reprieves"] for event in events if event["event"] == "trial_ended"}
    assert [len(told[number]) for number in range(5)] == [0, 0, 1, 1, 1]
    assert told[3][0]["why"] == "audited" and told[3][0]["step"] == 60
    shown = " ".join(searcher("show", "audited").out.split())
    assert shown.count("audited: would have been stopped at step 60 because of diverging") == 3
    assert "3 of 3 doomed trials were let run on as an audit" in shown
    said = " ".join(searcher("diagnose", "audited", "3").out.split())
    assert "audited: would have been stopped at step 60 because of diverging at step" in said


def test_without_an_audit_all_of_them_are_stopped(searcher: Call) -> None:
    found = run(searcher, [GOOD, 0.9, FOR_GOOD, BACK], 0.0)
    assert [found[x].outcome for x in (FOR_GOOD, BACK)] == [Outcome.DOOMED] * 2
    assert [found[x].epochs for x in (FOR_GOOD, BACK)] == [3] * 2
    assert not any(result.reprieves for result in found.values())
    assert notes() == []


def test_an_audited_trial_is_out_of_reach_of_the_pruner(searcher: Call) -> None:
    pruner = '{ name = "threshold", upper = 1.95, n_warmup_steps = 4 }'
    found = run(searcher, [GOOD, FOR_GOOD, BACK], 1.0, pruner)
    assert [found[x].outcome for x in (FOR_GOOD, BACK)] == [Outcome.DOOMED, Outcome.COMPLETED]
    assert [found[x].epochs for x in (FOR_GOOD, BACK)] == [EPOCHS] * 2


def test_weights_that_are_not_finite_are_never_let_run_on(searcher: Call) -> None:
    found = run(searcher, [GOOD, 0.9], 1.0, trainer="ends_in_nan")
    assert {result.outcome for result in found.values()} == {Outcome.DOOMED}
    assert {result.epochs for result in found.values()} == {2}
    assert not any(result.reprieves for result in found.values())


def test_an_audit_ends_when_the_weights_are_lost_on_the_way(make_spec: Callable[..., StudySpec]) -> None:
    spec, course = make_spec(search={"audit": 1.0}), TrialCourse(Metric())
    for progress in ups_and_downs({"x": FOR_GOOD}):
        if course.add(progress):
            break
    reprieve = reprieve_of(spec, 0, course, [])
    assert reprieve is not None and reprieve.why == "audited"
    assert course.let_run(reprieve) and not course.let_run(reprieve) and course.is_audited
    assert reprieve_of(spec, 0, course, []) == reprieve
    last = list(ends_in_nan({"x": GOOD}))[-1]
    course.add(replace(last, facts={}))
    assert reprieve_of(spec, 0, course, []) is None


def test_one_of_the_best_is_not_stopped_by_what_it_can_recover_from(searcher: Call) -> None:
    found = run(searcher, [1.5, BEST_BACK, BEST_FOR_GOOD, FOR_GOOD], 0.0)
    back = found[BEST_BACK]
    assert (back.outcome, back.value, back.epochs) == (Outcome.COMPLETED, 0.1, EPOCHS)
    (one,) = back.reprieves
    assert (one.why, one.kind) == ("spared", "diverging")
    assert (
        one.because
        == "its val_loss of 0.2 is better than the best of all trials that were trained to their end, 1.5"
    )
    assert notes() == [f"trial 1 {one.text}"]
    assert found[BEST_FOR_GOOD].outcome is Outcome.DOOMED, "0.2 is no longer the best"
    assert not found[BEST_FOR_GOOD].reprieves and not found[FOR_GOOD].reprieves


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 8, 40])
def test_the_best_are_those_that_beat_three_quarters_of_their_siblings(
    count: int, rng: np.random.Generator
) -> None:
    _, results = made_up_study(count, pruned=0.5)
    siblings = [
        replace(result, values={1: rng.normal(), 2: rng.normal()}, value=-9.0, outcome=outcome)
        for result, outcome in zip(results, rng.choice(list(Outcome), count), strict=True)
    ]
    metric, own = Metric(), TrialCourse(Metric())
    for progress in ups_and_downs({"x": GOOD}):
        own.add(progress)
        break
    own.values = {1: own.value or 0.0, 2: float(rng.normal())}
    known = [r.values[2] for r in siblings if r.outcome in (Outcome.COMPLETED, Outcome.PRUNED)]
    beaten = sum(own.values[2] < other for other in known)
    expected = len(known) >= 4 and beaten >= 0.75 * len(known)
    said = among_the_best(metric, own, siblings)
    assert bool(said) is expected
    assert not said or f"that of {beaten} of the {len(known)} trials" in said


def test_nothing_is_known_of_a_trial_that_was_never_evaluated() -> None:
    _, results = made_up_study(40)
    assert among_the_best(Metric(), TrialCourse(Metric()), results) == ""


def fatal(kind: str, *follows: Finding) -> Finding:
    return Finding(kind, Severity.FATAL, 5, {}, "it is so", "change it", consequences=follows)


def test_what_can_recover_is_said_by_what_is_fatal_itself() -> None:
    sound = Signals.of({"total_weight_norm": (range(9), [1.0] * 9)})
    lost = Signals.of({"total_weight_norm": (range(9), [1.0] * 8 + [np.nan])})
    old = Signals.of({"total_weight_norm": (range(5), [1.0] * 5)})
    assert can_recover([fatal("diverging")], lost)
    assert can_recover([fatal("learning-rate-too-high", fatal("diverging"), fatal("not-learning"))], lost)
    assert not can_recover([fatal("learning-rate-too-high", fatal("diverging"), fatal("non-finite"))], lost)
    assert can_recover([fatal("non-finite")], sound)
    assert not any(can_recover([fatal("non-finite")], signals) for signals in (lost, old, Signals()))
    assert not can_recover([fatal("data-fault")], sound)
    assert not can_recover([fatal("not-learning"), fatal("head-mismatch")], sound)


def audited_result(result: TrialResult, **changes: Any) -> TrialResult:
    said = Reprieve("audited", 30, result.epochs / 4, "diverging", "diverging at step 7", "of chance")
    return replace(result, reprieves=(said,), **changes)


def doomed_study(audited: int) -> tuple[StudySpec, list[TrialResult]]:
    """A study in which the loss of many diverges; the first few of these were let run on."""
    spec, results = made_up_study(120, 3)
    left = audited
    for number, result in enumerate(results):
        if result.outcome is Outcome.DOOMED and left:
            results[number] = audited_result(result)
            left -= 1
    return spec, results


def test_the_report_says_how_many_stops_were_wrong() -> None:
    spec, results = doomed_study(2)
    doomed = [result for result in results if result.outcome is Outcome.DOOMED]
    found = audit(spec, results)
    assert found.text == (
        f"2 of {len(doomed)} doomed trials were let run on as an audit; none of them came to anything."
    )
    assert found.total is not None
    assert (found.total.judged, found.total.wrong, found.total.stopped) == (2, 0, len(doomed) - 2)
    assert (found.total.low, found.total.high) == wilson(0, 2)
    assert [(row.kind, row.judged) for row in found.rows] == [("diverging", 2)]
    assert found.epochs == pytest.approx(sum(0.75 * result.epochs for result in doomed[:2]))
    assert found.seconds == pytest.approx(sum(0.75 * result.seconds for result in doomed[:2]), abs=1e-3)


def test_wrong_stops_are_those_of_trials_that_ended_in_the_best_quarter() -> None:
    spec, results = doomed_study(4)
    places = [place for place, result in enumerate(results) if result.reprieves]
    changes: list[dict[str, Any]] = [
        {"outcome": Outcome.COMPLETED, "value": 0.999},
        {"outcome": Outcome.COMPLETED, "value": 0.2},
        {"outcome": Outcome.FAILED},
        {},
    ]
    for place, change in zip(places, changes, strict=True):
        results[place] = replace(results[place], **change)
    found = audit(spec, results)
    assert found.total is not None
    assert (found.total.judged, found.total.came_back, found.total.wrong) == (3, 2, 1)
    assert (found.total.low, found.total.high) == wilson(1, 3)
    first, second, third = (results[place].number for place in places[:3])
    assert f"of trial {first} the stop would have been wrong" in found.text
    assert f"trial {second} came back, but not among the best quarter" in found.text
    assert f"trial {third} ended otherwise, and says nothing" in found.text
    assert audit_line(spec.metric, results) in to_note(spec, results, "")


def test_the_pages_show_the_audit(tmp_path: Path) -> None:
    spec, results = doomed_study(2)
    best = max(results, key=lambda result: result.value or 0.0)
    said = Reprieve("spared", 30, 1.0, "not-learning", "not-learning at step 7", "its value is the best")
    results[best.number] = replace(best, reprieves=(said,))
    page = to_markdown(build(spec, results, tmp_path))
    assert "none of them came to anything" in page
    assert "Wrong stops: 0 of 2, so between 0 % and 66 % of all (95 %). To know it cost" in page
    ended = "completed, number 1 of them"
    assert f"| {best.number} | spared | not-learning | 30 | {ended} | Its value is the best. |" in page


def test_stops_without_an_audit_are_said_to_be_unproven() -> None:
    spec, results = doomed_study(0)
    doomed = sum(result.outcome is Outcome.DOOMED for result in results)
    text = (
        f"None of {doomed} doomed trials was let run on as an audit: how many stops were wrong is not known."
    )
    found = audit(spec, results)
    assert (found.text, found.total, found.let_run) == (text, None, ())
    assert audit_line(spec.metric, results) == ""


def test_a_study_without_stops_has_nothing_to_audit(tmp_path: Path) -> None:
    spec, results = made_up_study(20, fails=lambda _: "")
    assert audit(spec, results).text == ""
    assert "audit" not in to_markdown(build(spec, results, tmp_path))


def test_what_was_due_stands_in_the_record_and_in_the_line_of_a_trial() -> None:
    _, results = doomed_study(1)
    (result,) = [result for result in results if result.reprieves]
    said = "audited: would have been stopped at step 30 because of diverging"
    assert result_tags(result, ())["audited"] == f"{said} at step 7; of chance"
    assert (
        set(result_tags(result, ())) - OF_RESULT
        == set(result_tags(replace(result, reprieves=()), ())) - OF_RESULT
    )
    assert f"{said} at step 7; of chance" in result_note(result)
    for outcome in Outcome:
        assert result_line(replace(result, outcome=outcome)).endswith(f"{said})")
