"""What a loss has beyond the plain one: a penalty is told from another loss of the same answers."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor, Signals
from diagnostics.evidence.further_terms import plain_part, tells_the_plain_part
from diagnostics.evidence.learning import standing
from diagnostics.measuring.cadence import Fixed

CLASSES, SAMPLES = 3, 512

Loss = Callable[[nn.Module, Tensor, Tensor], Tensor]


def l1(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(y, labels) + 0.003 * sum(p.abs().sum() for p in model.parameters())


def l2(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(y, labels) + 0.05 * sum(p.square().sum() for p in model.parameters())


def weighted(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(y, labels, weight=torch.tensor([1.0, 4.0, 9.0]))


def weighted_sum(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    each = F.cross_entropy(y, labels, reduction="none")
    return (each * torch.tensor([1.0, 4.0, 9.0])[labels]).mean()


def smoothed(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(y, labels, label_smoothing=0.2)


def confident(model: nn.Module, y: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(y, labels) + 0.3 * y.square().mean()  # looks at the answers


def watched(loss: Loss, batch: int, steps: int = 150, seed: int = 0) -> Signals:
    torch.manual_seed(seed)
    x = torch.randn(SAMPLES, 8)
    labels = (x[:, 0] + 0.5 * torch.randn(SAMPLES) > 0.3).long() + (x[:, 1] > 0.8)
    model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, CLASSES))
    optimizer = torch.optim.Adam(model.parameters(), 1e-2)
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=Fixed())
    for _ in range(steps):
        chosen = torch.randperm(SAMPLES)[:batch]
        optimizer.zero_grad()
        value = loss(model, model(x[chosen]), labels[chosen])
        value.backward()
        optimizer.step()
        monitor.step(value, batch=(x[chosen], labels[chosen]))
    return monitor.signals


@pytest.mark.parametrize("loss", [l1, l2])
def test_a_penalty_on_weights_leaves_the_plain_part_to_judge(loss: Loss) -> None:
    signals = watched(loss, batch=32, seed=int(np.random.default_rng().integers(1000)))
    part = plain_part(signals)
    assert part is not None
    steps, p = part
    ratio, x = (
        signals["loss_ratio"].values,
        dict(zip(signals["loss"].steps, signals["loss"].values, strict=True)),
    )
    np.testing.assert_allclose(p, [x[t] / r for t, r in zip(steps, ratio, strict=True)], rtol=1e-6)
    place = standing(signals, {"task": "classification", **signals.facts})
    assert math.isfinite(place.trivial) and place.now < place.trivial, (
        "it learns, by the part that can show it"
    )


@pytest.mark.parametrize("loss", [weighted, weighted_sum, smoothed, confident])
def test_another_loss_of_the_same_answers_is_none(loss: Loss) -> None:
    signals = watched(loss, batch=32, seed=int(np.random.default_rng().integers(1000)))
    assert plain_part(signals) is None
    assert math.isnan(standing(signals, {"task": "classification", **signals.facts}).trivial)


@pytest.mark.parametrize("loss", [l1, weighted_sum])
def test_nothing_is_told_where_every_batch_has_all_samples(loss: Loss) -> None:
    assert plain_part(watched(loss, batch=SAMPLES)) is None


def test_nor_of_the_plain_loss_itself_or_of_few_rows() -> None:
    assert plain_part(watched(lambda model, y, labels: F.cross_entropy(y, labels), batch=32)) is None
    assert plain_part(watched(l1, batch=32, steps=6)) is None
    assert plain_part(Signals.of({"loss": ([0, 1], [1.0, 0.9])})) is None


@pytest.mark.parametrize("is_plain", [True, False])
def test_evaluations_of_the_plain_part_are_told_from_those_of_the_whole(is_plain: bool) -> None:
    signals = watched(l1, batch=32)
    part = plain_part(signals)
    assert part is not None
    steps, whole = signals["loss"].steps, signals["loss"].values
    told = np.interp(np.array([40, 80, 140]), *(part if is_plain else (steps, whole)))
    with_evaluations = signals.extend(Signals.of({"train_loss": ([40, 80, 140], told + 0.01)}))
    assert tells_the_plain_part(with_evaluations, "train_loss", part) == is_plain
