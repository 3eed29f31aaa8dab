"""Trainings that are past their best end by themselves, their best weights kept; no others do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from made_up_study import made_up_study

from searcher.attempt import Attempt
from searcher.books import Books
from searcher.extending import Extension
from searcher.goodtrials import KNOWN, MARGIN, GoodTrials
from searcher.launchers.job import End, Ended, Job
from searcher.opening import load_study
from searcher.pastbest import SHARE, Waits, longest_wait, may_end_early, why_past_best
from searcher.reprieves import is_audited
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult, ranked
from trainers.progress import Progress

Call = Callable[..., Any]
EPOCHS = 18


def spec(metric: dict[str, Any] | None = None, trainer: str = "", **search: Any) -> StudySpec:
    own = {"trainer": trainer} if trainer else {"data": "digits"}
    return StudySpec.model_validate(
        {
            "name": "past",
            "train": own,
            "metric": metric or {},
            "space": {"learning_rate": {"low": 0.1, "high": 1.0}},
            "search": {"trials": 9, **search},
        }
    )


def ended(waits: int, value: float = 0.5, per_epoch: float = 1.0, **also: Any) -> TrialResult:
    """A trial that was better at its second evaluation, and then so many evaluations later."""
    (result,) = made_up_study(1)[1]
    values = {1: value + 2, 2: value + 1, **dict.fromkeys(range(3, 2 + waits), value + 1), 2 + waits: value}
    facts = {**result.facts, "evaluations_per_epoch": per_epoch}
    return replace(result, outcome=Outcome.COMPLETED, value=value, values=values, facts=facts, **also)


def waits(*results: TrialResult, times: int = KNOWN) -> Waits:
    """What is known after these trials, each of them so many times."""
    known = Waits(Metric())
    for result in results * times:
        known.add(result)
    return known


def slow_longest(values: Sequence[float]) -> int:
    """The longest wait, by looking at all pairs of evaluations that were the best so far."""
    best = [i for i, value in enumerate(values) if all(value < before for before in values[:i])]
    return max((j - i for i, j in pairwise(best)), default=0)


def test_the_longest_wait_is_that_between_two_best_ones(rng: np.random.Generator) -> None:
    assert longest_wait({}) == longest_wait({3: 1.0}) == longest_wait({3: 1.0, 9: 1.0}) == 0
    for _ in range(200):
        values = rng.integers(0, 9, rng.integers(1, 15)).astype(float)
        so_far = dict(enumerate(np.minimum.accumulate(values), 1))
        assert longest_wait(so_far) == slow_longest(list(values))


def test_a_training_waits_longer_than_the_good_trials_and_half_as_long_again() -> None:
    known = waits(ended(6, 0.1), ended(3, 0.2), ended(10, 0.3), ended(11, 0.4), times=1)
    patience = known.patience({"epochs": EPOCHS})
    assert patience == math.floor(MARGIN * 6) + 1 == 10, "the better half waited for 6 and 3"
    assert waits(ended(2)).patience({"epochs": EPOCHS}) == EPOCHS * SHARE, "half of its evaluations at least"
    assert waits(ended(2)).patience({"epochs": 50}) == math.ceil(50 * SHARE)


def test_waits_are_epochs_where_trials_are_evaluated_at_different_times() -> None:
    known = waits(ended(6, per_epoch=2.0))
    assert known.patience({"epochs": 3, "evaluations_per_epoch": 4}) == math.floor(MARGIN * 3 * 4) + 1
    assert known.patience({"epochs": 3}) == math.floor(MARGIN * 3 * 2) + 1, "as often as all of them"
    known.add(ended(6, per_epoch=1.0))
    assert known.patience({"epochs": 3}) is None, "how often hangs on the size of the data"


def test_nothing_ends_early_while_it_is_unknown_how_long_good_trials_wait() -> None:
    assert waits(ended(2), times=KNOWN - 1).patience({"epochs": EPOCHS}) is None
    for outcome in (Outcome.PRUNED, Outcome.DOOMED, Outcome.FAILED, Outcome.INFEASIBLE):
        assert waits(replace(ended(2), outcome=outcome)).patience({"epochs": EPOCHS}) is None
    assert waits(ended(2, confirms=0)).patience({"epochs": EPOCHS}) is None, "repeats are none of the search"
    assert waits(ended(2, per_epoch=0.0)).patience({"epochs": EPOCHS}) is None


def test_only_trainings_whose_best_evaluation_counts_end_early() -> None:
    assert may_end_early(spec(), 0, {"patience": None})
    assert not may_end_early(spec(), 0, {"patience": 3}), "it has its own"
    assert not may_end_early(spec(past_best="train"), 0, {})
    assert not may_end_early(spec(pruner="none"), 0, {})
    assert not may_end_early(spec(metric={"of": "last"}), 0, {})
    assert not may_end_early(spec(trainer="late_trainers:late"), 0, {}), (
        "own code keeps its weights at its end"
    )
    audited = next(number for number in range(999) if is_audited(0, number, 0.05))
    assert not may_end_early(spec(), audited, {}), "it shows whether its stop would have been right"
    assert may_end_early(spec(audit=0.0), audited, {})
    both = spec().model_copy(update={"further": (Metric(name="train_loss"),)})
    assert not may_end_early(both, 0, {}), "one metric may get better while another does not"


def test_the_largest_figure_is_that_of_the_better_half(rng: np.random.Generator) -> None:
    for goal in ("minimize", "maximize"):
        known = GoodTrials(Metric(goal=goal))
        seen: list[tuple[float, float]] = []
        for _ in range(20):
            value, figure = rng.random(2)
            known.add(ended(2, float(value)), float(figure))
            seen.append((value if goal == "minimize" else -value, figure))
            half = sorted(seen)[: -(-len(seen) // 2)]
            assert known.most == (max(one for _, one in half) if len(seen) >= KNOWN else math.inf)


def test_a_reason_is_told_of_those_alone_that_had_more_epochs() -> None:
    course = TrialCourse(Metric())
    course.add(Progress(10, 1.0, EPOCHS, {"val_loss": 0.5}))
    assert why_past_best(Metric(), course, 4).startswith(
        "past its best: val_loss was best at epoch 1 and not"
    )
    assert why_past_best(Metric(), course, None) == ""
    course.add(Progress(120, float(EPOCHS), EPOCHS, {"val_loss": 0.6}))
    assert why_past_best(Metric(), course, 4) == ""


def test_what_is_past_its_best_does_not_go_on_beyond_its_end() -> None:
    course = TrialCourse(Metric())
    course.add(Progress(10, 1.0, EPOCHS, {"val_loss": 0.5}))
    attempt: Any = SimpleNamespace(course=course, extension=None, repeat=None, past_best="past its best")
    assert not Books.__new__(Books).extended(attempt, Ended(End.FINISHED, ""))


def test_what_goes_on_beyond_its_end_has_all_of_its_epochs() -> None:
    settings: dict[str, Any] = {"epochs": EPOCHS, "patience": None}
    job = Job(0, None, {**settings, "patience": 4})
    attempt: Any = SimpleNamespace(settings=settings, job=job, waits=4)
    Attempt.extend(attempt, Extension(EPOCHS, 2 * EPOCHS, "it was still improving"))
    assert attempt.job.settings["patience"] is None and attempt.job.settings["epochs"] == 2 * EPOCHS
    own: Any = SimpleNamespace(settings={}, job=Job(0, None, {"patience": 3}), waits=None)
    Attempt.extend(own, Extension(EPOCHS, 2 * EPOCHS, "it was still improving"))
    assert own.job.settings["patience"] == 3, "that of the study file"


def run(
    searcher: Call, trials: int, search: str = "", train: str = "", name: str = "past"
) -> list[TrialResult]:
    """A study of small digits at high rates: most trainings are at their best long before their end."""
    Path("study.toml").write_text(
        f'name = "{name}"\n[train]\ndata = "digits"\nmodel = "mlp"\nmax_samples = 150\nepochs = {EPOCHS}\n'
        f'evaluations_per_epoch = 1\noptimizer = "adam"\ndevice = "cpu"\n{train}\n'
        "[space]\nlearning_rate = { low = 0.01, high = 0.1, log = true }\n"
        f'[search]\nsampler = "random"\ntrials = {trials}\n'
        f'pruner = {{ name = "median", n_startup_trials = 99 }}\n{search}\n'
        '[dispatch]\nlauncher = "inprocess"\n'
    )
    said = searcher("run", "study.toml", "--no-tracking")
    assert said.code == 0, said.err
    return load_study(name, "sqlite:///studies.db").results()


def test_a_study_ends_them_keeps_their_weights_and_says_why(searcher: Call) -> None:
    results = run(searcher, 8)
    early = [result for result in results if result.reason]
    whole = [result for result in results if not result.reason]
    assert len(early) >= 2 and {result.number for result in whole} >= set(range(KNOWN))
    assert all(result.epochs == EPOCHS for result in whole)
    for result in early:
        assert result.outcome is Outcome.COMPLETED and result.facts["ended"] == "finished"
        assert result.best is not None and result.best.metrics["val_loss"] == result.value
        assert result.epochs - result.best.epoch >= EPOCHS * SHARE
        assert result.reason.startswith(
            f"past its best: val_loss was best at epoch {result.best.epoch:.3g} and"
        )
        assert result.settings["patience"] is None, "it is none of the settings"
    kept = {int(path.parent.name) for path in Path("searcher-runs").rglob("weights.pt")}
    assert kept == {result.number for result in ranked(Metric(), results)[:3]} and kept & {
        r.number for r in early
    }
    said = searcher("diagnose", "past", str(early[0].number)).out
    assert "ended: past its best: val_loss was best at epoch" in said


def test_they_are_those_that_went_on_for_nothing(searcher: Call) -> None:
    ended_early, whole = run(searcher, 8), run(searcher, 8, 'past_best = "train"', name="whole")
    assert all(result.epochs == EPOCHS and not result.reason for result in whole)
    for one, other in zip(ended_early, whole, strict=True):
        assert one.sampled == other.sampled and one.settings == other.settings
        assert {due: other.values[due] for due in one.values} == dict(one.values), "the same up to there"


def test_after_an_interruption_it_is_known_how_long_they_waited(searcher: Call) -> None:
    at_once = run(searcher, 8, name="once")
    run(searcher, 5)
    again = run(searcher, 8)
    assert [(r.epochs, r.value, r.reason) for r in again] == [(r.epochs, r.value, r.reason) for r in at_once]


def test_a_patience_in_the_study_file_holds(searcher: Call) -> None:
    results = run(searcher, 6, train="patience = 2")
    assert any(result.epochs < EPOCHS for result in results[:KNOWN])
    assert not any(result.reason for result in results)


def test_a_wrong_word_is_told_with_those_there_are(searcher: Call) -> None:
    with pytest.raises(AssertionError, match=r"(?s)past_best.*stop.*train"):
        run(searcher, 1, 'past_best = "perhaps"')
