"""How sure a report is which trial is the best, by repeats of the leading trials with other seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_study import made_up_study, never

from diagnostics import Signals
from searcher.report import RENDERERS
from searcher.report.numbers.build import build
from searcher.report.numbers.sureness import STUDENT, equals_of, spread_of
from searcher.spec import StudySpec
from searcher.summary import best_result
from searcher.trial import Outcome, TrialResult, ranked

Repeats = Sequence[Sequence[float]]


def confirmed(repeats: Repeats, trials: int = 20) -> tuple[StudySpec, list[TrialResult], list[TrialResult]]:
    """A study, its results, and its leaders; the repeats of the leaders, the best first, came to these."""
    spec, results = made_up_study(trials, 2, never, pruned=0.0)
    leaders = ranked(spec.metric, results)[: len(repeats)]
    for leader, values in zip(leaders, repeats, strict=True):
        for seed, value in enumerate(values, start=1):
            again = {"settings": {**leader.settings, "seed": seed}, "confirms": leader.number, "value": value}
            results.append(replace(leader, number=len(results), **again))
    return spec, results, leaders


def test_the_best_is_told_by_the_mean_of_its_repeats_and_how_sure_that_is(tmp_path: Path) -> None:
    spec, results, leaders = confirmed([[0.80, 0.82, 0.81], [0.90, 0.91, 0.92], [0.70, 0.71, 0.72]])
    report = build(spec, results, tmp_path)
    best, named = report.headline.best, leaders[1]
    assert best is not None and best.repeated is not None and best.trial == named.number
    assert best.repeated.mean == pytest.approx(0.91) and best.value == named.value
    for part in (
        f"The best is trial {named.number} with val_accuracy 0.91 ± 5.8e-3, the mean of 3 trainings with",
        "and its standard error (noise of one training: ± 0.0245); its first value, by which it was chosen,",
        "The chance that it is the best of those that were repeated is > 99 %.",
        "20 trials searched",
    ):
        assert part in report.headline.text, part
    assert "lucky" not in report.headline.text, "the mean of repeats is not the best of many"
    assert report.headline.trials == 20
    assert [row.trial for row in report.sureness.rows] == [leaders[i].number for i in (1, 0, 2)]
    assert report.sureness.freedom == 6 and report.sureness.spread == pytest.approx(0.01)
    assert f"mean of 3 other seeds, {named.value:.4g} at first" in report.next.study_file.replace("\n# ", " ")


def test_repeats_are_in_no_other_section(tmp_path: Path) -> None:
    spec, results, _ = confirmed([[0.8, 0.9], [0.8, 0.9], [0.8, 0.9]])
    search = [result for result in results if result.confirms is None]
    report, before = build(spec, results, tmp_path, made_at=0), build(spec, search, tmp_path, made_at=0)
    for section in ("verdicts", "curves", "failures", "matters", "layers", "audit"):
        assert getattr(report, section) == getattr(before, section), section
    assert report.convergence.best == before.convergence.best
    assert (
        report.headline.outcomes == before.headline.outcomes and report.headline.well == before.headline.well
    )
    assert before.sureness.text == "" and before.sureness.rows == ()


def test_the_noise_of_one_training_is_that_of_all_repeats(rng: np.random.Generator) -> None:
    values = rng.normal(0.8, 0.01, (3, 3))
    spec, results, _ = confirmed(values.tolist())
    best = best_result(spec, results)
    assert best is not None
    found = spread_of(spec, results, best, Signals())
    pooled = math.sqrt(float(np.mean(np.var(values, axis=1, ddof=1))))
    assert found is not None and (found.source, found.samples) == ("seeds", 9)
    assert found.half_width == pytest.approx(STUDENT[5] * pooled)


def test_trials_that_may_be_as_good_are_told_whether_repeated_or_not() -> None:
    spec, results = made_up_study(20, 2, never, pruned=0.0)
    fourth = ranked(spec.metric, results)[3]
    v = fourth.value or 0.0
    spec, results, leaders = confirmed([[v - 0.01, v + 0.01], [v, v + 0.02], [v - 0.5, v - 0.48]])
    best = best_result(spec, results)
    assert best is not None and best.number == leaders[1].number
    alike = equals_of(spec, results, best, spread_of(spec, results, best, Signals()))
    assert alike[0] == leaders[0].number and fourth.number in alike and leaders[2].number not in alike


@pytest.mark.parametrize("form", sorted(RENDERERS))
def test_every_form_of_the_report_shows_the_repeats(form: str, tmp_path: Path) -> None:
    spec, results, leaders = confirmed([[0.80, 0.82], [0.90, 0.92], [0.70, 0.72]])
    lost = replace(
        results[-1], number=len(results), settings={**leaders[2].settings, "seed": 3}, outcome=Outcome.DOOMED
    )
    text = RENDERERS[form](build(spec, [*results, lost], tmp_path))
    assert f"trial {leaders[2].number} did not hold with 1 of 3 seeds" in text
    if form != "json":
        assert "Trained again with other seeds" in text and "The repeats took" in text
        assert "20 trials and 7 repeats" in text
