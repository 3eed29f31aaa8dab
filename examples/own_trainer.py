"""An own trainer: an autoencoder, which squeezes digits through a few numbers and draws them again.

A trainer is a generator: it gets the settings of a trial as a plain dictionary, trains, and yields
`Progress` now and then. It never hears of the search; a trial is stopped by not asking for more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics import Monitor
from diagnostics.measuring.cadence import Fixed
from trainers.progress import Progress

VALIDATION = 297


def train(settings: dict[str, Any]) -> Iterator[Progress]:
    """Train one autoencoder with the settings learning_rate, batch_size, code, width and epochs."""
    torch.manual_seed(settings["seed"])
    validation, data = torch.split(digits(), [VALIDATION, 1797 - VALIDATION])
    model = autoencoder(settings["width"], settings["code"])
    optimizer = torch.optim.Adam(model.parameters(), lr=settings["learning_rate"])
    epochs, step = settings["epochs"], 0
    monitor = Monitor(
        model, optimizer, task="regression", cadence=Fixed()
    )  # the same rows whenever it is repeated
    for epoch in range(1, epochs + 1):
        for batch in torch.split(data[torch.randperm(len(data))], settings["batch_size"]):
            optimizer.zero_grad()
            loss = F.mse_loss(model(batch), batch)
            loss.backward()
            optimizer.step()
            monitor.step(loss, batch=(batch, batch))
            step += 1
        with torch.no_grad():
            metrics = {
                "train_loss": float(F.mse_loss(model(data), data)),
                "val_loss": float(F.mse_loss(model(validation), validation)),
            }
        facts = {"trivial_loss": float(data.var(dim=0, correction=0).mean())}
        yield Progress(step, epoch, epochs, metrics, monitor.take(), facts)
    save(model, Path(settings["folder"]))


def digits() -> Tensor:
    """All 1,797 digits as rows of 64 numbers from 0 to 1, in an order that is always the same."""
    images = torch.from_numpy(load_digits().data / 16).float()
    return images[torch.randperm(len(images), generator=torch.Generator().manual_seed(0))]


def autoencoder(width: int, code: int) -> nn.Module:
    """64 pixels, `width` units, `code` numbers, and the same way back."""
    return nn.Sequential(
        *(nn.Linear(64, width), nn.ReLU(), nn.Linear(width, code)),
        *(nn.Linear(code, width), nn.ReLU(), nn.Linear(width, 64)),
    )


def save(model: nn.Module, folder: Path) -> None:
    """Leave the weights where `searcher best --model` looks for them."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.save({"weights": model.state_dict()}, folder / "weights.pt")
