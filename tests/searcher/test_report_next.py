"""The next study: its file is accepted, its ranges follow the evidence, and every change says why."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_study import SPACE, Settings, cliff, made_up_study, never

from searcher.checks import read_checked
from searcher.report.numbers.bounds import at_bounds
from searcher.report.numbers.failures import failure_map
from searcher.report.numbers.narrowing import CHANCE
from searcher.report.numbers.next_space import Draft
from searcher.report.numbers.next_study import next_study
from searcher.report.study_report import Change, Next
from searcher.spec import Choices, Metric, Range, StudySpec
from searcher.summary import best_result, sampled_of
from searcher.trial import TrialResult, ranked

Quality = Callable[[Settings], float]


def following(spec: StudySpec, results: list[TrialResult]) -> Next:
    """What a report says of the next study."""
    best = best_result(spec, results)
    bounds = () if best is None else at_bounds(spec, sampled_of(best))
    return next_study(spec, results, failure_map(spec, results), bounds)


def as_spec(found: Next, tmp_path: Path) -> StudySpec:
    """The study file as `searcher run` reads it."""
    path = tmp_path / "next.toml"
    path.write_text(found.study_file, encoding="utf-8")
    return read_checked(path, {})


def judged_by(
    quality: Quality, trials: int = 60, seed: int = 1, **given: Any
) -> tuple[StudySpec, list[TrialResult]]:
    """A made-up study in which nothing fails and the value is that of `quality`."""
    spec, results = made_up_study(trials, seed, never, pruned=0.0, **given)
    return spec, [replace(result, value=quality(result.settings)) for result in results]


def test_ranges_are_narrowed_to_where_good_trials_lie_and_away_from_failures(tmp_path: Path) -> None:
    spec, results = made_up_study(60, 4)
    found = following(spec, results)
    after = as_spec(found, tmp_path)
    assert after.name == "made-up-next" and after.train == spec.train and after.search == spec.search
    rate = after.space["learning_rate"]
    assert isinstance(rate, Range)
    assert 1e-4 < rate.low < 1e-2 < rate.high < 0.2 and rate.log
    (change,) = [change for change in found.changes if change.setting == "learning_rate"]
    assert change.before == "0.0001 to 1, log" and change.after == f"{rate.low:g} to {rate.high:g}, log"
    assert "among the best" in change.reason and "diverged; elsewhere" in change.reason
    assert f"# learning_rate was {change.before}: " in found.study_file
    best = ranked(spec.metric, results)[:10]
    assert all(rate.low <= r.settings["learning_rate"] <= rate.high for r in best)


def test_nothing_is_changed_on_few_healthy_trials(tmp_path: Path) -> None:
    for trials, fails in ((0, cliff), (1, never), (9, never), (60, lambda _: "diverging")):
        spec, results = made_up_study(trials, 2, fails)
        found = following(spec, results)
        assert found.changes == ()
        assert as_spec(found, tmp_path).space == spec.space
        assert "Nothing is changed" in found.study_file


def test_an_objective_of_chance_changes_little(rng: np.random.Generator) -> None:
    changes = [len(following(*judged_by(lambda _: rng.random(), seed=seed)).changes) for seed in range(10)]
    assert np.mean(changes) <= 2 * CHANCE * len(SPACE) + 0.5, "two ends of each setting, and luck on bounds"


def test_of_a_metric_to_minimize_low_values_are_good(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: abs(s["dropout"] - 0.5) + (s["norm"] == "none"))
    high = following(spec, results)
    low = following(spec.model_copy(update={"metric": Metric(name="val_loss", goal="minimize")}), results)
    to_high, to_low = (as_spec(found, tmp_path).space for found in (high, low))
    assert to_high["norm"].examples == ["none"] and to_low["norm"].examples == ["batch", "layer"]
    dropout = to_low["dropout"]
    assert isinstance(dropout, Range) and 0.2 < dropout.low < 0.5 < dropout.high <= 0.75


def test_of_a_metric_to_minimize_a_range_is_widened_where_the_lowest_lies(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: -float(np.log10(s["learning_rate"])), trials=80)
    spec = spec.model_copy(update={"metric": Metric(name="val_loss", goal="minimize")})
    best = min(results, key=lambda result: result.value or 0.0)
    moved = replace(best, settings={**best.settings, "learning_rate": 0.999}, value=-0.5)
    rate = as_spec(following(spec, [moved if r is best else r for r in results]), tmp_path).space[
        "learning_rate"
    ]
    assert isinstance(rate, Range) and rate.high == 10.0 and rate.low > 1e-4


def test_choices_that_are_clearly_worse_or_always_fail_are_dropped(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: 0.9 - 0.5 * (s["norm"] == "none") + 0.01 * s["dropout"])
    after = as_spec(following(spec, results), tmp_path)
    assert isinstance(after.space["norm"], Choices) and after.space["norm"].choices == ["batch", "layer"]
    spec, results = made_up_study(60, 1, lambda s: "diverging" if s["norm"] == "none" else "")
    found = following(spec, results)
    assert as_spec(found, tmp_path).space["norm"].examples == ["batch", "layer"]
    assert any("trials with none failed" in change.reason for change in found.changes)


def test_a_setting_that_nothing_switches_on_any_more_is_left_out(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: 0.5 - 0.4 * (s["init"] == "normal"), trials=120)
    found = following(spec, results)
    after = as_spec(found, tmp_path)
    assert "init_std" not in after.space and "normal" not in after.space["init"].examples
    (change,) = [change for change in found.changes if change.setting == "init_std"]
    assert change.after == "left out" and "init no longer takes" in change.reason
    assert "init_std was 0.001 to 1, log: init no longer takes" in found.study_file.replace("\n# ", " ")


def test_a_range_is_widened_where_the_best_lies_on_its_bound(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: float(np.log10(s["learning_rate"])), trials=80)
    best = max(results, key=lambda result: result.value or 0.0)
    settings = {**best.settings, "learning_rate": 0.999}
    results = [replace(best, settings=settings, value=0.5) if r is best else r for r in results]
    found = following(spec, results)
    rate = as_spec(found, tmp_path).space["learning_rate"]
    assert isinstance(rate, Range) and rate.high == 10.0 and rate.low > 1e-4
    assert any("lies on the upper bound" in change.reason for change in found.changes)


def test_numbers_in_order_are_widened_where_good_trials_have_the_last(tmp_path: Path) -> None:
    spec, results = judged_by(lambda s: float(s["batch_size"]) + s["dropout"])
    after = as_spec(following(spec, results), tmp_path)
    assert after.space["batch_size"].examples[-1] == 256


def test_whole_numbers_and_steps_stay_whole(tmp_path: Path) -> None:
    space = {**SPACE, "channels": {"low": 32, "high": 512, "step": 32}}
    spec, results = judged_by(
        lambda s: -abs(s["depth"] - 5) - abs(s["channels"] - 400) / 100, 120, space=space
    )
    after = as_spec(following(spec, results), tmp_path).space
    depth, width = after["depth"], after["channels"]
    assert isinstance(depth, Range) and isinstance(width, Range)
    assert isinstance(depth.low, int) and 1 < depth.low <= 4 and depth.high == 6
    assert width.low % 32 == 0 and 32 < width.low <= 400 <= width.high and width.step == 32


@pytest.mark.parametrize(
    ("word", "low", "high"), [("above", 0.0, 0.4), ("at most", 0.5, 1.0)], ids=["above", "at most"]
)
def test_failing_ends_of_a_range_with_steps_lie_inside_on_a_step(
    word: str, low: float, high: float, tmp_path: Path
) -> None:
    def fails(settings: Settings) -> str:
        return "diverging" if (settings["dropout"] > 0.45) is (word == "above") else ""

    space = {**SPACE, "dropout": {"low": 0.0, "high": 0.9, "step": 0.1}}
    spec, results = made_up_study(80, 3, fails, space=space, pruned=0.0)
    results = [r if r.report.fatal else replace(r, value=float(i * 7 % 11)) for i, r in enumerate(results)]
    after = as_spec(following(spec, results), tmp_path).space["dropout"]
    assert isinstance(after, Range) and (after.low, after.high) == (low, min(high, 0.9))


@pytest.mark.parametrize(("epochs", "last"), [(24, 16), (12, 12)])
def test_a_widening_that_no_study_file_may_have_is_taken_back_alone(
    epochs: int, last: int, tmp_path: Path
) -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 1.0, "log": True}, "warmup_epochs": [0, 4, 8, 12]}
    spec, results = judged_by(lambda s: float(s["warmup_epochs"]), space=space)
    spec = spec.model_copy(update={"train": {**spec.train, "epochs": epochs}})
    found = following(spec, results)
    choices = as_spec(found, tmp_path).space["warmup_epochs"].examples
    assert choices[-1] == last, "a warm-up of 16 fits into 24 epochs, not into 12"
    (change,) = [change for change in found.changes if change.setting == "warmup_epochs"]
    assert 0 not in choices and "trials with 0 is among the best" in change.reason
    assert ("lies on the upper bound" in change.reason) is (epochs == 24)


def test_a_file_without_changes_does_not_say_where_good_trials_lie() -> None:
    space = {"warmup_epochs": [4, 12], "norm": ["none", "batch"]}
    spec, results = judged_by(lambda s: float(s["norm"] == "batch"), 12, space=space)
    few = [replace(r, settings={**r.settings, "norm": "batch"}) for r in results]
    found = following(spec, few)
    assert found.changes == ()
    assert "Nothing is changed: no change has enough evidence." in found.study_file


@pytest.mark.parametrize(("best", "kept"), [(7, [6]), (0, None)])
def test_a_condition_waits_only_for_values_that_a_narrowed_range_still_has(
    best: int, kept: list[int] | None, tmp_path: Path
) -> None:
    space = {
        "depth": {"low": 1, "high": 8},
        "dropout": {"low": 0.0, "high": 0.5, "when": {"depth": [1, 6] if kept else [7, 8]}},
    }
    spec, results = judged_by(lambda s: -abs(s["depth"] - best), 120, space=space)
    after = as_spec(following(spec, results), tmp_path).space
    depth = after["depth"]
    assert isinstance(depth, Range) and (depth.low > 1 if kept else depth.high < 7)
    assert (after["dropout"].when == {"depth": kept}) if kept else ("dropout" not in after)


def test_names_go_on() -> None:
    spec, results = made_up_study(1, 1)
    names = [spec.name]
    for _ in range(3):
        raw = tomllib.loads(following(spec.model_copy(update={"name": names[-1]}), results).study_file)
        names.append(raw["name"])
    assert names == ["made-up", "made-up-next", "made-up-next-2", "made-up-next-3"]
    long = following(spec.model_copy(update={"name": "n" * 100}), results).study_file
    assert len(tomllib.loads(long)["name"]) == 100


@pytest.mark.parametrize(
    ("name", "after"),
    [
        ("n" * 100, "n" * 95 + "-next"),
        ("n" * 95 + "-next", "n" * 93 + "-next-2"),
        ("n" * 93 + "-next-9", "n" * 92 + "-next-10"),
        ("a-next-nextx2", "a-next-nextx2-next"),
        ("a-nextx2", "a-nextx2-next"),
        ("a-next-b", "a-next-b-next"),
        ("a-next-", "a-next--next"),
    ],
)
def test_a_name_that_goes_on_is_never_too_long(name: str, after: str, tmp_path: Path) -> None:
    spec, results = made_up_study(1, 1)
    found = following(spec.model_copy(update={"name": name}), results)
    assert as_spec(found, tmp_path).name == after and len(after) <= 100


def test_a_next_study_file_that_would_have_mistakes_is_the_study_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Draft({"dropout": Range(low=0.0, high=3.0)}, (Change("dropout", "0 to 0.6", "0 to 3", "none"),))
    monkeypatch.setattr("searcher.report.numbers.next_study.next_space", lambda *_: wrong)
    spec, results = made_up_study(20, 1)
    found = following(spec, results)
    assert as_spec(found, tmp_path).space == spec.space and found.changes == ()


@pytest.mark.parametrize("setting", [{"low": 1, "high": 4}, {"low": 0.1, "high": 0.4, "step": 0.1}])
def test_the_best_of_few_values_may_lie_on_a_bound_by_luck(setting: dict[str, float]) -> None:
    spec, results = judged_by(lambda s: s["learning_rate"], 60, space={**SPACE, "x": setting})
    best = best_result(spec, results)
    assert best is not None
    at_end = {**best.settings, "x": setting["high"]}
    found = following(spec, [replace(r, settings=at_end) if r is best else r for r in results])
    assert not [change for change in found.changes if change.setting == "x"]


def test_trials_that_still_improve_deserve_more_epochs() -> None:
    spec, results = made_up_study(60, 4)
    found = following(spec, results)
    assert 0 < len(found.longer) <= 5
    first = found.longer[0]
    assert (
        first.settings["epochs"] == 18 and "half as many steps again should bring it to about" in first.reason
    )
    assert "were still improving at the end: epochs = 18 may bring more" in found.study_file
    without = [replace(r, report=replace(r.report, statistics={})) for r in results]
    assert "no forecast holds" in following(spec, without).longer[0].reason


def test_a_failure_that_ranges_cannot_leave_out_is_told(tmp_path: Path) -> None:
    def fails(settings: Settings) -> str:
        return "diverging" if settings["dropout"] > 0.3 and settings["norm"] == "none" else ""

    spec, results = made_up_study(100, 3, fails)
    results = [r if r.report.fatal else replace(r, value=float(i % 7)) for i, r in enumerate(results)]
    found = following(spec, results)
    assert "Not said by these ranges: " in found.study_file.replace("\n# ", " ")
    as_spec(found, tmp_path)


def test_half_of_a_rule_does_not_keep_a_range_from_being_widened(tmp_path: Path) -> None:
    def fails(settings: Settings) -> str:
        return "diverging" if settings["learning_rate"] > 0.1 and settings["norm"] != "batch" else ""

    spec, results = made_up_study(100, 4, fails, pruned=0.0)
    results = [r if r.report.fatal else replace(r, value=float(r.settings["learning_rate"])) for r in results]
    (best,) = ranked(spec.metric, results)[:1]
    moved = replace(best, settings={**best.settings, "learning_rate": 0.999}, value=2.0)
    found = following(spec, [moved if r is best else r for r in results])
    rate = as_spec(found, tmp_path).space["learning_rate"]
    assert isinstance(rate, Range) and rate.high == 10.0
