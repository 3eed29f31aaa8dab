"""What else meets several objectives: warm starts, rehearsals, `auto`, the peak of memory, samplers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState
from two_objectives import STUDY, TRAINER

from benchmarks.fronts import searched, volume
from searcher.errors import SearcherError
from searcher.feasibility import check_measured
from searcher.history import History
from searcher.opening import load_study, open_study
from searcher.samplers import build_sampler
from searcher.sampling import chosen
from searcher.spec import StudySpec, parse_spec
from searcher.vectors import OBJECTIVES, to_rows
from searcher.warmstart import WarmStart

Call = Callable[..., Any]
URL = "sqlite:///studies.db"
SPACE: dict[str, BaseDistribution] = {"a": FloatDistribution(0, 1), "b": FloatDistribution(0, 1)}


@pytest.fixture
def early(searcher: Call, workplace: Path) -> Callable[..., StudySpec]:
    """A study of two metrics with completed, pruned and doomed trials; specs of others like it."""
    sys.modules.pop("front", None)
    (workplace / "front.py").write_text(TRAINER)
    given = {"sampler": "tpe", "pruner": "asha", "trials": 16, "trainer": "falls", "second": "parameters"}
    (workplace / "two.toml").write_text(STUDY.format(**given))
    assert searcher("run", "two.toml", "--no-tracking").code == 0
    before = load_study("two", URL).spec

    def like(**changes: Any) -> StudySpec:
        raw = {**before.model_dump(), **changes}
        raw["search"] = {**raw["search"], "warm_start": ["two"]}
        return parse_spec(raw, "later")

    return like


def test_trials_of_a_study_with_the_same_metrics_guide_another_one(early: Callable[..., StudySpec]) -> None:
    spec = early(name="later")
    store = open_study(spec, URL)
    assert store.notes == ("warm start: 16 of 16 finished trials of study 'two' guide the sampler",)
    before = {trial.number: trial for trial in optuna.load_study(study_name="two", storage=URL).trials}
    record = store._study._storage.get_study_system_attrs(store._study._study_id)["searcher:warm_start"]
    for trial in WarmStart.from_record(record).trials(spec):
        there = before[trial.number + 16]
        assert trial.state is there.state and trial.params == there.params
        assert trial.values == (there.values if there.state is TrialState.COMPLETE else None)
        assert trial.user_attrs[OBJECTIVES] == there.user_attrs[OBJECTIVES]
    for _ in range(3):
        with store.exclusive():
            store.ask()


def test_other_metrics_cannot_guide(early: Callable[..., StudySpec]) -> None:
    one = [{"name": "val_accuracy", "goal": "maximize"}]
    for metric in (one, [*one, {"name": "val_loss"}], [*one, {"name": "parameters", "goal": "maximize"}]):
        with pytest.raises(SearcherError, match=r"its metric is val_accuracy \(maximize, best\), parameters"):
            open_study(early(name="later", metric=metric), URL)


def test_a_rehearsal_is_refused(early: Callable[..., StudySpec], searcher: Call) -> None:
    said = searcher("rehearse", "two")
    assert said.code == 2 and "it has 2: val_accuracy, parameters" in said.err


def test_recorded_trainings_have_fronts_too(searcher: Call, workplace: Path) -> None:
    rows = [f"{x},{e},{x * e},{(9 - x) * e}" for x in range(1, 9) for e in (1, 2)]
    (workplace / "table.csv").write_text("\n".join(["x,epoch,val_accuracy,val_loss", *rows]))
    study = STUDY.format(trainer="", second="val_loss", sampler="random", pruner="asha", trials=8)
    study = study.replace('"front:"', '"replay:table.csv"').replace("y = { low = 0.0, high = 1.0 }\n", "")
    (workplace / "two.toml").write_text(study.replace("low = 0.0, high = 1.0", "low = 1, high = 8"))
    said = searcher("run", "two.toml", "--no-tracking")
    assert said.code == 0, said.err
    done = [result for result in load_study("two", URL).results() if result.objectives]
    assert done and all(len(result.objectives) == 2 for result in done)
    (workplace / "two.toml").write_text(study.replace('"val_loss"', '"parameters"'))
    said = searcher("run", "two.toml", "--no-tracking")
    assert said.code == 2 and "metric.1.name: there is no 'parameters'" in said.err


def spec_of(metrics: int, trials: int | None, **space: Any) -> StudySpec:
    names = ["val_loss", "parameters", "step_time", "total_steps", "steps_per_epoch"][:metrics]
    ranges = {"learning_rate": {"low": 1e-3, "high": 1.0}, "dropout": {"low": 0.0, "high": 0.5}}
    budget = {"hours": 1.0} if trials is None else {"trials": trials}
    raw = {
        "name": "s",
        "metric": [{"name": name} for name in names],
        "space": {**ranges, **space},
        "search": {"sampler": "auto", **budget},
        "dispatch": {"slots": 1},
    }
    return parse_spec(raw, "s")


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (spec_of(2, 60), "gp"),
        (spec_of(3, 60), "gp"),
        (spec_of(4, 60), "tpe"),
        (spec_of(2, 400), "tpe"),
        (spec_of(2, None), "tpe"),
        (spec_of(2, 400, norm=["none", "batch"]), "tpe"),
        (spec_of(2, 1000, norm=["none", "batch"]), "nsga-ii"),
        (spec_of(3, 5000), "nsga-ii"),
        (spec_of(4, 5000), "nsga-iii"),
        (spec_of(1, 5000), "cma-es"),
        (spec_of(2, 8), "gp"),
    ],
)
def test_auto_follows_its_rule_with_several_metrics(spec: StudySpec, name: str) -> None:
    assert chosen(spec).name == name and chosen(spec).why


def test_the_peak_of_memory_is_no_metric_on_a_cpu() -> None:
    metrics = [{"name": "val_loss"}, {"name": "peak_memory_mb"}]
    spec = parse_spec({**spec_of(1, 5).model_dump(), "metric": metrics}, "s")
    check_measured(spec, [], {"device": "cuda"})
    with pytest.raises(SearcherError, match="the metric 'peak_memory_mb' needs a GPU"):
        check_measured(spec, [], {"device": "cpu"})


def told(name: str, seed: int) -> optuna.Study:
    """A study whose trials are pruned, doomed and completed, told as a study tells them."""
    sampler = build_sampler(name, {}, seed, SPACE, SPACE, several=True)
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=sampler)
    for _ in range(30):
        trial = study.ask(fixed_distributions=SPACE)
        a, b = trial.params["a"], trial.params["b"]
        vectors = {due: (a + 1 / due, b - 1 / due) for due in (1, 2, 3)}
        is_doomed, is_stopped = a > 0.8, b < 0.3
        for due in (1,) if is_doomed or is_stopped else (1, 2, 3):
            study._storage.set_trial_intermediate_value(trial._trial_id, due, vectors[due][0])
        rows = {1: vectors[1]} if is_doomed or is_stopped else vectors
        if is_doomed:
            trial.set_constraint("diverging", 1.0)
            rows |= {2: (9.0, -9.0)}
        trial.set_user_attr(OBJECTIVES, to_rows(rows))
        if is_doomed or is_stopped:
            study.tell(trial, state=TrialState.PRUNED)
        else:
            study.tell(trial, [*vectors[3]])
    return study


@pytest.mark.parametrize("name", ["tpe", "gp", "nsga-ii", "nsga-iii", "random", "qmc"])
def test_every_sampler_goes_on_after_trials_that_were_stopped(name: str, rng: np.random.Generator) -> None:
    """Optuna's own `tpe` raises there."""
    study = told(name, int(rng.integers(1000)))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert set(study.trials[-1].params) == set(SPACE)


