"""Rehearsals: made-up studies whose answer is known by hand, and studies that were really run that way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recorded_trials import COMPLETED, made_up, trial
from scipy.stats import mannwhitneyu

from diagnostics import Finding, Report, Severity, Verdict
from searcher.contest import Contest
from searcher.opening import load_study
from searcher.pruning import build_judge
from searcher.rehearsal.compare import Rehearsal, Wanted, rehearsal_of
from searcher.rehearsal.course import AsRecorded, Ended, rehearse
from searcher.rehearsal.figures import is_clearly_sooner, quartiles
from searcher.rehearsal.recordings import Ending, recordings_of, trials_at_once
from searcher.rehearsal.words import conclusion
from searcher.samplers import PRUNERS
from searcher.spec import Named, parse_spec
from searcher.study import Places, run_study
from searcher.trial import Outcome, TrialResult

CROSSING: dict[str, Any] = {
    "name": "crossing",
    "train": {"trainer": "own_trainers:crossing"},
    "space": {name: {"low": 0.0, "high": 1.0} for name in ("x", "late")},
    "search": {"sampler": "random", "trials": 16},
    "dispatch": {"launcher": "inprocess"},
}
CONTEST = Contest("crossing", "minimize")


MEDIAN = Named(name="median", n_startup_trials=1)


def alone(results: Sequence[TrialResult], pruner: Named, **wanted: Any) -> Rehearsal:
    return rehearsal_of(made_up(), results, wanted.pop("noise", None), Wanted(pruner=pruner, **wanted))


def test_a_pruner_gives_up_those_that_fall_behind_and_counts_what_that_saves() -> None:
    rehearsal = alone(COMPLETED, MEDIAN, noise=0.06)
    run = rehearsal.rows[0].runs[0]
    assert (run.completed, run.pruned, run.unknown) == (3, 2, 0)
    assert (run.epochs, run.most, run.seconds) == (4 + 1 + 4 + 1 + 4, 14, 140)
    assert (run.best, run.lost) == (0.45, (3,)), "trials 3 and 4 are the best two of five"
    assert rehearsal.aim.top == (3, 4) and rehearsal.aim.best == 0.4
    assert (run.reached, rehearsal.recorded.reached) == (14, 16), "0.46 is as good; trial 3 came to it first"
    assert rehearsal.recorded.epochs == 20 and rehearsal.recorded.pruned == 0
    assert rehearsal.marks == (2, 5, 10, 15, 20)
    assert rehearsal.recorded.so_far == (None, 1, 1, 0.5, 0.4)
    assert run.so_far == (None, 1, 0.5, 0.45, 0.45)


def test_what_is_not_as_good_as_the_best_is_not_found() -> None:
    run = alone(COMPLETED, MEDIAN).rows[0].runs[0]
    assert run.reached is None and run.reached_most is None and run.best == 0.45


def test_of_a_trial_that_the_study_gave_up_nothing_is_made_up() -> None:
    results = [COMPLETED[0], trial(1, [2.0, 1.9], "pruned"), COMPLETED[2], COMPLETED[3]]
    run = alone(results, Named(name="none")).rows[0].runs[0]
    assert (run.completed, run.unknown, run.pruned) == (3, 1, 0)
    assert (run.epochs, run.most) == (14, 16), "two of its four epochs are not on record"
    assert (run.reached, run.reached_most) == (14, 16)
    assert alone(results, Named(name="none")).recorded.pruned == 1
    sooner = alone(results, Named(name="threshold", upper=1.95)).rows[0].runs[0]
    assert sooner.unknown == 0, "given up before the study did so, its course is known"


def test_a_trial_that_was_given_up_at_its_last_evaluation_is_known_as_a_whole() -> None:
    run = alone([COMPLETED[0], trial(1, [2, 2, 2, 0.1], "pruned")], Named(name="none")).rows[0].runs[0]
    assert (run.completed, run.unknown, run.best) == (2, 0, 0.1)


def test_a_training_that_could_not_recover_ends_where_it_did_whatever_the_pruner() -> None:
    finding = Finding("diverging", Severity.FATAL, 9, {}, "it rose", "less")
    doomed = trial(1, [5, 6], "doomed", report=Report(Verdict.DIVERGED, (finding,), {}), value=7.0)
    doomed.values[3] = 7.0  # type: ignore[index]  # the stand-in, as the store keeps it
    failed = trial(2, [1.0], "failed")
    rehearsal = alone([COMPLETED[0], doomed, failed], Named(name="none"))
    run = rehearsal.rows[0].runs[0]
    assert (run.trials, run.completed, run.pruned, run.unknown, run.epochs) == (2, 1, 0, 0, 6)
    assert rehearsal.left_out == 1
    recording = recordings_of([doomed])[0]
    assert [evaluated.value for evaluated in recording.evaluations] == [5, 5]
    assert (recording.constraints, recording.value) == ({"diverging": 1.0}, 7.0)


def test_a_trial_out_of_time_would_be_so_again() -> None:
    finding = Finding("timeout", Severity.WARNING, 9, {}, "too long", "less")
    report = Report(Verdict.INCOMPLETE, (finding,), {})
    late = trial(1, [2.0, 1.9], "pruned", report=report)
    run = alone([COMPLETED[0], late], Named(name="none")).rows[0].runs[0]
    assert (run.unknown, run.epochs, run.most) == (0, 6, 6)


def test_trials_at_once_take_turns_by_their_seconds() -> None:
    slow = trial(0, [4, 3, 2, 1.0], seconds=400.0)
    ends = rehearse(
        AsRecorded(recordings_of([slow, *COMPLETED[1:3]])), build_judge("none", {}, CONTEST), slots=2
    )
    assert [(ended.number, ended.spent) for ended in ends] == [(1, 4), (2, 8), (0, 12)]
    assert [ended.seconds for ended in ends] == [40, 40, 400]


def test_how_many_were_trained_at_once_follows_from_their_times() -> None:
    one_by_one = [trial(n, [1.0], seconds=10.0, ended_at=10.0 * (n + 1)) for n in range(4)]
    assert trials_at_once(one_by_one) == 1
    assert trials_at_once([*one_by_one, trial(4, [1.0], seconds=3.0, ended_at=14.0)]) == 2
    assert trials_at_once([]) == trials_at_once([trial(0, [], seconds=0.0)]) == 1


def test_evaluations_without_a_clock_of_their_own_are_evenly_spaced() -> None:
    recording = recordings_of([trial(0, [4, 3], facts={}, epochs=1.0)])[0]
    assert [(e.due, e.epochs) for e in recording.evaluations] == [(1, 0.5), (2, 1.0)]
    several = trial(0, [4, 3, 2, 1], facts={"evaluations_per_epoch": 2}, epochs=2.0)
    assert [e.epochs for e in recordings_of([several])[0].evaluations] == [0.5, 1, 1.5, 2]


@pytest.fixture
def run_crossing(workplace: Path) -> Callable[[str, Any, int], list[TrialResult]]:
    """Runs the study of crossing losses with a pruner, for real; its results."""

    def run(pruner: str, options: dict[str, Any], seed: int) -> list[TrialResult]:
        search = {"pruner": {"name": pruner, **options}, "seed": seed}
        spec = parse_spec({**CROSSING, "search": {**CROSSING["search"], **search}}, "study.toml")
        storage = f"sqlite:///{pruner}.db"
        run_study(spec, Places(storage, None, workplace / pruner, report=False), lambda event: None)
        return load_study("crossing", storage).results()

    return run


def test_a_rehearsal_says_of_every_pruner_what_a_study_with_it_does(
    run_crossing: Callable[[str, Any, int], list[TrialResult]],
) -> None:
    seed = int(np.random.default_rng().integers(10_000))
    whole = run_crossing("none", {}, seed)
    assert len(whole) == 16
    for name in PRUNERS:
        options = {"upper": 0.9} if name == "threshold" else {}
        really = run_crossing(name, options, seed) if name != "none" else whole
        for known in (whole, really):  # the study's own record says the same of the pruner it had
            ends = rehearse(AsRecorded(recordings_of(known)), build_judge(name, options, CONTEST))
            assert [_as_ended(ended) for ended in ends] == [_as_recorded(result) for result in really], name


def _as_ended(ended: Ended) -> tuple[int, bool, float, list[float]]:
    return ended.number, ended.ending is Ending.PRUNED, ended.epochs, list(ended.values.values())


def _as_recorded(result: TrialResult) -> tuple[int, bool, float, list[float]]:
    pruned, values = result.outcome is Outcome.PRUNED, list(result.values.values())
    return result.number, pruned, result.epochs, values[:-1] if result.outcome is Outcome.DOOMED else values


def test_without_a_clear_winner_none_is_named() -> None:
    values = np.random.default_rng().permutation(20)
    results = [
        trial(n, [float(value)], settings={"x": n / 20, "epochs": 1}) for n, value in enumerate(values)
    ]
    said = conclusion(rehearsal_of(made_up(), results, 30.0, Wanted(seeds=4, slots=1)))
    assert "no pruner is known to have come to as good a val_loss sooner than the 1 epochs" in said[0]
    assert said[-1].startswith("No sampler goes through these points clearly sooner")


def test_the_pruner_that_is_there_first_and_the_cheapest_are_named_with_their_price() -> None:
    slow = [trial(n, [9, 8, 7, 6]) for n in (1, 2, 3)]
    results = [COMPLETED[0], *slow, trial(4, [3, 2, 1, 0.1])]
    first, cheapest, _ = conclusion(rehearsal_of(made_up(), results, None, Wanted(seeds=1, slots=1)))
    assert (
        "asha would have been there first: as good a val_loss after 11 epochs, where the study took 20"
        in first
    )
    assert cheapest.startswith("asha goes through all 5 trials in the fewest epochs and still finds it: 11")
    assert "45 % of all its epochs saved, and none of its 2 best trials given up" in cheapest


def test_quartiles_are_numbers_that_occur_and_never_is_larger_than_all() -> None:
    assert quartiles([3.0, None, 1.0, 2.0]) == (1.0, 2.0, 3.0)
    assert quartiles([None, None]) == (None, None, None)
    assert quartiles([7.0]) == (7.0, 7.0, 7.0)


def test_what_is_clearly_sooner_is_what_the_rank_sum_test_says() -> None:
    rng = np.random.default_rng()
    for _ in range(50):
        ours, theirs = rng.normal(size=8), rng.normal(rng.uniform(0, 3), size=10)
        ours[rng.integers(8)] = np.inf
        options = {"alternative": "less", "method": "asymptotic", "use_continuity": False}
        chance = mannwhitneyu(ours, theirs, **options).pvalue
        never = [None if math.isinf(value) else float(value) for value in ours]
        assert is_clearly_sooner(never, list(map(float, theirs))) == (chance < 0.0249979)
    assert not is_clearly_sooner([1.0], [2.0]) and not is_clearly_sooner([None] * 9, [None] * 9)
