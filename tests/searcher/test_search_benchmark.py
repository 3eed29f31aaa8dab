"""The search benchmark: both sides train the same, and its figures are what they say."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_study import made_up_study
from optuna.pruners import NopPruner
from torch import nn

from benchmarks.search import table as search_table
from benchmarks.search_figures import aims_of, compare, dead_share, figures_of
from benchmarks.search_runs import TASKS, Task, Trace, run_ours, run_rival
from benchmarks.stops import Watch, audit_study, first_lost, table
from searcher.events import TrialEnded
from searcher.goodtrials import KNOWN
from searcher.trial import Outcome
from trainers.best import Best
from trainers.config import TrialConfig

TINY = replace(
    TASKS["digits-mlp"],
    budget=3,
    train={"evaluations_per_epoch": 1, "device": "cpu", "epochs": 2, "max_samples": 100, "width": 4},
)


@pytest.mark.parametrize("is_ours", [True, False])
def test_a_search_ends_with_its_budget(is_ours: bool) -> None:
    trace = Trace("digits-mlp", "ours" if is_ours else "tpe", 0)
    if is_ours:
        run_ours(TINY, trace, {"pruner": "none"})
    else:
        run_rival(TINY, trace, NopPruner())
    assert 3 <= sum(trace.epochs_of) < 4
    assert len(trace.values) == len(trace.spent) == len(trace.trials) == len(trace.seconds) > 0
    assert trace.spent == sorted(trace.spent) and max(trace.trials) < len(trace.epochs_of)


def searched(name: str, seed: int, *values: float) -> Trace:
    epochs = [float(n) for n in range(1, len(values) + 1)]
    return Trace(
        "made-up", name, seed, epochs, epochs, [*values], [*range(len(values))], [1.0] * len(values), 4.0
    )


def test_figures_of_known_searches() -> None:
    task = Task("none", "val_loss", 4, 1.0, 0.1, {}, {})
    traces = [searched("ours", seed, math.nan, 0.2, 0.6, 0.0) for seed in range(3)]
    traces += [searched("tpe", seed, 0.95, 0.8, 0.6, 0.2) for seed in range(3)]
    ours, rival = figures_of(task, traces)
    assert (ours.regret[0], rival.regret[0]) == (0.0, pytest.approx(0.2))
    assert (ours.to_target, rival.to_target) == (0.5, 1.0), "after two epochs of four it had the other's best"
    assert [dead_share(task, trace) for trace in (traces[0], traces[-1])] == [0.25, 0.25]
    even = [trace for trace in traces if trace.seed < 2]
    even[-1] = searched("tpe", 1, 0.95, 0.8, 0.6, 0.6)
    assert figures_of(task, even)[1].to_target == 1.0, "half of its own seeds have the median as their last"
    verdict = compare(task, traces, "tpe")
    assert (verdict.wins, verdict.losses) == (3, 0)


def test_what_is_aimed_at_is_said_with_how_far_it_hangs_on_the_seeds() -> None:
    task = Task("none", "val_loss", 4, 1.0, 0.1, {}, {})
    slow = [searched("tpe-halving", seed, 0.95, 0.95, 0.6, 0.2) for seed in range(5)]
    quick = [searched("ours", seed, 0.95, 0.2, 0.6, 0.0) for seed in range(5)]
    epochs, dead = aims_of(task, [*slow, *quick, searched("ours", 9, 0.95, 0.9, 0.9, 0.9)])
    assert (epochs.value, epochs.low, epochs.high, epochs.most) == (0.5, 0.5, 0.5, 0.5)
    assert (dead.value, dead.most) == (0.5, 0.25), "one of two; of a seed that one has alone nothing is said"
    idle = [searched("tpe-halving", seed, 1.0, 1.0, 1.0, 1.0) for seed in range(5)]
    assert aims_of(task, [*idle, *quick])[0].value == 1.0, "there is nothing to come up to"
    assert not aims_of(task, [searched("tpe", 0, 0.5), searched("ours", 1, 0.5)]), "no seed of both"
    never = [searched("ours", seed, 0.95, 0.9, 0.9, 0.9) for seed in range(3, 5)]
    epochs, _ = aims_of(task, [*slow, *quick[:3], *never])
    assert epochs.value == epochs.low == 0.5 and epochs.high == math.inf, "where these two are drawn often"
    assert "best rival's last quality 0.50, at most 0.5: met (0.50 to never" in search_table(
        "digits-mlp", [*slow, *quick[:3], *never]
    )


def test_no_trial_is_given_up_where_stops_are_audited() -> None:
    found = audit_study("digits-mlp", TINY, 1, 6)
    assert found.trials == 6 and found.best == max(1, found.completed // 4)
    assert max(len(found.wrong), found.lived) <= found.due <= 6 and 0 <= found.saved < 1
    assert "| all | 6 |" in table([found])


def test_non_starters_are_counted_beside_the_audit() -> None:
    found = audit_study("digits-mlp", TINY, 1, 6)
    assert len(found.idle_wrong) <= len(found.idle) <= 6 and 0 <= found.idle_saved < 1
    assert all(0 < number < 6 for number in found.idle), "the first has nobody to be compared with"
    wrong = replace(found, idle=[2, 3], idle_wrong=["trial 3, place 1"])
    assert f"| all | 2 | {found.idle_saved:.1%} | 1 (trial 3, place 1) | 1 of {found.best} =" in table(
        [wrong]
    )


def test_trials_past_their_best_are_counted_beside_the_audit() -> None:
    found = audit_study("digits-mlp", TINY, 1, 6)
    assert len(found.past_wrong) <= len(found.past) <= 6 and 0 <= found.past_saved < 1
    assert all(number >= KNOWN for number in found.past)
    wrong = replace(found, past=[4], past_wrong=["place 1: 0.4, not 0.3"])
    assert f"| all | 1 | {found.past_saved:.1%} | 1 (place 1: 0.4, not 0.3) | 1 of {found.best} =" in table(
        [wrong]
    )


def test_a_trial_that_was_better_later_is_missed_by_what_it_gained() -> None:
    (made,) = made_up_study(1)[1]
    facts, settings = {**made.facts, "evaluations_per_epoch": 1}, {**made.settings, "epochs": 12}
    plain = replace(
        made, outcome=Outcome.COMPLETED, facts=facts, settings=settings, epochs=12.0, confirms=None
    )
    watch = Watch(TASKS["digits-mlp"].spec(0, {"trials": 9}))
    soon, late = {1: 0.9, 2: 0.5, 12: 0.5}, {1: 0.9, **dict.fromkeys(range(2, 11), 0.8), 11: 0.3, 12: 0.3}
    for number in range(KNOWN):
        watch(TrialEnded(replace(plain, number=number, values=soon, value=0.5), False))
    assert not watch.past and not watch.missed, "nobody knew how long good trials wait"
    watch(TrialEnded(replace(plain, number=KNOWN, values=late, value=0.3), False))
    assert watch.past == {KNOWN: 8.0}, "best at the second evaluation, six more without a better one"
    assert watch.missed == {KNOWN: (0.8, 0.3)}


def test_a_training_is_over_when_its_patience_is_lost(rng: np.random.Generator) -> None:
    for _ in range(200):
        values, patience = rng.integers(0, 9, rng.integers(1, 12)), int(rng.integers(1, 5))
        best = Best(TrialConfig(patience=patience))
        told = (best.note({"val_loss": float(value)}, nn.Identity()) for value in values)
        over = next((due for due, _ in enumerate(told, 1) if best.age >= patience), None)
        so_far = dict(enumerate(np.minimum.accumulate(values).astype(float), 1))
        assert first_lost(so_far, patience) == over, "as the trainer itself says"
