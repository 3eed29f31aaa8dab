"""The paragraph on top, how sure the best value is, what verdicts cost, and how to get it all again."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from made_up_study import SPACE, made_up_study, never

from diagnostics import Signals, Verdict
from searcher.catalog import find_study
from searcher.environment import Environment
from searcher.report.numbers.convergence import convergence
from searcher.report.numbers.failures import failure_map
from searcher.report.numbers.headline import headline
from searcher.report.numbers.next_study import next_study
from searcher.report.numbers.regions import ANY
from searcher.report.numbers.reproduction import reproduction
from searcher.report.numbers.sureness import STUDENT, equals_of, spread_of
from searcher.report.numbers.verdicts import verdicts
from searcher.report.observations import FailureMap
from searcher.report.study_report import Headline, Spread
from searcher.spec import Metric, StudySpec, parse_spec, read_spec
from searcher.summary import best_result
from searcher.trial import Outcome, TrialResult

HERE = Environment({"python": "3.11.1", "torch": "2.13.0"}, "a machine", "searcher run", "12ab" * 10)


def head(spec: StudySpec, results: Sequence[TrialResult], spread: Spread | None = None) -> Headline:
    """The first section of a report."""
    failures, search = failure_map(spec, results), convergence(spec, results, spread)
    return headline(
        spec, results, spread, failures, search, next_study(spec, results, failures, search.at_bounds)
    )


def test_the_paragraph_says_what_was_searched_what_came_of_it_and_what_is_next() -> None:
    spec, results = made_up_study(60, 4)
    best = best_result(spec, results)
    assert best is not None and best.value is not None
    found = head(spec, results, Spread(0.001, "evaluations", 6))
    well = sum(result.verdict in (Verdict.CONVERGED, Verdict.IMPROVING) for result in results)
    for part in (
        "60 trials searched learning_rate (1e-4 to 1, log), batch_size (4 choices), dropout (0 to 0.6) and 4",
        f"The best is trial {best.number} with val_accuracy {best.value:.3g}, at epoch ",
        "(noise of one evaluation: ± 1e-3, by its last 6 evaluations; the best of many is likely a little",
        f"{well} of 60 trials trained well",
        "What went wrong with the others: diverging (",
        " diverged; elsewhere 0 of ",
        "What to change, as said of trial",
        "Next: search learning_rate in ",
    ):
        assert part in found.text
    assert found.well == well and found.trials == 60
    assert sum(found.outcomes.values()) == 60
    assert found.troubles[0].kind == "diverging"
    assert {r.number for r in results if r.outcome is Outcome.DOOMED} == set(found.troubles[0].trials)


def test_nothing_one_and_only_failures() -> None:
    assert head(*made_up_study(0)).text.startswith("No trial has ended yet. The study searches learning_rate")
    one = head(*made_up_study(1, fails=never, pruned=0.0))
    assert one.text.startswith("1 trial searched") and "1 of 1 trial trained well" in one.text
    assert "equal to it" not in one.text
    failed = head(*made_up_study(30, fails=lambda _: "diverging"))
    assert "None of the 30 trials was trained to its end" in failed.text
    assert failed.text.endswith("Next: mend that before searching on.")
    assert failed.best is None and failed.well == 0


@pytest.mark.parametrize("source", ["seeds", "evaluations", "samples"])
def test_the_noise_of_one_value_is_not_called_an_interval_of_the_best(source: str) -> None:
    said = head(*made_up_study(20, fails=never), Spread(0.01, source, 5)).text
    assert "noise of one" in said and "the best of many is likely a little lucky" in said
    assert "95 %" not in said
    assert "lucky" not in head(*made_up_study(1, fails=never, pruned=0.0), Spread(0.01, source, 5)).text


def test_where_it_went_wrong_is_said_of_what_is_named() -> None:
    spec, results = made_up_study(60, 4)
    search, failures = convergence(spec, results, None), failure_map(spec, results)
    following = next_study(spec, results, failures, search.at_bounds)
    rule = next(region for region in failures.regions if region.conditions)
    for kind, is_told in (("diverging", True), (ANY, True), ("loss-spike", False), ("saturation", False)):
        found = FailureMap((), (replace(rule, kind=kind),))
        assert ("Where: " in headline(spec, results, None, found, search, following).text) is is_told, kind


def test_pruned_trials_are_no_trouble_but_bad_verdicts_are() -> None:
    spec, results = made_up_study(20, 2, never, pruned=1.0)
    assert head(spec, results).troubles == ()
    unstable = replace(results[0], outcome=Outcome.COMPLETED)
    unstable = replace(unstable, report=replace(unstable.report, verdict=Verdict.UNSTABLE))
    lost = replace(results[1], outcome=Outcome.FAILED, reason="its worker was killed\nlog", value=None)
    found = head(spec, [unstable, lost, *results[2:]])
    assert {trouble.kind for trouble in found.troubles} == {"unstable", "its worker was killed"}


def with_values(*values: float, **settings: Sequence[Any]) -> tuple[StudySpec, list[TrialResult]]:
    """Completed trials with these values, and these settings by trial."""
    spec, results = made_up_study(len(values), 1, never, pruned=0.0, space={**SPACE, "seed": [0, 1, 2, 3]})
    same = results[0].settings
    changed = [{**same, **{name: there[i] for name, there in settings.items()}} for i in range(len(values))]
    return spec, [
        replace(r, value=v, settings=s, sampled=results[0].sampled)
        for r, v, s in zip(results, values, changed, strict=True)
    ]


def test_repeated_seeds_say_how_sure_a_value_is() -> None:
    values = (0.90, 0.92, 0.94)
    spec, results = with_values(*values, 0.1, seed=(0, 1, 2, 0), depth=(2, 2, 2, 3))
    found = spread_of(spec, results, results[2], Signals())
    assert found == Spread(pytest.approx(STUDENT[1] * np.std(values, ddof=1)), "seeds", 3)
    spec, results = with_values(0.90, 0.94, 0.5, 0.6, seed=(0, 1, 0, 1), depth=(2, 2, 3, 3))
    found = spread_of(spec, results, results[1], Signals())
    pooled = math.sqrt((2 * 0.02**2 + 2 * 0.05**2) / 2)
    assert found == Spread(pytest.approx(STUDENT[1] * pooled), "seeds", 4)


def test_the_same_seed_twice_is_no_repetition() -> None:
    spec, results = with_values(0.9, 0.9, 0.5, seed=(0, 0, 1), depth=(2, 2, 3))
    found = spread_of(spec, results, results[0], Signals())
    assert found is None or found.source == "samples"


def test_the_noise_of_evaluations_is_that_about_their_trend(rng: np.random.Generator) -> None:
    spec, results = made_up_study(1, fails=never, pruned=0.0)
    best = replace(results[0], facts={})
    line = np.linspace(0.2, 0.8, 300)
    values = line + 0.01 * rng.normal(size=300)
    found = spread_of(spec, results, best, Signals.of({"val_accuracy": (range(300), values)}))
    assert found is not None and found.source == "evaluations" and found.samples == 100
    assert found.half_width == pytest.approx(1.96 * 0.01, rel=0.3)
    straight = spread_of(spec, results, best, Signals.of({"val_accuracy": (range(300), line)}))
    assert straight is not None and straight.half_width == pytest.approx(0, abs=1e-9)
    assert spread_of(spec, results, best, Signals.of({"val_accuracy": (range(3), line[:3])})) is None
    assert spread_of(spec, results, best, Signals()) is None


def test_few_validation_samples_may_leave_more_than_the_evaluations() -> None:
    spec, results = made_up_study(1, fails=never, pruned=0.0)
    best = replace(results[0], value=0.9)
    flat = Signals.of({"val_accuracy": (range(12), np.full(12, 0.9))})
    found = spread_of(spec, results, best, flat)
    assert found == Spread(pytest.approx(1.96 * math.sqrt(0.09 / 270)), "samples", 270)
    losses = spec.model_copy(update={"metric": Metric(name="val_loss")})
    assert spread_of(losses, results, best, Signals()) is None


def test_equals_are_within_the_noise_of_a_difference() -> None:
    spec, results = with_values(0.90, 0.89, 0.86, 0.70)
    results[1] = replace(results[1], outcome=Outcome.PRUNED)
    assert equals_of(spec, results, results[0], Spread(0.03, "seeds", 3)) == (2,)
    assert equals_of(spec, results, results[0], None) == ()
    losses = spec.model_copy(update={"metric": Metric(name="val_loss", goal="minimize")})
    spec, results = with_values(0.40, 0.41, 0.44, 0.60)
    assert equals_of(losses, results, results[0], Spread(0.03, "seeds", 3)) == (1, 2)


def test_verdicts_count_trials_and_device_time_in_the_order_of_the_vocabulary() -> None:
    _, results = made_up_study(60, 1)
    found = verdicts(results)
    order = [verdict.value for verdict in Verdict]
    assert [row.verdict for row in found.rows] == sorted((row.verdict for row in found.rows), key=order.index)
    assert sum(row.trials for row in found.rows) == 60
    assert sum(row.seconds for row in found.rows) == pytest.approx(sum(r.seconds for r in results), abs=0.1)


def test_time_is_saved_at_the_pace_of_the_trial_but_no_slower_than_the_slowest() -> None:
    _, results = made_up_study(20, 1, never, pruned=0.0)
    whole = replace(results[0], epochs=12.0, seconds=24.0)
    pruned = replace(results[1], outcome=Outcome.PRUNED, epochs=4.0, seconds=4.0)
    doomed = replace(results[2], outcome=Outcome.DOOMED, epochs=0.5, seconds=30.0)
    assert verdicts([whole, pruned, doomed]).saved == {"pruned": 8.0, "doomed": 23.0}
    found = verdicts([whole, replace(pruned, settings={})])
    assert found.saved == {} and found.note.startswith("1 trial was stopped early with planned epochs")
    assert "No trial was stopped early" in verdicts([whole]).note
    assert verdicts([]).note == "No trial has ended yet."


def test_what_it_takes_to_get_the_results_again() -> None:
    spec, results = made_up_study(20, 3)
    found = reproduction(spec, results, HERE)
    assert found.command == "searcher run made-up.toml" and found.seed == 3
    assert (found.versions, found.git_commit) == (HERE.versions, HERE.git_commit)
    assert (found.device, found.data_digest) == ("cpu", "3f3ec3678edb3ea2")
    assert found.best_settings.startswith("[train]\n") and "learning_rate = " in found.best_settings
    assert 'name = "made-up"' in found.study_file
    mixed = [replace(results[0], facts={**results[0].facts, "device": "cuda"}), *results[1:]]
    assert reproduction(spec, mixed, HERE).device == "cpu (19 trials), cuda (1 trial)"
    assert reproduction(spec, [], HERE).best_settings == ""


def test_a_study_that_comes_along_is_run_by_its_name() -> None:
    spec = read_spec(find_study("digits-mlp"))
    assert reproduction(spec, [], HERE).command == "searcher run digits-mlp"
    raw = spec.model_dump()
    fewer = {**raw, "search": {**raw["search"], "trials": 7, "seed": 3}, "train": {**spec.train, "epochs": 2}}
    command = reproduction(parse_spec(fewer, "x"), [], HERE).command
    assert command == "searcher run digits-mlp --trials 7 --seed 3 --set epochs=2"
    odd = {**raw, "train": {**spec.train, "deterministic": True, "data_dir": "/my data"}}
    command = reproduction(parse_spec(odd, "x"), [], HERE).command
    assert shlex.split(command)[3:] == ["--set", "deterministic=true", "--set", "data_dir=/my data"]
    other = {**raw, "space": {"dropout": raw["space"]["dropout"]}}
    assert reproduction(parse_spec(other, "x"), [], HERE).command == "searcher run digits-mlp.toml"
