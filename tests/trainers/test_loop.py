"""The loop: what it says, what it keeps, and that it does the same twice."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from said import signals_of

from diagnostics import Signals
from trainers.checkpoint import load_model
from trainers.config import TrialConfig, config_from
from trainers.data import load_data
from trainers.errors import SettingError
from trainers.loop import Training, train
from trainers.losses import evaluate
from trainers.progress import Progress

QUICK: dict[str, Any] = {"data": "digits", "max_samples": 400, "epochs": 2, "width": 16, "batch_size": 32}


def messages(**settings: Any) -> list[Progress]:
    return list(train(config_from({**QUICK, **settings})))


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return dict(torch.load(path / "weights.pt", weights_only=True)["weights"])


OPTIONS: list[dict[str, Any]] = [
    {"optimizer": "nesterov", "clip_norm": 0.5},
    {"schedule": "one_cycle", "warmup_epochs": 0.5},
    {"ema_decay": 0.9, "norm": "batch"},
    {"l1": 1e-4, "weight_decay": 1e-3},
    {"label_smoothing": 0.1, "dropout": 0.3},
    {"model": "cnn", "channels": 4, "depth": 1, "augmentation": "flip+crop", "dropout_kind": "dropblock"},
    {"model": "gru", "norm": "layer"},
    {"precision": "bfloat16"},
    {"data": "diabetes", "best_by": "val_rmse", "activation": "tanh"},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)))
def test_the_same_settings_give_the_same_training(options: dict[str, Any], tmp_path: Path) -> None:
    seed = random.randrange(10_000)
    torch.manual_seed(random.randrange(10_000))
    first = messages(**options, seed=seed, folder=str(tmp_path / "a"))
    torch.manual_seed(random.randrange(10_000))
    second = messages(**options, seed=seed, folder=str(tmp_path / "b"))
    assert [p.metrics for p in first] == [p.metrics for p in second]
    for name, series in signals_of(first).items():
        assert np.array_equal(series.values, signals_of(second)[name].values)
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    assert all(torch.equal(a[name], b[name]) for name in a)
    other = messages(**options, seed=seed + 1)
    assert other[-1].metrics != first[-1].metrics


class Blind:
    """A monitor that looks at nothing."""

    needs_hooks = False

    def __init__(self, *_: Any, **__: Any) -> None:
        self.losses: list[torch.Tensor] = []

    def __enter__(self) -> Blind:
        return self

    def __exit__(self, *_: object) -> None: ...
    def evaluate(self, **_: Any) -> None: ...

    def step(self, loss: torch.Tensor, *_: Any, **__: Any) -> None:
        self.losses.append(loss.detach())

    def take(self) -> Signals:
        losses, self.losses = self.losses, []
        return Signals.of({"loss": (range(len(losses)), [float(loss) for loss in losses])})


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: "-".join(map(str, o)))
def test_a_training_that_is_watched_is_the_one_that_is_not(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Losses, metrics, weights and all random streams are the same, bit by bit."""
    settings = {**options, "seed": random.randrange(10_000)}
    watched = messages(**settings, folder=str(tmp_path / "watched"))
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    monkeypatch.setattr("trainers.loop.Monitor", Blind)
    blind = messages(**settings, folder=str(tmp_path / "blind"))
    assert torch.equal(states[0], torch.get_rng_state())
    assert states[1:] == (random.getstate(), np.random.get_state()[1].tolist())
    losses = np.concatenate([p.signals["loss"].values for p in blind if "loss" in p.signals])
    assert np.array_equal(signals_of(watched)["loss"].values, losses)
    assert [p.metrics for p in watched] == [p.metrics for p in blind]
    a, b = weights_of(tmp_path / "watched"), weights_of(tmp_path / "blind")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_every_layer_is_looked_at_by_the_step_alone() -> None:
    stream = messages(epochs=4, clip_norm=0.1, norm="batch", activation="tanh")
    signals = signals_of(stream)
    again = signals_of(messages(epochs=4, clip_norm=0.1, norm="batch", activation="tanh"))
    assert {"update_norm", "grad_norm", "slope_share", "raw_grad_norm", "train_loss_split"} <= signals.keys()
    assert signals["update_norm"].layers == tuple(
        f"{layer}.weight" for layer in ("hidden1.linear", "hidden2.linear", "head")
    )
    assert signals.keys() == again.keys()
    assert all(np.array_equal(series.steps, again[name].steps) for name, series in signals.items())
    norms = dict(zip(signals["total_grad_norm"].steps, signals["total_grad_norm"].values, strict=True))
    raw = dict(zip(signals["raw_grad_norm"].steps, signals["raw_grad_norm"].values, strict=True))
    assert all(norm == pytest.approx(min(raw[step], 0.1), rel=1e-4) for step, norm in norms.items())


def test_the_facts_travel_with_the_rows() -> None:
    stream = messages(clip_norm=2.0, epochs=3, label_smoothing=0.1)
    facts = signals_of(stream).facts
    per_epoch = math.ceil(280 / 32)
    assert (facts["total_steps"], facts["steps_per_epoch"], facts["epochs"]) == (3 * per_epoch, per_epoch, 3)
    assert (facts["clip_norm"], facts["label_smoothing"], facts["batch_size"]) == (2.0, 0.1, 32)
    assert (facts["optimizer"], facts["train_samples"], facts["validation_samples"]) == ("Adam", 280, 60)
    assert facts["feature_count"] == 64 and facts["label_classes"] == 10
    assert stream[0].facts["trivial_loss"] == facts["trivial_loss"]
    assert not {"clip_norm", "label_smoothing", "l1"} & messages()[0].facts.keys(), "only what is set"


