"""A new study that earlier ones guide: which of their trials, what the sampler makes of them, and no more."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from told_trials import told, train

from searcher.catalog import find_study
from searcher.checks import check
from searcher.environment import environment
from searcher.errors import NotFound, SearcherError, SpecError, StudyChanged
from searcher.opening import load_study, open_study
from searcher.report.numbers.reproduction import reproduction
from searcher.spec import StudySpec, parse_spec, read_spec
from searcher.store import StudyStore
from searcher.trial import Outcome
from searcher.warmstart import WARM_START, WarmStart, warm_start

Make = Callable[..., StudySpec]
X = {"low": 0.0, "high": 1.0}
SPACE = {"x": X, "y": {"low": 1e-4, "high": 1.0, "log": True}, "kind": ["a", "b"]}
TPE = {"sampler": "tpe", "pruner": "none", "trials": 8}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def seen_by_sampler(store: StudyStore) -> list[optuna.trial.FrozenTrial]:
    """All trials that the sampler of a study learns from."""
    sampler: Any = store._study.sampler
    return list(sampler._seen(store._study).get_trials())


def test_earlier_trials_guide_the_first_point(make_spec: Make, url: str) -> None:
    """Cold, ten points are drawn evenly; warm, they lie near the optimum that is known."""
    early = make_spec(name="early", space=SPACE, search=TPE)
    store = open_study(early, url)
    for place in np.random.default_rng().permutation(np.linspace(0.02, 0.98, 40)):
        store.enqueue({"x": float(place)})
        train(store)
    warm = make_spec(name="warm", space=SPACE, search={**TPE, "warm_start": ["early"]})
    places = [train(open_study(warm, url))["x"] for _ in range(10)]
    assert np.mean(np.abs(np.array(places) - 0.7) < 0.2) >= 0.8, places


def test_the_study_has_no_trials_but_its_own(make_spec: Make, url: str) -> None:
    told(make_spec(name="early", search=TPE), url, 5)
    store = open_study(make_spec(name="warm", search={**TPE, "warm_start": ["early"]}), url)
    assert store.notes == ("warm start: 5 of 5 finished trials of study 'early' guide the sampler",)
    assert store.results() == [] and store.begun() == 0 and store.unfinished() == []
    assert optuna.load_study(study_name="warm", storage=url).trials == []
    assert store.ask()[0].number == 0
    assert [trial.number for trial in seen_by_sampler(store)] == [-5, -4, -3, -2, -1, 0]


def test_the_same_earlier_trials_give_the_same_points_whatever_becomes_of_them(
    make_spec: Make, tmp_path: Path
) -> None:
    runs = []
    for name, interrupted in (("whole", False), ("interrupted", True)):
        url = f"sqlite:///{tmp_path / name}.db"
        seed = {"seed": 5}
        told(make_spec(name="early", space=SPACE, search={**TPE, **seed}), url, 12)
        spec = make_spec(name="warm", space=SPACE, search={**TPE, **seed, "warm_start": ["early"]})
        store, points = open_study(spec, url), []
        for _ in range(6):
            if interrupted:
                store.ask()
                early = load_study("early", url)
                train(early)  # it goes on meanwhile
                store = open_study(spec, url)
                assert store.requeue_orphans() == 1
            points.append(train(store))
        runs.append(points)
    assert runs[0] == runs[1]


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_samplers_that_learn_take_earlier_trials(sampler: str, make_spec: Make, url: str) -> None:
    told(make_spec(name="early", space=SPACE, search=TPE), url, 12)
    search = {**TPE, "sampler": sampler}
    cold, warm = (
        told(make_spec(name=name, space=SPACE, search={**search, "warm_start": earlier}), url, 3)
        for name, earlier in (("cold", []), ("warm", ["early"]))
    )
    assert all(one != other for one, other in zip(cold, warm, strict=True))


def test_other_samplers_are_refused(make_spec: Make) -> None:
    for sampler in ("random", "qmc", "cma-es", "nsga-ii", "grid"):
        spec = make_spec(space={"x": [1, 2]}, search={"sampler": sampler, "warm_start": ["early"]})
        with pytest.raises(
            SpecError, match=f"'{sampler}' learns nothing from other studies; choose from: tpe"
        ):
            check(spec, "study.toml")


def test_each_outcome_enters_as_the_sampler_knows_it(make_spec: Make, url: str) -> None:
    early = make_spec(name="early", search=TPE)
    points = [train(open_study(early, url), outcome) for outcome in Outcome]
    there = optuna.load_study(study_name="early", storage=url).trials
    store = open_study(make_spec(name="warm", search={**TPE, "warm_start": ["early"]}), url)
    assert store.notes[0].endswith(
        "4 of 5 finished trials of study 'early' guide the sampler; left out: it failed by accident (1)"
    )
    seen = seen_by_sampler(store)
    assert [trial.params for trial in seen] == points[:4]
    for before, now in zip(there, seen, strict=False):
        assert (now.state, now.intermediate_values, now.constraints, now.distributions) == (
            before.state,
            before.intermediate_values,
            before.constraints,
            before.distributions,
        )
        assert now.value == before.value or now.state is optuna.trial.TrialState.PRUNED
    assert [trial.constraints for trial in seen] == [{}, {}, {"diverging": 1.0}, {}]


@pytest.mark.parametrize(
    ("there", "words"),
    [
        (
            {"metric": {"goal": "maximize"}},
            r"its metric is val_loss \(maximize, best\), but here it is val_loss",
        ),
        ({"metric": {"of": "last"}}, r"its metric is val_loss \(minimize, last\)"),
        ({"train": {"trainer": "a:b"}}, "its trainer is a:b, but here it is own_trainers:quick"),
    ],
)
def test_a_study_of_another_kind_is_refused_and_nothing_is_begun(
    there: dict[str, Any], words: str, make_spec: Make, url: str
) -> None:
    told(make_spec(name="early", **there), url, 1)
    with pytest.raises(SearcherError, match=words):
        open_study(make_spec(name="warm", search={**TPE, "warm_start": ["early"]}), url)
    with pytest.raises(NotFound):
        load_study("warm", url)


def test_a_study_that_is_not_there_is_told_with_those_that_are(make_spec: Make, url: str) -> None:
    told(make_spec(name="early"), url, 1)
    with pytest.raises(NotFound, match="did you mean 'early'"):
        open_study(make_spec(name="warm", search={**TPE, "warm_start": ["erly"]}), url)


def test_a_study_goes_on_only_with_what_it_was_begun_with(make_spec: Make, url: str) -> None:
    for name in ("one", "two"):
        told(make_spec(name=name), url, 2)
    told(make_spec(name="warm", search={**TPE, "warm_start": ["one"]}), url, 1)
    told(make_spec(name="cold", search=TPE), url, 1)
    for name, earlier in (("warm", ["two"]), ("warm", ["one", "two"]), ("warm", []), ("cold", ["one"])):
        with pytest.raises(StudyChanged, match="warm_start: recorded"):
            open_study(make_spec(name=name, search={**TPE, "warm_start": earlier}), url)
    assert open_study(make_spec(name="warm", search={**TPE, "warm_start": ["one"]}), url).notes


def test_a_start_that_died_before_it_took_them_takes_them_later(
    make_spec: Make, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(make_spec(name="early"), url, 3)
    spec = make_spec(name="warm", search={**TPE, "warm_start": ["early"]})

    def dies(self: WarmStart) -> dict[str, Any]:
        raise KeyboardInterrupt

    monkeypatch.setattr(WarmStart, "to_record", dies)
    with pytest.raises(KeyboardInterrupt):
        open_study(spec, url)
    monkeypatch.undo()
    assert len(seen_by_sampler(open_study(spec, url))) == 3


def test_what_is_kept_is_read_as_it_was(make_spec: Make, url: str) -> None:
    told(make_spec(name="early", space=SPACE), url, 4)
    spec = make_spec(name="warm", space=SPACE, search={**TPE, "warm_start": ["early"]})
    taken = warm_start(spec, [(spec, load_study("early", url).results())])
    store = open_study(spec, url)
    kept = store._storage.get_study_system_attrs(store._id)[WARM_START]
    assert len(WarmStart.from_record(kept).guides) == 4
    assert WarmStart.from_record(taken.to_record()) == taken


def test_the_command_takes_them_from_this_store_or_another(
    searcher: Callable[..., Any], workplace: Path
) -> None:
    text = """
