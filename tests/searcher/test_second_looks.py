"""What a second look at the product found, and must not find again."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from mlflow import MlflowClient
from rich.console import Console

from diagnostics import Report, Verdict
from searcher.errors import TrackingError
from searcher.events import StudyOpened, TrialEnded
from searcher.ledger import Ledger
from searcher.opening import load_study
from searcher.samplers import build_sampler
from searcher.spec import Metric, StudySpec
from searcher.study import Places, run_study
from searcher.summary import best_result
from searcher.tracking import MlflowTracker
from searcher.trial import Outcome, TrialResult
from searcher.views.live import LiveView
from trainers.config import config_from
from trainers.data import forget_data
from trainers.loop import train

Make = Callable[..., StudySpec]


def places(folder: Path, tracked: bool = False) -> Places:
    tracking = f"sqlite:///{folder}/mlflow.db" if tracked else None
    return Places(f"sqlite:///{folder}/studies.db", tracking, folder / "runs")


def result(number: int, value: float, **more: Any) -> TrialResult:
    settings = {"learning_rate": 0.001 * number, "activation": "leaky_relu"}
    report = Report(Verdict.CONVERGED, ())
    return TrialResult(number, settings, tuple(settings), (), Outcome.COMPLETED, report, value, **more)


@pytest.mark.parametrize(
    ("trainer", "said"),
    [
        ("steps_back", "the steps of the signal 'loss' go back from 1 to 0"),
        ("metric_in_words", "the metric 'val_loss' is 'quite good', not a number"),
        ("fact_in_arrays", "the fact 'classes' is [3, 4], neither a number nor a text"),
        ("cannot_be_sent", "it cannot be sent to another process"),
    ],
)
def test_a_message_that_cannot_be_used_is_a_mistake_that_is_told(
    searcher: Callable[..., Any], make_spec: Make, workplace: Path, trainer: str, said: str
) -> None:
    spec = make_spec(train={"trainer": f"own_trainers:{trainer}"}, search={"trials": 2})
    if trainer == "steps_back":  # it is met after an evaluation: the trial's own
        results = run_study(spec, places(workplace), lambda event: None)
        assert [r.outcome for r in results] == [Outcome.FAILED] * 2
        assert said in results[0].reason
    else:
        with pytest.raises(Exception, match="yielded a Progress that cannot be used") as caught:
            run_study(spec, places(workplace), lambda event: None)
        assert said in str(caught.value)
    trials = optuna.load_study(study_name="own", storage=places(workplace).storage).trials
    assert all(trial.state is not optuna.trial.TrialState.RUNNING for trial in trials)


def test_of_equal_trials_the_first_is_the_best_and_keeps_its_weights(
    make_spec: Make, tmp_path: Path, rng: np.random.Generator
) -> None:
    numbers = [int(n) for n in rng.permutation(7)]
    ledger = Ledger(Metric(goal="maximize"), tmp_path)
    results = [result(number, 0.5) for number in numbers]
    for one in results:
        folder = tmp_path / f"{one.number:05d}"
        folder.mkdir()
        (folder / "weights.pt").touch()
        ledger.add(one)
    best = best_result(make_spec(metric={"goal": "maximize"}), results)
    assert best is not None and best.number == 0
    assert {path.parent.name for path in tmp_path.glob("*/weights.pt")} == {"00000", "00001", "00002"}


@pytest.mark.parametrize("sampler", ["random", "tpe", "gp", "cma-es", "nsga-ii"])
def test_an_ask_that_is_cut_in_two_gives_the_same_point(sampler: str, rng: np.random.Generator) -> None:
    seed = int(rng.integers(1000))
    space = {name: optuna.distributions.FloatDistribution(0, 1) for name in "xyz"}

    def study() -> optuna.Study:
        return optuna.create_study(sampler=build_sampler(sampler, {}, seed, dict(space), dict(space)))

    whole, cut = study(), study()
    for _ in range(4):
        trial, broken = whole.ask(), cut.ask()
        point = {name: trial.suggest_float(name, 0, 1) for name in "xyz"}
        first = {"x": broken.suggest_float("x", 0, 1)}
        again = optuna.Trial(cut, broken._trial_id)  # as another process finds it
        assert {**first, **{name: again.suggest_float(name, 0, 1) for name in "xyz"}} == point
        whole.tell(trial, point["x"])
        cut.tell(again, point["x"])


def test_a_gap_in_the_record_is_closed_when_the_study_is_left(
    make_spec: Make, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, calls = MlflowTracker.evaluate, iter(range(1000))

    def hiccup(self: MlflowTracker, number: int, step: int, metrics: Any) -> None:
        if next(calls) == 4:
            raise TrackingError("the server sneezed")
        original(self, number, step, metrics)

    monkeypatch.setattr(MlflowTracker, "evaluate", hiccup)
    spec = make_spec(train={"trainer": "own_trainers:scores"}, metric={"name": "score", "goal": "maximize"})
    run_study(spec, places(workplace, tracked=True), lambda event: None)
    client = MlflowClient(tracking_uri=places(workplace, tracked=True).tracking)
    runs = client.search_runs([client.get_experiment_by_name("own").experiment_id])
    children = [run for run in runs if "optuna.trial_number" in run.data.tags]
    assert len(children) == 4
    assert {run.info.status for run in runs} == {"FINISHED"}
    for run in children:
        points = client.get_metric_history(run.info.run_id, "score")
        assert sorted(point.step for point in points) == [1, 2, 3]


def test_a_study_is_not_run_twice_over_one_store(make_spec: Make, workplace: Path) -> None:
    refused: list[str] = []

    def second_run(event: object) -> None:
        if isinstance(event, TrialEnded) and not refused:
            elsewhere = Places(places(workplace).storage, None, workplace / "other")
            with pytest.raises(Exception, match="being run by another process") as caught:
                run_study(make_spec(), elsewhere, lambda event: None)
            refused.append(str(caught.value))

    run_study(make_spec(), places(workplace), second_run)
    assert len(refused) == 1
    assert len(load_study("own", places(workplace).storage).results()) == 4


def test_the_goal_must_be_that_of_the_metric(searcher: Callable[..., Any], workplace: Path) -> None:
    text = '[train]\ndata = "digits"\n[space]\nwidth = [4, 8]\n[search]\ntrials = 1\n'
    Path("s.toml").write_text('name = "s"\n[metric]\nname = "val_accuracy"\n' + text)
    said = searcher("run", "s.toml", "--no-tracking")
    assert said.code == 2
    assert "val_accuracy is the better the larger it is: say goal = 'maximize'" in said.err


DATA = """
import torch

