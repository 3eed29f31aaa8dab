"""What matters: importances, slices, and whether the top two settings interact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_study import SPACE, made_up_spec, made_up_study

from searcher.report.numbers.interaction import told_interaction
from searcher.report.numbers.matters import FEWEST, matters
from searcher.report.numbers.objective import objectives, ranks
from searcher.report.numbers.scales import Column, Scale
from searcher.trial import Outcome

SPEC = made_up_spec()


def column(name: str, rng: np.random.Generator, choices: int = 0, n: int = 60) -> Column:
    """A setting that was drawn at random in `n` trials."""
    active = np.ones(n, dtype=bool)
    if choices:
        values = rng.integers(choices, size=n).astype(float)
        return Column(name, values, active, choices=tuple("abcdef"[:choices]))
    return Column(name, rng.random(n), active, Scale(0, 1))


def test_what_the_objective_hangs_on_is_named_first() -> None:
    found = matters(*made_up_study(120, 1))
    assert found.importance[0].setting == "learning_rate"
    assert found.importance[0].share > 0.5
    assert sum(one.share for one in found.importance) == pytest.approx(1, abs=0.01)
    assert found.interaction is not None and found.interaction.first == "learning_rate"
    assert "% of the variance" in found.note


def test_a_failure_counts() -> None:
    spec, results = made_up_study(120, 2, lambda settings: "crashed" if settings["depth"] > 3 else "")
    rng = np.random.default_rng(0)
    flat = [r if r.outcome is Outcome.DOOMED else replace(r, value=float(rng.random())) for r in results]
    assert matters(spec, flat).importance[0].setting == "depth"


def test_an_objective_that_is_chance_has_no_importances(rng: np.random.Generator) -> None:
    spec, results = made_up_study(60, 3, lambda _: "")
    results = [replace(result, value=float(rng.random())) for result in results]
    found = matters(spec, results)
    assert sum(one.share for one in found.importance) == 0 or "foretell 1" in found.note
    assert len(found.slices) == len(SPACE)


@pytest.mark.parametrize("trials", [0, 1, FEWEST - 1])
def test_few_trials_say_nothing(trials: int) -> None:
    found = matters(*made_up_study(trials, 1))
    assert found.importance == () and found.interaction is None and found.note


def test_all_failed() -> None:
    found = matters(*made_up_study(30, 1, lambda _: "diverging"))
    assert found.importance == () and "All 30 trials have the same val_accuracy" in found.note


def test_slices_show_every_trial_that_has_the_setting() -> None:
    spec, results = made_up_study(40, 4)
    slices = {part.setting: part for part in matters(spec, results).slices}
    assert list(slices) == list(SPACE)
    assert slices["learning_rate"].log and not slices["dropout"].log
    assert len(slices["dropout"].points) == 40
    normal = [result for result in results if result.settings["init"] == "normal"]
    assert [point.trial for point in slices["init_std"].points] == [result.number for result in normal]


def test_failures_count_as_the_worst_that_any_other_reached() -> None:
    spec, results = made_up_study(40, 5)
    values = objectives(spec, results)
    failed = np.array([result.outcome is Outcome.DOOMED for result in results])
    assert failed.any() and np.all(values[failed] == values[~failed].min())
    assert np.all(objectives(spec, [r for r in results if r.outcome is Outcome.DOOMED]) == 0.1)
    assert np.isnan(objectives(spec, [replace(results[0], outcome=Outcome.FAILED, value=None)])).all()


def test_ranks_are_one_for_the_best_and_shared_by_equals() -> None:
    np.testing.assert_allclose(ranks(SPEC, np.array([0.1, 0.9, 0.5, 0.5])), [0, 1, 0.5, 0.5])
    losses = SPEC.model_copy(update={"metric": SPEC.metric.model_copy(update={"goal": "minimize"})})
    np.testing.assert_allclose(ranks(losses, np.array([0.1, 0.9, 0.5])), [1, 0, 0.5])


def test_settings_whose_effects_add_up_do_not_interact(rng: np.random.Generator) -> None:
    a, b, c = column("a", rng), column("b", rng), column("c", rng, choices=3)
    noise = 0.3 * rng.normal(size=60)
    smooth = -3 * (a.places - 0.5) ** 2 + b.places + noise
    assert "no sign that a and b interact" in told_interaction(SPEC, a, b, smooth)
    by_choice = a.places + 0.5 * (c.places == 1) + noise
    assert "no sign that a and c interact" in told_interaction(SPEC, a, c, by_choice)


def test_settings_whose_best_values_hang_together_interact(rng: np.random.Generator) -> None:
    a, b, c = column("a", rng), column("b", rng), column("c", rng, choices=2, n=60)
    noise = 0.05 * rng.normal(size=60)
    assert "a and b interact" in told_interaction(SPEC, a, b, 4 * (a.places - 0.5) * (b.places - 0.5) + noise)
    turned = np.where(c.places == 0, a.places, -a.places)
    text = told_interaction(SPEC, a, c, turned + noise)
    assert "a and c interact" in text and "no sign" not in text


def test_a_gain_that_is_large_but_not_sure_is_no_sign_of_nothing() -> None:
    rng = np.random.default_rng(3)
    told = set()
    for _ in range(200):
        a, b = column("a", rng, n=14), column("b", rng, n=14)
        values = 4 * (a.places - 0.5) * (b.places - 0.5) + 0.3 * rng.normal(size=14)
        told.add(told_interaction(SPEC, a, b, values))
    unsure = [text for text in told if "may interact, but 14 trials are too few to be sure" in text]
    assert unsure and all("less squared error" in text and "no sign" not in text for text in unsure)
    assert any("about as well as both together" in text for text in told)


def test_too_few_trials_with_both_say_so(rng: np.random.Generator) -> None:
    a, b = column("a", rng), column("b", rng)
    b = replace(b, active=np.arange(60) < 5)
    assert "5 trials have both a and b" in told_interaction(SPEC, a, b, rng.random(60))