name = "NAME"
[train]
trainer = "own_trainers:quick"
[space]
x = { low = 0.0, high = 1.0 }
[search]
trials = 3
pruner = "none"
[dispatch]
launcher = "inprocess"
"""
    for name in ("one", "two", "new"):
        (workplace / f"{name}.toml").write_text(text.replace("NAME", name))
    elsewhere = f"sqlite:///{workplace / 'elsewhere.db'}"
    for name, store in (("one", elsewhere), ("two", elsewhere)):
        assert searcher("run", f"{name}.toml", "--no-tracking", "--storage", store).code == 0
    run = ("run", "new.toml", "--no-tracking", "--from", "one,two.toml")
    said = searcher(*run)
    assert said.code == 2 and "no study 'one' is recorded in sqlite:///studies.db" in said.err
    said = searcher(*run, "--from-storage", elsewhere)
    assert said.code == 0, said.err
    for name in ("one", "two"):
        assert f"3 of 3 finished trials of study '{name}' guide the sampler" in said.out + said.err
    again = searcher(*run, "--trials", "5")
    assert again.code == 0 and "guide the sampler" in again.out + again.err
    assert len(load_study("new", "sqlite:///studies.db").results()) == 5
    changed = searcher("run", "new.toml", "--no-tracking", "--trials", "6")
    assert changed.code == 2 and "search.warm_start" in changed.err


def test_a_report_says_how_to_run_it_again() -> None:
    shipped = read_spec(find_study("digits-mlp"))
    search = shipped.search.model_copy(update={"warm_start": ["one", "two words"], "trials": 3})
    again = reproduction(shipped.model_copy(update={"search": search}), [], environment())
    assert again.command == "searcher run digits-mlp --trials 3 --from one --from 'two words'"
    assert parse_spec(tomllib.loads(again.study_file), "again").search.warm_start == ["one", "two words"]


def test_earlier_trials_are_held_against_the_constraints_of_this_study(make_spec: Make, url: str) -> None:
    early = open_study(make_spec(name="early", search=TPE), url)
    points = [train(early) for _ in range(6)]
    bound = sorted(point["x"] for point in points)[2]
    search = {**TPE, "warm_start": ["early"], "constraints": [f"x <= {bound!r}"]}
    seen = seen_by_sampler(open_study(make_spec(name="warm", search=search), url))
    assert [trial.constraints[f"x <= {bound!r}"] > 0 for trial in seen] == [p["x"] > bound for p in points]