def test_samplers_are_shown_what_became_of_stopped_trials(rng: np.random.Generator) -> None:
    study = told("random", int(rng.integers(1000)))
    seen = History(study, (), told_complete=True).get_trials(deepcopy=False)
    for shown, trial in zip(seen, study.trials, strict=True):
        assert shown.state is TrialState.COMPLETE and np.all(np.isfinite(shown.values))
        if trial.state is TrialState.COMPLETE and not trial.constraints:
            assert len(shown.values) == 2 and shown.params == trial.params
        if sum(trial.constraints.values()) > 0:
            worst = [max(s.values[0] for s in seen), min(s.values[1] for s in seen)]
            assert shown.values == worst, "stand-ins are as bad as the worst"
    assert seen == History(study, (), told_complete=True).get_trials(deepcopy=False)


def test_what_is_shown_follows_the_study(rng: np.random.Generator) -> None:
    study = told("random", int(rng.integers(1000)))
    history = History(study, (), told_complete=True)
    before = len(history.get_trials(deepcopy=False))
    study.add_trial(next(trial for trial in study.trials if trial.state is TrialState.COMPLETE))
    assert len(history.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))) == before + 1


@pytest.mark.parametrize("is_shown", [True, False])
def test_the_benchmark_of_fronts_searches(is_shown: bool, rng: np.random.Generator) -> None:
    assert volume([(0.3, 0.6), (0.5, 0.2), (0.6, 0.4), (0.9, 0.0)]) == pytest.approx(0.5 * 0.5 + 0.3 * 0.4)
    for name in ("tpe", "nsga-ii"):
        found = searched(name, 14, int(rng.integers(1000)), is_shown)
        assert found.fell + found.pruned <= 14 and found.front >= 0