def load(settings):
    return torch.randn(60, 4), torch.randint(2, (60,))
"""


def test_a_training_does_not_depend_on_what_its_process_did_before(workplace: Path) -> None:
    Path("drawn_data.py").write_text(DATA)
    config = config_from({"data": "drawn_data:load", "epochs": 2, "width": 4, "dropout": 0.5})
    forget_data()
    fresh, remembered = ([p.metrics for p in train(config)] for _ in range(2))
    assert list(fresh) == list(remembered)


@pytest.mark.parametrize("width", [80, 120, 200])
def test_the_live_table_keeps_every_trial_on_one_line(make_spec: Make, width: int) -> None:
    console = Console(width=width, record=True, force_terminal=True)
    view = LiveView(console)
    view(StudyOpened(make_spec(), ("cpu:0",), (), 0))
    reason = "pruned by median at epoch 3: val_accuracy 0.9556 is behind other trials"
    for number in range(3):
        view(TrialEnded(result(number, 1 / (number + 1), reason=reason), False))
    console.print(view)
    lines = console.export_text().splitlines()
    rows = [line for line in lines if "converged" in line]
    assert len(rows) == 3
    assert len(lines) == 2 + 1 + 3
    assert all("completed" in row and "lr=" in row and len(row) <= width for row in rows)
    assert math.isclose(float(rows[0].split()[2]), 1.0)
