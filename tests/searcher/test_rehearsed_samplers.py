"""Samplers before recorded points: what they are given, what they are told, when one is called sooner."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from recorded_trials import COMPLETED, made_up, trial

from diagnostics import Finding, Report, Severity, Verdict
from searcher.catalog import find_study
from searcher.checks import read_checked
from searcher.contest import Contest
from searcher.opening import load_study
from searcher.pruning import build_judge
from searcher.rehearsal.compare import Wanted, rehearsal_of
from searcher.rehearsal.course import rehearse
from searcher.rehearsal.points import Proposed, RecordedPoints, searched_by
from searcher.rehearsal.recordings import Ending, Evaluated, Recording, recordings_of
from searcher.rehearsal.words import conclusion
from searcher.sampling import sampler_of
from searcher.space import suggest
from searcher.spec import Named
from searcher.study import Places, run_study

CONTEST = Contest("by-hand", "minimize")
SPACE = {
    "rate": {"low": 1e-4, "high": 1.0, "log": True},
    "width": {"low": 8, "high": 64},
    "norm": ["none", "batch", "layer"],
    "scale": {"low": 0.0, "high": 2.0, "when": {"norm": ["batch", "layer"]}},
    "only": {"low": 3, "high": 3},
}


def drawn(rng: np.random.Generator) -> dict[str, Any]:
    norm = ["none", "batch", "layer"][rng.integers(3)]
    scale = {"scale": float(rng.uniform(0, 2))} if norm != "none" else {}
    rate, width = float(10 ** rng.uniform(-4, 0)), int(rng.integers(8, 65))
    return {"rate": rate, "width": width, "norm": norm, **scale, "only": 3}


def slow_distance(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """The same, setting by setting."""
    total = (math.log10(one["rate"] / other["rate"]) / 4) ** 2 + ((one["width"] - other["width"]) / 56) ** 2
    total += one["norm"] != other["norm"]
    if ("scale" in one) != ("scale" in other):
        total += 1
    elif "scale" in one:
        total += ((one["scale"] - other["scale"]) / 2) ** 2
    return math.sqrt(total / 5)


def recording(number: int, params: Mapping[str, Any]) -> Recording:
    return Recording(number, params, Ending.COMPLETED, 1.0, (), 1.0, 1.0, 1.0)


def test_distances_are_those_of_the_slow_way() -> None:
    rng = np.random.default_rng()
    points, asked = [drawn(rng) for _ in range(30)], drawn(rng)
    places = RecordedPoints(made_up(SPACE), [recording(n, point) for n, point in enumerate(points)])
    assert places.distances(asked) == pytest.approx([slow_distance(asked, point) for point in points])


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "cma-es", "nsga-ii", "nsga-iii"])
def test_a_sampler_is_given_every_recorded_trial_once(sampler: str) -> None:
    rng = np.random.default_rng()
    known = [recording(n, drawn(rng)) for n in range(14)]
    ends = []
    for _ in range(2):
        order = Proposed(made_up(SPACE), known, Named(name=sampler), seed=3, trials=99)
        ends.append([e.recording.number for e in rehearse(order, build_judge("none", {}, CONTEST), slots=2)])
        assert len(order.apart) == 14 and 0 <= min(order.apart) <= max(order.apart) <= 1
    assert sorted(ends[0]) == list(range(14)) and ends[0] == ends[1]


def test_a_sampler_is_told_what_a_study_would_tell_it() -> None:
    finding = Finding("diverging", Severity.FATAL, 9, {}, "it rose", "less")
    report = Report(Verdict.DIVERGED, (finding,), {})
    doomed = trial(1, [5, 6], "doomed", report=report, value=7.0, values={1: 5.0, 2: 5.0, 3: 7.0})
    given_up = trial(5, [2.0, 1.9], "pruned", settings={"x": 0.9, "epochs": 4})
    known = recordings_of([COMPLETED[0], doomed, given_up])
    order = Proposed(made_up(), known, Named(name="random"), seed=1, trials=3)
    rehearse(order, build_judge("none", {}, CONTEST))
    told = {t.params["x"]: t for t in order.told}
    assert {x: t.state.name for x, t in told.items()} == {0.0: "COMPLETE", 0.1: "PRUNED", 0.9: "PRUNED"}
    assert told[0.0].value == 1 and told[0.0].intermediate_values == {1: 4, 2: 3, 3: 2, 4: 1}
    assert told[0.1].intermediate_values == {1: 5, 2: 5, 3: 7}, "the stand-in stands behind its own values"
    assert told[0.1].constraints == {"diverging": 1.0} and not told[0.9].constraints
    assert told[0.9].intermediate_values == {1: 2, 2: 1.9}


@pytest.mark.parametrize("sampler", ["tpe", "gp"])
def test_a_sampler_asks_again_for_the_very_points_of_its_study(sampler: str, tmp_path: Path) -> None:
    changes = {
        "train": {"epochs": 3, "max_samples": 200, "width": 8, "device": "cpu", "evaluations_per_epoch": 1},
        "space": {"learning_rate": {"low": 1e-5, "high": 10.0, "log": True}},
        "search": {"sampler": sampler, "pruner": "asha", "trials": 18, "seed": int(np.random.randint(99))},
        "dispatch": {"launcher": "inprocess"},
    }
    spec = read_checked(find_study("digits-mlp"), changes)
    places = Places(f"sqlite:///{tmp_path / 'studies.db'}", None, tmp_path / "runs", report=False)
    run_study(spec, places, lambda _: None)
    known = recordings_of(load_study(spec.name, places.storage).results())
    order = Proposed(spec, known, spec.search.sampler, spec.search.seed, 99)
    ends = rehearse(order, build_judge("asha", {}, Contest(spec.name, spec.metric.goal)))
    assert order.apart == [0.0] * 18 and [end.recording.number for end in ends] == [*range(18)]
    assert any(end.ending is not Ending.COMPLETED for end in ends), "what the pruner stopped is told alike"


def test_a_sampler_asks_again_for_the_points_of_a_study_with_a_trial_that_failed() -> None:
    space = {"rate": {"low": 1e-4, "high": 1.0, "log": True}}
    spec, sampler = made_up(space), Named(name="random")
    drawn = sampler_of(searched_by(spec, sampler, 5))
    study = optuna.create_study(sampler=drawn)
    params = [dict(suggest(study.ask(), spec).sampled) for _ in range(8)]
    known = [recording(n, point) for n, point in enumerate(params) if n not in (2, 5)]
    order = Proposed(spec, known, sampler, 5, 99)
    rehearse(order, build_judge("none", {}, CONTEST))
    assert order.apart == [0.0] * 6


def test_a_rehearsed_trial_had_begun_to_learn_when_its_study_saw_it() -> None:
    evaluations = tuple(Evaluated(due, 1.0, due / 2) for due in (1, 2, 3))
    seen = Recording(0, {}, Ending.COMPLETED, 1.0, evaluations, 1.5, 1.5, 1.0, begun=4 / 7, learnt=True)
    assert [seen.learnt_by(due) for due in (1, 2, 3)] == [True] * 3, (
        "the first was due at the fourth of 7 steps"
    )
    late = replace(seen, begun=1.0)
    assert [late.learnt_by(due) for due in (1, 2, 3)] == [False, True, True]
    assert [replace(seen, begun=None, learnt=None).learnt_by(due) for due in (1, 3)] == [None, None]


def test_a_sampler_that_learns_finds_the_best_clearly_sooner_than_random_order() -> None:
    results = [trial(n, [(n / 250 - 0.3) ** 2], settings={"x": n / 250, "epochs": 1}) for n in range(250)]
    rehearsal = rehearsal_of(made_up(), results, None, Wanted(seeds=24, slots=1))
    reached = {row.sampler: [run.reached or 0.0 for run in row.runs] for row in rehearsal.rows if row.sampler}
    assert 3 * np.median(reached["tpe"]) < np.median(reached["random"]), reached
    assert "Of the samplers, tpe would have found as good a value first" in conclusion(rehearsal)[-1]
    assert rehearsal.recorded.reached == 76, "trial 75 has it"
