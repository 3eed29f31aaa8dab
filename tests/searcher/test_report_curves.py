"""The curves and the layers of a report: what is drawn of them, and of which trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_study import LAYERS, made_up_study, never

from diagnostics import Finding, Report, Series, Severity, Signals, Verdict
from diagnostics.causes import flatten
from diagnostics.rules import RULES
from searcher.records import write_files
from searcher.report.numbers.cases import cases, recorded_signals
from searcher.report.numbers.curves import BEST, LAST, SHOWN_BY, curves, thinned
from searcher.report.numbers.layer_maps import COLUMNS, FLAGGED, RATIO, ROWS, layer_maps
from searcher.trial import Outcome, TrialResult, ranked


def with_findings(result: TrialResult, *findings: Finding) -> TrialResult:
    """The result with other findings."""
    return replace(result, report=Report(result.verdict, findings, {}))


def finding(kind: str, severity: Severity, step: int = 0, layers: tuple[str, ...] = ()) -> Finding:
    """A finding in few words."""
    return Finding(kind, severity, step, {"size": 1.5, "size_low": -np.inf}, "it is so", "change it", layers)


def blocks_by_hand(t: np.ndarray, x: np.ndarray, points: int) -> tuple[list[int], list[float]]:
    """What `thinned` gives, row by row: the slow twin."""
    found: dict[int, list[tuple[int, float]]] = {}
    span = float(np.sqrt(t[-1] - t[0]))
    for i, (step, value) in enumerate(zip(t, x, strict=True)):
        place = min(int(np.sqrt(step - t[0]) / span * (points - 1)), points - 2)
        found.setdefault(points - 1 if i >= len(t) - LAST else place, []).append((int(step), float(value)))
    steps = [rows[-1][0] for rows in found.values()]
    return steps, [float(f"{np.median([value for _, value in rows]):.4g}") for rows in found.values()]


def test_a_thinned_curve_is_made_of_medians_of_blocks(rng: np.random.Generator) -> None:
    for _ in range(30):
        n, points = int(rng.integers(20, 2000)), int(rng.integers(12, 120))
        t = np.sort(rng.choice(10 * n, size=n, replace=False))
        x = np.exp(rng.normal(size=n))
        steps, values = thinned(t, x, points)
        if n > points:
            assert (list(steps), list(values)) == blocks_by_hand(t, x, points)
        assert len(steps) == len(values) <= points
        assert steps[-1] == t[-1] and list(steps) == sorted(set(steps))


def test_a_short_curve_stays_as_it_is_without_what_is_not_finite(rng: np.random.Generator) -> None:
    x = rng.normal(size=10)
    x[4], x[7] = np.nan, np.inf
    steps, values = thinned(np.arange(10), x, 12)
    assert steps == (0, 1, 2, 3, 5, 6, 8, 9)
    assert values == pytest.approx(x[list(steps)], rel=1e-3)
    assert thinned(np.arange(3), np.full(3, np.nan), 12) == ((), ())
    assert thinned(np.full(40, 5), np.ones(40), 12)[1] == (1.0, 1.0), "all rows at one step"


def test_an_explosion_at_the_very_end_is_seen(rng: np.random.Generator) -> None:
    x = np.exp(0.1 * rng.normal(size=3000))
    x[-3:] = 1e6
    _, values = thinned(np.arange(3000), x, 12)
    assert values[-1] == 1e6 and max(values[:-1]) < 2


def test_every_trial_has_a_curve_and_the_best_have_two() -> None:
    spec, results = made_up_study(30, seed=int(np.random.default_rng().integers(10**6)))
    found = curves(spec, results)
    assert [line.trial for line in found.losses] == list(range(30))
    assert {line.signal for line in found.losses} == {"loss"} and found.note == ""
    assert [line.verdict for line in found.losses] == [result.verdict for result in results]
    best = [result.number for result in ranked(spec.metric, results)[:BEST]]
    assert [(line.trial, line.signal) for line in found.best] == [
        (number, signal) for number in best for signal in ("train_loss", "val_loss")
    ]


def test_every_finding_has_an_example_the_gravest_first() -> None:
    spec, results = made_up_study(60)
    assert {result.outcome for result in results} >= {Outcome.DOOMED, Outcome.COMPLETED}
    examples = curves(spec, results).examples
    counts = Counter(finding.kind for r in results for finding in flatten(r.report.findings))
    remarks = sorted(["loss-spike", "still-improving"], key=lambda kind: -counts[kind])
    assert [example.kind for example in examples] == ["diverging", *remarks], "then the most frequent"
    first = examples[0]
    assert first.trial == min(r.number for r in results if r.outcome is Outcome.DOOMED)
    assert (first.severity, first.step, first.layers) == ("fatal", 7, LAYERS[:1])
    assert first.line is not None and first.line.signal == "loss" and first.line.trial == first.trial
    assert all(first_word for first_word in (first.cause, first.remedy)) and first.evidence


def test_an_example_shows_the_signal_and_the_layer_that_the_finding_is_about() -> None:
    spec, results = made_up_study(1, fails=never, pruned=0.0)
    blown = finding("weight-blowup", Severity.WARNING, 3, LAYERS[1:])
    given = with_findings(results[0], blown)
    (example,) = curves(spec, [given]).examples
    assert example.line is not None and example.line.signal == f"weight_norm of {LAYERS[1]}"
    assert example.evidence == {"size": 1.5}, "a limit that says nothing is not shown"
    series = given.signals["weight_norm"]
    assert example.line.values == pytest.approx(series.values[:, 1], rel=1e-3)


def test_signals_of_examples_are_those_of_kinds_there_are() -> None:
    text = (Path(__file__).parents[2] / "docs" / "signals.md").read_text()
    assert set(SHOWN_BY) <= {rule.name for rule in RULES}
    assert {name for wanted in SHOWN_BY.values() for name in wanted if f"`{name}`" not in text} == set()


def test_the_clearest_case_is_grave_and_the_trials_first_cause() -> None:
    _, results = made_up_study(4, fails=never, pruned=0.0)
    spike, slow = finding("loss-spike", Severity.INFO), finding("learning-rate-too-low", Severity.WARNING)
    grave = finding("learning-rate-too-low", Severity.FATAL)
    given = [
        with_findings(results[0], spike, slow),
        with_findings(results[1], replace(spike, consequences=(grave,))),
        with_findings(results[2], grave),
        with_findings(results[3], spike),
    ]
    found = cases(given, wanted=lambda _: True)
    assert list(found) == ["learning-rate-too-low", "loss-spike"]
    assert [case.result.number for case in found["learning-rate-too-low"]] == [2, 1, 0]
    assert [case.result.number for case in found["loss-spike"]] == [0, 1, 3]


def test_trials_without_signals_are_counted_in_the_note() -> None:
    spec, results = made_up_study(6)
    given = [*results[:4], *(replace(result, signals=Signals()) for result in results[4:])]
    assert curves(spec, given).note == "2 of 6 trials have left no curve."
    assert "None of the 2 trials" in curves(spec, given[4:]).note
    assert curves(spec, []).note == "No trial has ended yet."
    assert layer_maps(spec, []) == layer_maps(spec, given[4:]) == ()


def test_an_own_trainer_that_knows_nothing_but_its_metric_has_curves_too() -> None:
    spec, results = made_up_study(3, fails=never, pruned=0.0)
    given = [replace(r, signals=Signals({"val_accuracy": r.signals["val_accuracy"]})) for r in results]
    found = curves(spec, given)
    assert {line.signal for line in (*found.losses, *found.best)} == {"val_accuracy"}
    assert len(found.losses) == len(found.best) == 3


def test_signals_come_from_the_files_and_only_those_that_are_asked_for(tmp_path: Path) -> None:
    spec, results = made_up_study(8)
    for result in results:
        write_files(tmp_path, result)
    bare = [replace(result, signals=Signals()) for result in results]
    asked: list[str] = []
    from_files = recorded_signals(tmp_path)

    def signals_of(result: TrialResult, names: Collection[str]) -> Signals:
        asked.extend(names)
        found = from_files(result, names)
        assert set(found) == set(names) & set(results[result.number].signals)
        return found

    assert curves(spec, bare, signals_of) == curves(spec, results)
    assert layer_maps(spec, bare, signals_of) == layer_maps(spec, results) != ()
    assert "learning_rate" not in asked, "nobody draws it"


def test_maps_hold_logarithms_by_layer_and_step() -> None:
    spec, results = made_up_study(20)
    maps = layer_maps(spec, results)
    best, failed = ranked(spec.metric, results)[0], next(r for r in results if r.report.fatal)
    assert [(one.trial, one.signal) for one in maps] == [
        (number, signal) for number in (best.number, failed.number) for signal in (RATIO, "grad_norm")
    ]
    assert maps[0].why == "the best trial"
    assert maps[2].why == f"diverging at step 7 in {LAYERS[0]}"
    updates, weights = failed.signals["update_norm"], failed.signals["weight_norm"]
    for i, layer in enumerate(maps[2].layers):
        for k, step in enumerate(maps[2].steps):
            row = list(updates.steps).index(step)
            column = LAYERS.index(layer)
            ratio = updates.values[row, column] / weights.values[row, column]
            assert maps[2].values[i][k] == pytest.approx(np.log10(ratio), abs=0.006)


def test_a_large_network_is_thinned_and_what_is_zero_is_left_empty(rng: np.random.Generator) -> None:
    spec, results = made_up_study(1, fails=never, pruned=0.0)
    layers = tuple(f"blocks.{i}.weight" for i in range(100))
    values = np.exp(rng.normal(size=(500, 100)))
    values[0, 0], values[499, 99] = 0.0, np.inf
    given = replace(results[0], signals=Signals({"grad_norm": Series(np.arange(500), values, layers)}))
    (only,) = layer_maps(spec, [given])
    assert len(only.steps) == COLUMNS and len(only.layers) == ROWS == len(only.values)
    assert (only.steps[0], only.steps[-1]) == (0, 499)
    assert (only.layers[0], only.layers[-1]) == (layers[0], layers[-1])
    assert only.values[0][0] is None and only.values[-1][-1] is None
    assert sum(size is None for row in only.values for size in row) == 2


def test_a_trial_that_shows_several_findings_is_mapped_once() -> None:
    spec, results = made_up_study(12, fails=never, pruned=0.0)
    kinds = [f"kind-{i}" for i in range(FLAGGED + 3)]
    flagged = [finding(kind, Severity.WARNING, i, LAYERS) for i, kind in enumerate(kinds)]
    remark = finding("dead-units", Severity.INFO, 5, LAYERS)
    given = [with_findings(results[0], *flagged), with_findings(results[1], remark), *results[2:]]
    given = [r if r.number < 2 else with_findings(r) for r in given]
    maps = layer_maps(spec, given)
    of_first = {one.why for one in maps if one.trial == 0}
    assert len(of_first) == 1 and all(kind in next(iter(of_first)) for kind in kinds[:FLAGGED])
    assert all("dead-units" not in one.why for one in maps), "a remark does not flag a trial"


def test_verdicts_of_made_up_studies_are_of_several_kinds() -> None:
    _, results = made_up_study(60)
    assert {result.verdict for result in results} >= {Verdict.CONVERGED, Verdict.IMPROVING, Verdict.DIVERGED}
