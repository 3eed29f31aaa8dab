"""Trials that do not begin to learn when the good ones long have are given up, and nobody else is."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from late_trainers import EPOCHS, late
from made_up_study import made_up_study

from diagnostics import Signals
from searcher.beginnings import BEGUN, begun_at
from searcher.books import Books
from searcher.goodtrials import KNOWN, MARGIN
from searcher.nonstarters import LEAST, NonStarters
from searcher.opening import load_study
from searcher.repeats import Repeat
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, Reprieve, TrialCourse, TrialResult
from trainers.progress import Progress

Call = Callable[..., Any]
SOON, LATER, NEVER = 0.0, 1.5, 99.0


def spec(**search: Any) -> StudySpec:
    return StudySpec.model_validate(
        {
            "name": "late",
            "train": {"trainer": "late_trainers:late"},
            "space": {"begins": {"low": 0.0, "high": 99.0}, "ends": [0.1, 0.5]},
            "search": {"trials": 9, **search},
        }
    )


def ended(begun: float | None, value: float, outcome: Outcome = Outcome.COMPLETED) -> TrialResult:
    """A trial of a made-up study that began to learn then, and came to this."""
    (result,) = made_up_study(1)[1]
    facts = {name: fact for name, fact in result.facts.items() if name != BEGUN}
    facts |= {} if begun is None else {BEGUN: begun}
    return replace(result, outcome=outcome, value=value, facts=facts)


def stopped_at(judge: NonStarters, begins: float, ends: float = 0.1) -> float:
    """The epoch at which such a training is given up; infinity when it is not."""
    course = TrialCourse(Metric())
    for progress in late({"begins": begins, "ends": ends}):
        course.add(progress)
        if judge.why(course):
            return course.epoch
    return math.inf


def judge(*results: TrialResult, times: int = KNOWN, **search: Any) -> NonStarters:
    """One that knows these trials, each so many times."""
    made = NonStarters(spec(**search))
    for result in results * times:
        made.add(result)
    return made


def test_it_is_known_when_a_training_began() -> None:
    course = TrialCourse(Metric())
    for progress in late({"begins": 2.0, "ends": 0.1}):
        course.add(progress)
        known = begun_at(course.facts)
        assert course.has_begun == (None if known is None else math.isfinite(known))
    assert course.facts[BEGUN] == pytest.approx(2.6), "when it was looked at next"


def test_an_evaluation_that_is_better_than_guessing_counts_at_once() -> None:
    """Rules are not asked at every message of a long training."""
    course = TrialCourse(Metric())
    facts = {"trivial_loss": 2.3, "loss_name": "cross_entropy", "evaluations_per_epoch": 1.0}
    for step in range(50, 650, 50):
        losses = Signals.of({"loss": (range(step - 50, step, 10), [2.3] * 5)})
        evaluated = {"val_loss": 1.0, "train_loss": 1.0} if step == 600 else {}
        course.add(Progress(step, step / 600, 9.0, evaluated, losses, facts))
        assert course.has_begun is (None if step == 50 else step == 600), step


def test_a_trial_has_as_long_as_the_slowest_of_the_better_half_and_half_as_much_again() -> None:
    known = judge(ended(0.8, 0.1), ended(2.0, 0.2), ended(5.0, 0.3), ended(None, 0.4))
    assert stopped_at(known, NEVER) == pytest.approx(3.2), f"the first message after {MARGIN * 2.0} epochs"
    assert stopped_at(known, 1.0) == math.inf
    assert stopped_at(judge(ended(0.2, 0.1)), NEVER) == pytest.approx(0.4), f"after {LEAST} of an evaluation"


def test_nobody_is_given_up_while_it_is_unknown_how_slow_the_good_ones_are() -> None:
    assert stopped_at(judge(), NEVER) == math.inf
    few = judge(ended(0.4, 0.1), times=KNOWN - 1)
    assert stopped_at(few, NEVER) == math.inf, "better ones may be slower"
    few.add(ended(0.4, 0.1))
    assert stopped_at(few, NEVER) < math.inf
    assert stopped_at(judge(ended(None, 0.1)), NEVER) == math.inf, "a good one never began at all"
    for outcome in (Outcome.PRUNED, Outcome.DOOMED, Outcome.FAILED):
        assert stopped_at(judge(ended(0.4, 0.1, outcome)), NEVER) == math.inf


def test_repeats_say_nothing_of_the_others() -> None:
    assert stopped_at(judge(replace(ended(0.4, 0.1), confirms=0)), NEVER) == math.inf


@pytest.mark.parametrize("search", [{"non_starters": "train"}, {"pruner": "none"}])
def test_who_wants_all_of_them_keeps_them(search: dict[str, Any]) -> None:
    assert stopped_at(judge(ended(0.4, 0.1), **search), NEVER) == math.inf


@pytest.mark.parametrize(
    ("because", "goes_on"),
    [
        ({}, False),
        ({"repeat": Repeat(0, 1)}, True),
        ({"may_be_pruned": False}, True),  # it says again what it said before it was extended
        ({"audited": True}, True),
    ],
)
def test_who_is_out_of_reach_of_a_pruner_is_no_non_starter(because: dict[str, Any], goes_on: bool) -> None:
    course = TrialCourse(Metric())
    for progress in list(late({"begins": NEVER, "ends": 0.1}))[:4]:
        course.add(progress)
    if because.get("audited"):
        course.let_run(Reprieve("audited", 1, 0.1, "diverging", "it diverges", "to see what comes of it"))
    attempt: Any = SimpleNamespace(**{"repeat": None, "may_be_pruned": True, "course": course, **because})
    books = Books.__new__(Books)
    books._non_starters = judge(ended(0.4, 0.1))
    assert bool(books.behind(attempt, evaluated=False)) is not goes_on


def run(searcher: Call, *points: float, search: str = "") -> list[TrialResult]:
    listed = "".join(f"[[enqueue]]\nbegins = {begins}\nends = 0.1\n" for begins in points)
    Path("study.toml").write_text(
        f'name = "late"\n[train]\ntrainer = "late_trainers:late"\n'
        f"[space]\nbegins = {{ low = 0.0, high = 99.0 }}\nends = [0.1, 0.5]\n"
        f'[search]\nsampler = "random"\ntrials = {len(points)}\n{search}\n'
        f'[dispatch]\nlauncher = "inprocess"\n{listed}'
    )
    said = searcher("run", "study.toml", "--no-tracking")
    assert said.code == 0, said.err
    return load_study("late", "sqlite:///studies.db").results()


def test_a_study_gives_them_up_and_says_why(searcher: Call) -> None:
    first, *_, idle, again = run(searcher, *[SOON] * KNOWN, NEVER, SOON)
    assert first.outcome is Outcome.COMPLETED and first.epochs == EPOCHS
    assert idle.outcome is Outcome.PRUNED and idle.value is None
    assert idle.reason == (
        "not begun to learn at epoch 0.8: its training loss is that of guessing, and the better half of the "
        "completed trials had passed it by epoch 0.4"
    )
    assert again.outcome is not Outcome.DOOMED


def test_after_an_interruption_it_is_known_how_slow_they_were(searcher: Call) -> None:
    run(searcher, *[SOON] * KNOWN)
    *_, idle = run(searcher, *[SOON] * KNOWN, NEVER)
    assert idle.reason.startswith("not begun to learn at epoch 0.8")


def test_they_may_be_trained(searcher: Call) -> None:
    lenient = 'pruner = { name = "median", n_startup_trials = 99 }'
    *_, idle = run(searcher, *[SOON] * KNOWN, NEVER, search=f'non_starters = "train"\n{lenient}')
    assert idle.outcome is Outcome.DOOMED or idle.epochs == EPOCHS


def test_a_wrong_word_is_told_with_those_there_are(searcher: Call) -> None:
    with pytest.raises(AssertionError, match=r"(?s)non_starters.*stop.*train"):
        run(searcher, SOON, search='non_starters = "perhaps"')
