"""The leading trials of a study are trained again with other seeds before one is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
import told_trials
from mlflow import MlflowClient

from searcher.checks import check
from searcher.confirming import confirmation, leaders_of
from searcher.errors import SpecError
from searcher.history import History
from searcher.ledger import Ledger
from searcher.opening import load_study, open_study
from searcher.repeating import Repeating
from searcher.repeats import CONFIRMS, Repeat
from searcher.report.numbers.study_file import study_file
from searcher.samplers import SAMPLERS
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult, searched

Make = Callable[..., StudySpec]
Call = Callable[..., Any]
STORE = "sqlite:///studies.db"


@pytest.fixture
def run(searcher: Call, make_spec: Make, workplace: Path) -> Callable[..., list[TrialResult]]:
    """Runs a study whose leaders are confirmed; the results of all its trials."""

    def call(*options: str, tracking: bool = False, **changes: Any) -> list[TrialResult]:
        train = {"trainer": "own_trainers:seeded", **changes.pop("train", {})}
        spec = make_spec(train=train, search={"confirm": 3, **changes})
        (workplace / "study.toml").write_text(study_file(spec))
        said = searcher("run", "study.toml", *([] if tracking else ["--no-tracking"]), *options)
        assert said.code == 0, said.err
        return load_study("own", STORE).results()

    return call


def repeats_of(results: list[TrialResult]) -> list[TrialResult]:
    return [result for result in results if result.confirms is not None]


def test_the_leaders_are_repeated_with_other_seeds_after_the_search(run: Any, make_spec: Make) -> None:
    results = run(trials=6)
    search, repeats = searched(results), repeats_of(results)
    assert [result.number for result in search] == list(range(6))
    leaders = [leader.number for leader in leaders_of(make_spec().metric, results)]
    assert len(leaders) == 3
    told = [(result.confirms, result.settings["seed"]) for result in repeats]
    assert told[:6] == [(number, seed) for seed in (1, 2) for number in leaders]
    assert all(pair in [(number, 3) for number in leaders] for pair in told[6:]) and told[6:]
    by_number = {result.number: result for result in search}
    for repeat in repeats:
        of = by_number[repeat.confirms]
        assert repeat.settings == {**of.settings, "seed": repeat.settings["seed"]}
        assert repeat.sampled == of.sampled and repeat.value != of.value
    assert all(result.settings.get("seed") is None for result in search)


def test_a_study_that_is_done_repeats_nothing_more_and_one_with_a_larger_budget_goes_on(run: Any) -> None:
    first = run(trials=5)
    assert [result.number for result in run(trials=5)] == [result.number for result in first]
    more = run(trials=9)
    assert len(searched(more)) == 9, "repeats count in no budget"
    after = {result.number for result in more} - {result.number for result in first}
    assert {result.number for result in searched(more)} - {result.number for result in first} <= after
    known = {(result.confirms, result.settings["seed"]) for result in repeats_of(first)}
    again = [(result.confirms, result.settings["seed"]) for result in repeats_of(more)]
    assert known <= set(again) and len(again) == len(set(again)), "no repeat is trained twice"


def test_without_the_key_nothing_is_repeated(run: Any) -> None:
    assert repeats_of(run(confirm=0)) == []


def test_a_study_may_be_confirmed_when_it_is_done(run: Any) -> None:
    assert repeats_of(run(confirm=0, trials=4)) == []
    assert len(repeats_of(run(confirm=1, trials=4))) == 3
    assert len(searched(run(confirm=2, trials=4))) == 4


def test_no_repeat_is_pruned_and_none_prunes_another(run: Any) -> None:
    results = run(trials=12, pruner="asha", train={"noise": 3.0})
    assert any(result.outcome is Outcome.PRUNED for result in searched(results))
    assert {result.outcome for result in repeats_of(results)} == {Outcome.COMPLETED}
    trials = optuna.load_study(study_name="own", storage=STORE).trials
    noted = [trial for trial in trials if any("rung" in name for name in trial.system_attrs)]
    assert noted and not any(CONFIRMS in trial.user_attrs for trial in noted)


def test_settings_that_do_not_hold_with_other_seeds_are_not_named(
    searcher: Call, workplace: Path, make_spec: Make
) -> None:
    train = {"trainer": "own_trainers:seeded", "fragile": True, "noise": 1e-3}
    spec = make_spec(train=train, search={"confirm": 2, "audit": 0.0, "trials": 3})
    points = [{"x": 0.8}, {"x": 0.05}, {"x": 0.9}]
    (workplace / "study.toml").write_text(study_file(spec.model_copy(update={"enqueue": points})))
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    results = load_study("own", STORE).results()
    assert leaders_of(spec.metric, results)[0].number == 1
    known = confirmation(spec.metric, results)
    assert known is not None
    assert [one.trial.number for one in known.trials] == [0, 2, 1]
    lost = known.trials[-1]
    assert len(lost.lost) == 2 and lost.values == () and lost.chance == 0.0
    said = searcher("best", "own")
    assert "by trial 0, mean of 2 other seeds" in said.out and "x = 0.8" in said.out
    assert "trial 1 did not hold with 2 of 2 seeds" in said.out


def test_what_is_said_of_the_best_rests_on_its_repeats(run: Any, searcher: Call, make_spec: Make) -> None:
    results = run(trials=6, train={"noise": 0.02})
    known = confirmation(make_spec().metric, results)
    assert known is not None and known.named.mean is not None
    number, mean = known.named.trial.number, f"{known.named.mean:.4g}"
    for said in (searcher("best", "own").out, searcher("status", "own").out):
        assert f"val_loss {mean} \N{PLUS-MINUS SIGN} " in said and f"by trial {number}, mean of 3" in said
        assert f"% trial {number} is the best of the 3 that were repeated (spread over seeds" in said
        assert "than the mean of its repeats" in said
    repeats = f"6 of 6 trials, 6 completed, {len(repeats_of(results))} repeats"
    assert repeats in searcher("status", "own").out
    shown = " ".join(searcher("show", "own").out.split())
    first = repeats_of(results)[0]
    assert f"repeats trial {first.confirms} with seed 1" in shown
    last = json.loads(searcher("run", "study.toml", "--json", "--no-tracking").out.splitlines()[-1])
    assert last["best_trial"] == number and last["best_mean"] == known.named.mean
    assert last["trials"] == 6 and last["repeats"] == len(repeats_of(results))


def test_the_weights_of_all_that_may_be_named_stay(searcher: Call, workplace: Path, make_spec: Make) -> None:
    spec = make_spec(search={"confirm": 1, "trials": 5}, space={"learning_rate": {"low": 1e-3, "high": 0.1}})
    spec = spec.model_copy(update={"train": {"data": "digits", "max_samples": 200, "epochs": 1}})
    (workplace / "study.toml").write_text(study_file(spec))
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    results = load_study("own", STORE).results()
    kept = {int(path.parent.name) for path in Path("searcher-runs/own").glob("*/weights.pt")}
    assert kept == {leader.number for leader in leaders_of(spec.metric, results)}
    assert {result.settings["seed"] for result in searched(results)} == {0}
    assert {result.settings["seed"] for result in repeats_of(results)} == {1}
    assert len({result.value for result in results}) == len(results), "another seed trains otherwise"


def test_the_record_in_mlflow_says_who_is_named_and_agrees(run: Any, searcher: Call, make_spec: Make) -> None:
    results = run(tracking=True, trials=4, confirm=2)
    assert searcher("verify", "own").code == 0, searcher("verify", "own").out
    known = confirmation(make_spec().metric, results)
    client = MlflowClient(tracking_uri=f"sqlite:///{Path.cwd()}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    (study,) = (run for run in runs if run.data.tags["searcher.kind"] == "study")
    trials = {int(run.data.tags["optuna.trial_number"]): run.data for run in runs if run is not study}
    assert known is not None and study.data.tags["named"] == str(known.named.trial.number)
    for one in known.trials:
        tags = trials[one.trial.number].tags
        assert float(tags["confirmed.mean"]) == pytest.approx(one.mean, rel=1e-5)
        assert float(tags["confirmed.chance"]) == pytest.approx(one.chance, rel=1e-5)
    for repeat in repeats_of(results):
        assert trials[repeat.number].tags["confirms"] == str(repeat.confirms)
        assert trials[repeat.number].tags["seed"] == str(repeat.settings["seed"])
    best = client.get_metric_history(study.info.run_id, "best_so_far")
    assert [point.step for point in best] == [1, 2, 3, 4], "the course of the search has no repeats in it"
    client.delete_tag(study.info.run_id, "named")
    assert searcher("verify", "own").code == 1
    assert searcher("repair", "own").code == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": {"trainer": "own_trainers:seeded"}, "space": {"seed": [0, 1]}}, "[space] searches seed"),
        ({"train": {"trainer": "own_trainers:seeded", "seed": "lucky"}}, "has to be a whole number"),
    ],
)
def test_a_study_whose_seed_is_not_free_cannot_be_confirmed(
    changes: dict[str, Any], message: str, make_spec: Make
) -> None:
    with pytest.raises(SpecError) as caught:
        check(make_spec(search={"confirm": 2}, **changes), "study.toml")
    (mistake,) = caught.value.mistakes
    assert mistake.place == "search.confirm" and message in mistake.message


def test_a_sampler_of_a_later_run_sees_each_point_once_at_the_mean_of_its_repeats(run: Any) -> None:
    results = run(trials=6)
    seen = History(optuna.load_study(study_name="own", storage=STORE), (), told_complete=False).get_trials()
    assert [trial.number for trial in seen] == [result.number for result in searched(results)]
    for trial in seen:
        values = [result.value for result in repeats_of(results) if result.confirms == trial.number]
        wanted = sum(values) / len(values) if values else results[trial.number].value
        assert trial.value == pytest.approx(wanted)


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"cma-es", "gp", "nsga-iii"}))
def test_every_sampler_goes_on_after_a_confirmation(
    sampler: str, searcher: Call, workplace: Path, make_spec: Make
) -> None:
    xs = [0.05, 0.2, 0.35, 0.5, 0.65, 0.8, 0.95]
    finite = sampler in ("grid", "brute-force")
    space = {"x": xs if finite else {"low": 0.0, "high": 1.0}}
    for trials in (4, 7):
        search = {"sampler": sampler, "confirm": 1, "trials": trials}
        spec = make_spec(train={"trainer": "own_trainers:seeded"}, space=space, search=search)
        (workplace / "study.toml").write_text(study_file(spec))
        said = searcher("run", "study.toml", "--no-tracking")
        assert said.code == 0, said.err
        results = load_study("own", STORE).results()
        assert len(searched(results)) == trials and len(repeats_of(results)) >= 3
    if finite:
        assert sorted(result.settings["x"] for result in searched(results)) == xs


def test_a_study_whose_hours_were_used_goes_on_with_its_repeats(make_spec: Make, workplace: Path) -> None:
    search = {"trials": None, "hours": 1.0, "confirm": 2}
    spec = make_spec(search={name: value for name, value in search.items() if value is not None})
    store = open_study(spec, STORE)
    assert not store.is_search_over()
    trial, _ = store.ask()
    store.ask(Repeat(trial.number, 1))
    assert open_study(spec, STORE).is_search_over()
    again = open_study(make_spec(search={**search, "trials": 4, "hours": 2.0}), STORE)
    assert not again.is_search_over(), "with a larger budget it searches on"
    with again.exclusive():
        again.requeue_orphans()
    known = again.repeats()
    assert known is not None and known.waiting == Repeat(trial.number, 1)
    number = store.ask(Repeat(trial.number, 1))[0].number
    assert number == trial.number + 1, "the one that waits is taken up, and none is made"


def test_nobody_leaves_before_all_results_are_heard_and_what_they_lead_to_is_trained(
    make_spec: Make, workplace: Path
) -> None:
    spec = make_spec(search={"confirm": 1, "trials": 2})
    here, there = open_study(spec, STORE), open_study(spec, STORE)
    ledger, said = Ledger(spec.metric, workplace), []
    repeating = Repeating(spec, here, ledger, said.append)
    told_trials.train(there)
    assert not repeating.is_done() and said == []
    for result in here.news():
        ledger.add(result)
    assert repeating.next(0) == Repeat(0, 1)
    (note,) = said
    assert "trial 0 is trained again with another seed" in note.text
    trial, _ = there.ask(Repeat(0, 1))
    other = Repeating(spec, open_study(spec, STORE), ledger, said.append)
    assert other.next(0) is None, "another one trains it"
    assert trial.number == 1