def test_what_the_data_are_like_is_worked_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    first = messages(data_seed=random.randrange(10**6))
    seed = random.randrange(10**6)
    messages(data_seed=seed)
    monkeypatch.setattr("trainers.facts.describe_data", None)  # a second call would raise
    again = messages(data_seed=seed, batch_size=64)
    assert again[0].facts["feature_count"] == first[0].facts["feature_count"]


def test_nothing_of_the_monitor_is_left_on_the_model_when_a_trial_is_pruned() -> None:
    training = Training(config_from({**QUICK, "epochs": 1}))
    hooks = [len(module._forward_hooks) for module in training.model.modules()]
    with training.monitor:
        training.step(next(iter(training.batches())))
    assert sum(hooks) > 0
    assert sum(len(module._forward_hooks) for module in training.model.modules()) == 0


def test_every_step_has_a_row_and_every_evaluation_its_place() -> None:
    batch_size = random.choice([7, 16, 50, 500])
    stream = messages(batch_size=batch_size, epochs=3)
    samples = int(stream[0].facts["train_samples"])
    per_epoch = math.ceil(samples / batch_size)
    loss = signals_of(stream)["loss"]
    assert list(loss.steps) == list(range(3 * per_epoch))
    evaluated = [p for p in stream if p.metrics]
    assert [p.step for p in evaluated] == [per_epoch, 2 * per_epoch, 3 * per_epoch]
    assert [p.epoch for p in evaluated] == [1, 2, 3]
    assert {"train_loss", "val_loss", "train_accuracy", "val_accuracy"} <= evaluated[0].metrics.keys()


@pytest.mark.parametrize("wanted", [1, 2, 5])
def test_evaluations_divide_the_epoch_whatever_the_batch_size(wanted: int) -> None:
    for batch_size in (8, 64):
        stream = messages(batch_size=batch_size, evaluations_per_epoch=wanted, epochs=2)
        epochs = [p.epoch for p in stream if p.metrics]
        assert [math.floor(epoch * wanted + 1e-9) for epoch in epochs][-1] == 2 * wanted
        assert len(epochs) == 2 * min(wanted, math.ceil(280 / batch_size))


def test_the_first_message_brings_the_facts_and_knows_the_trivial_loss() -> None:
    facts = messages()[0].facts
    y = load_data(TrialConfig(data="digits", max_samples=400)).train.y.numpy()
    shares = np.bincount(y) / len(y)
    assert facts["trivial_loss"] == pytest.approx(-(shares * np.log(shares)).sum())
    assert facts["task"] == "classification"
    assert facts["parameters"] == 64 * 16 + 16 + 16 * 16 + 16 + 16 * 10 + 10


def test_a_default_training_learns() -> None:
    stream = list(train(TrialConfig(data="digits", epochs=8)))
    assert stream[-1].metrics["val_accuracy"] > 0.9


@pytest.mark.parametrize("keep", ["best", "last"])
def test_the_weights_on_disk_are_those_of_the_evaluation_to_keep(keep: str, tmp_path: Path) -> None:
    settings = {"learning_rate": 0.3, "optimizer": "sgd", "epochs": 6, "best_by": "val_accuracy"}
    stream = messages(**settings, keep=keep, folder=str(tmp_path))
    values = [p.metrics["val_accuracy"] for p in stream if p.metrics]
    model, _ = load_model(tmp_path / "weights.pt")
    config = config_from({**QUICK, **settings})
    validation = load_data(config).validation
    found = evaluate(model, [(validation.x, validation.y)], "classification")
    assert found["accuracy"] == pytest.approx(max(values) if keep == "best" else values[-1])


def test_patience_ends_a_training_that_gets_no_better() -> None:
    stream = messages(epochs=40, patience=2, learning_rate=1e-9, best_by="val_accuracy")
    assert sum(bool(p.metrics) for p in stream) == 3
    assert len([p for p in messages(epochs=4, patience=2) if p.metrics]) == 4


def test_the_learning_rate_of_every_step_is_recorded() -> None:
    rates = signals_of(messages(schedule="cosine", learning_rate=0.01, epochs=2))["learning_rate"].values
    n = len(rates)
    expected = 0.01 * (1 + np.cos(np.pi * np.arange(n) / n)) / 2
    assert np.allclose(rates, expected)


def test_a_training_that_explodes_says_so_within_a_few_steps() -> None:
    stream = messages(data="diabetes", learning_rate=10.0, optimizer="sgd", epochs=20)
    first = next(
        i
        for i, p in enumerate(stream)
        if "loss" in p.signals and not np.isfinite(p.signals["loss"].values).all()
    )
    before = stream[first - 1].step
    loss = signals_of(stream)["loss"]
    onset = int(loss.steps[np.flatnonzero(~np.isfinite(loss.values))[0]])
    assert before <= onset < before + 50


def test_fine_tuning_starts_from_the_given_weights(tmp_path: Path) -> None:
    learnt = messages(epochs=6, learning_rate=0.01, folder=str(tmp_path))[-1].metrics["train_loss"]
    again = messages(
        epochs=1, learning_rate=1e-6, head_learning_rate=1e-5, checkpoint=str(tmp_path / "weights.pt")
    )
    assert again[-1].metrics["train_loss"] < 1.2 * learnt


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": "diabetes", "best_by": "val_accuracy"}, "regression"),
        ({"data": "diabetes", "augmentation": "flip"}, "is for images"),
        ({"data": "diabetes", "label_smoothing": 0.1}, "choose 0"),
        ({"model": "cnn", "data": "diabetes"}, "choose from"),
        ({"device": "cuda:99"}, "here are"),
        ({"device": "toaster"}, "here are"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_the_first_step(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        next(iter(train(config_from({**QUICK, **settings}))))
