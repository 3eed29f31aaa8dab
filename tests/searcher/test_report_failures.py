"""Where failures live: rates with intervals over every setting, and the scales they are counted on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_study import SPACE, Settings, made_up_study, never

from diagnostics import Finding, Severity
from searcher.report.numbers.failures import Z, bins_of, failure_map, kinds_of, sick_by_kind, wilson
from searcher.report.numbers.regions import ANY
from searcher.report.numbers.scales import Scale, columns_of, is_ordered, number_text
from searcher.trial import Outcome, TrialResult


def warned(result: TrialResult, kind: str, severity: Severity = Severity.WARNING) -> TrialResult:
    """The trial with one more finding."""
    finding = Finding(kind, severity, 3, {}, "it was", "change it")
    report = replace(result.report, findings=(*result.report.findings, finding))
    return replace(result, report=report)


def test_the_interval_holds_rates_that_do_not_differ_by_more_than_its_score(rng: np.random.Generator) -> None:
    n = int(rng.integers(1, 200))
    failed = int(rng.integers(0, n + 1))
    low, high = wilson(failed, n)
    assert 0 <= low <= failed / n <= high <= 1
    for p in (low, high):  # the defining equation of Wilson's interval
        if 0 < p < 1:
            assert abs(failed / n - p) == pytest.approx(Z * np.sqrt(p * (1 - p) / n))
    assert wilson(0, 0) == (0.0, 1.0)


def test_every_setting_has_its_rates_and_every_active_trial_is_in_one_bin() -> None:
    spec, results = made_up_study(60, 1)
    found = failure_map(spec, results)
    failed = sum(result.outcome is Outcome.DOOMED for result in results)
    assert [rates.setting for rates in found.rates] == list(SPACE)
    for rates in found.rates:
        with_it = [r for r in results if rates.setting in r.sampled]
        assert sum(part.trials for part in rates.bins) == len(with_it)
        own = sum(r.outcome is Outcome.DOOMED for r in with_it)
        assert sum(part.failed for part in rates.bins) == own <= failed
        assert all(part.rate_low <= part.rate <= part.rate_high for part in rates.bins)


def test_bins_of_a_range_are_equally_wide_on_its_own_scale() -> None:
    spec, results = made_up_study(60, 1)
    found = {rates.setting: rates.bins for rates in failure_map(spec, results).rates}
    edges = [part.low for part in found["learning_rate"]] + [found["learning_rate"][-1].high]
    np.testing.assert_allclose(np.diff(np.log(np.array(edges, dtype=float))), np.log(1e4) / 5)
    assert found["dropout"][0].label == "0 to 0.12"
    assert [part.label for part in found["depth"]] == ["1", "2", "3", "4", "5", "6"]
    assert [part.label for part in found["norm"]] == ["none", "batch", "layer"]
    assert found["norm"][1].failed == 0 and found["norm"][1].trials > 0
    for part in found["depth"]:
        assert part.trials == sum(str(result.settings["depth"]) == part.label for result in results)


def test_a_range_without_width_is_one_bin() -> None:
    spec, results = made_up_study(20, space={**SPACE, "dropout": {"low": 0.5, "high": 0.5}})
    column = next(column for column in columns_of(spec, results) if column.name == "dropout")
    (part,) = bins_of(column, np.ones(20, dtype=bool))
    assert (part.label, part.trials, part.failed) == ("0.5", 20, 20)


def test_kinds_are_those_of_warnings_and_what_follows_from_them() -> None:
    _, results = made_up_study(60, 1, lambda _: "diverging")
    assert kinds_of(results[0]) == {"diverging"}, "a consequence that is a remark is none"
    assert kinds_of(warned(results[0], "plateau")) == {"diverging", "plateau"}
    assert kinds_of(warned(results[0], "plateau", Severity.INFO)) == {"diverging"}


def test_kinds_of_the_same_trials_are_told_once() -> None:
    spec, results = made_up_study(60, 1)
    results = [warned(r, "weight-blowup") if r.outcome is Outcome.DOOMED else r for r in results]
    results[0] = warned(results[0], "label-noise")
    found = failure_map(spec, results)
    shown = {rates.kind for rates in found.rates}
    assert len(shown) == 1 and shown < {"diverging", "weight-blowup"}
    assert "came up in the very trials of" in found.note
    assert "in one trial only, which makes no rate: label-noise" in found.note
    assert {region.kind for region in found.regions} == shown


def test_a_crash_is_a_failure_and_a_warning_is_none() -> None:
    _, results = made_up_study(8, 1, lambda _: "")
    results = [replace(results[0], outcome=Outcome.FAILED), warned(results[1], "plateau"), *results[2:]]
    sick = sick_by_kind(results)
    assert sick[ANY].tolist() == [True] + [False] * 7
    assert sick["plateau"].tolist() == [False, True] + [False] * 6


def test_without_trials() -> None:
    spec, _ = made_up_study(0)
    assert failure_map(spec, []).note == "No trial has ended yet."


@pytest.mark.parametrize("scale", [Scale(1e-4, 1.0, log=True), Scale(0.0, 0.6), Scale(2, 64, True, True)])
def test_places_and_values_go_both_ways(scale: Scale, rng: np.random.Generator) -> None:
    u = rng.random()
    assert scale.place(scale.value(u)) == pytest.approx(u)
    assert scale.place(scale.low) == 0 and scale.place(scale.high) == pytest.approx(1)


def test_a_bound_is_as_round_as_the_room_for_it_allows() -> None:
    scale = Scale(1e-4, 1.0, log=True)
    assert scale.rounded(scale.place(0.021), scale.place(0.018), scale.place(0.024)) == 0.021
    tight = scale.rounded(scale.place(0.021342), scale.place(0.021341), scale.place(0.021343))
    assert 0.021341 < tight < 0.021343
    assert Scale(1, 6, whole=True).rounded(0.5, 0.4, 0.6) == 3


def test_small_things() -> None:
    assert number_text(5e-5) == "5e-5" and number_text(0.0213) == "0.0213" and number_text(3) == "3"
    assert is_ordered([16, 32, 64]) and is_ordered([3, 2]) and not is_ordered([1, 3, 2])
    assert not is_ordered(["a", "b"]) and not is_ordered([True, False]) and not is_ordered([1])


def test_a_setting_counts_where_it_was_active() -> None:
    def fails(settings: Settings) -> str:
        return "diverging" if settings["init"] == "normal" else ""

    spec, results = made_up_study(60, 2, fails)
    found = {rates.setting: rates.bins for rates in failure_map(spec, results).rates}
    assert all(part.failed == part.trials for part in found["init_std"])
    assert (
        sum(part.trials for part in found["init_std"]) == sum("init_std" in r.sampled for r in results) < 60
    )


def test_made_up_trials_lie_on_the_steps_of_their_ranges() -> None:
    space = {
        "dropout": {"low": 0.1, "high": 0.8, "step": 0.1},
        "width": {"low": 24, "high": 120, "step": 32},
        "channels": {"low": 8, "high": 64, "log": True},
    }
    spec, results = made_up_study(100, 1, never, space=space)
    assert {r.settings["dropout"] for r in results} == {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8}
    assert {r.settings["width"] for r in results} == {24, 56, 88, 120}
    assert all(isinstance(r.settings["channels"], int) for r in results)
    assert [column.scale.values for column in columns_of(spec, results) if column.scale] == [8, 4, 57]
