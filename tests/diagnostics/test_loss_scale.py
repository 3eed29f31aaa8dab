"""Losses that are not the plain one: their trivial level is scaled, or nobody's; never a false alarm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor, Report, Severity
from diagnostics.causes import flatten
from diagnostics.measuring.cadence import Fixed

STEPS = 400

Loss = Callable[[Tensor, Tensor], Tensor]

CLASSES: dict[str, Loss] = {
    "a sum": lambda a, y: F.cross_entropy(a, y, reduction="sum"),
    "a share, as under accumulation": lambda a, y: F.cross_entropy(a, y) / 4,
    "weighted": lambda a, y: F.cross_entropy(a, y, weight=torch.tensor([1.0, 20.0, 20.0])),
    "smoothed": lambda a, y: F.cross_entropy(a, y, label_smoothing=0.2),
    "with a margin": lambda a, y: F.multi_margin_loss(a, y),
}
NUMBERS: dict[str, Loss] = {
    "root": lambda a, y: F.mse_loss(a[:, 0], y).sqrt(),
    "absolute": lambda a, y: F.l1_loss(a[:, 0], y),
    "sum of squares": lambda a, y: F.mse_loss(a[:, 0], y, reduction="sum"),
    "absolute on small targets": lambda a, y: 0.05 * F.l1_loss(a[:, 0], y),
}


def trained(loss_of: Loss, task: str, *, sick: bool = False) -> Report:
    x = torch.randn(512, 10)
    score = x @ torch.randn(10)
    y = (
        torch.bucketize(score, score.quantile(torch.tensor([0.9, 0.95])))
        if task == "classification"
        else score
    )
    model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 3 if task == "classification" else 1))
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    outputs = 3 if task == "classification" else None
    with Monitor(model, optimizer, task=task, num_classes=outputs, cadence=Fixed()) as monitor:
        for _ in range(STEPS):
            chosen = torch.randint(len(x), (32,))
            y = torch.randint(3, y.shape) if sick else y
            optimizer.zero_grad()
            loss = loss_of(model(x[chosen]), y[chosen])
            loss.backward()
            optimizer.step()
            monitor.step(loss, batch=(x[chosen], y[chosen]))
    return monitor.report()


@pytest.mark.parametrize("name", CLASSES)
def test_a_loss_of_classes_on_another_scale_raises_no_alarm(name: str) -> None:
    report = trained(CLASSES[name], "classification")
    assert [finding.kind for finding in report.findings if finding.severity > Severity.INFO] == []


@pytest.mark.parametrize("name", NUMBERS)
def test_a_loss_of_numbers_on_another_scale_raises_no_alarm(name: str) -> None:
    report = trained(NUMBERS[name], "regression")
    assert [finding.kind for finding in report.findings if finding.severity > Severity.INFO] == []


def test_a_share_of_the_loss_does_not_hide_that_nothing_is_learnt() -> None:
    def of_noise(a: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(a, y) / 4

    report = trained(of_noise, "classification", sick=True)
    assert any(finding.kind == "not-learning" for finding in flatten(report.findings))
