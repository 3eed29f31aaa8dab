"""A diagnosis for a loop of your own: one healthy training and one with a learning rate far too high.

Run it as it is: python any_loop.py. It needs torch, scikit-learn and `diagnostics`, nothing of the search.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor, Report
from diagnostics.report import to_text


def train(rate: float, x: Tensor, y: Tensor) -> Report:
    """A plain loop; the lines with `monitor` are all that the diagnosis needs."""
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    with Monitor(model, optimizer, task="classification", num_classes=10) as monitor:
        for _ in range(15):
            for chosen in torch.randperm(1500).split(50):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(x[chosen]), y[chosen])
                loss.backward()
                optimizer.step()
                monitor.step(loss, batch=(x[chosen], y[chosen]))
            model.eval()
            with torch.no_grad():
                losses = F.cross_entropy(model(x), y, reduction="none")
            model.train()
            monitor.evaluate(train_loss=losses[:1500].mean(), val_loss=losses[1500:].mean())
    return monitor.report("finished")


def main() -> None:
    """Train twice, print both reports."""
    digits = load_digits()
    x, y = torch.from_numpy(digits.data).float() / 16, torch.from_numpy(digits.target)
    for rate in (0.01, 3.0):
        torch.manual_seed(0)
        print(f"--- learning rate {rate}\n{to_text(train(rate, x, y))}\n")


if __name__ == "__main__":
    main()
