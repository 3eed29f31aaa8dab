"""The monitor never changes what it watches: weights, buffers, optimizer and random streams bit for bit."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer
from torch.utils.checkpoint import checkpoint

from diagnostics import Monitor

STEPS, CLASSES = 30, 3


class Last(nn.Module):
    """A recurrent layer read out at its last place."""

    def __init__(self, kind: type[nn.RNNBase]) -> None:
        super().__init__()
        self.embedding = nn.Embedding(11, 6)
        self.rnn = kind(6, 8, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Tokens [B, T] to logits [B, C]."""
        return self.head(self.rnn(self.embedding(x))[0][:, -1])


class Attentive(nn.Module):
    """One layer of a transformer, read out by its mean."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, 8] to logits [B, C]."""
        return self.head(self.encoder(x).mean(dim=1))


class Recomputing(nn.Module):
    """Activations are thrown away and computed again in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(8, 12), nn.Dropout(0.3), nn.ReLU(inplace=True), nn.Linear(12, 8))
        self.other = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 8] to logits [B, C]; the two kinds of recomputing that torch has."""
        x = checkpoint(self.body, x, use_reentrant=False)
        return self.head(checkpoint(self.other, x, use_reentrant=True))


def mlp() -> nn.Module:
    """With dropout, and an activation in place."""
    return nn.Sequential(
        *(nn.Linear(8, 16), nn.ReLU(inplace=True), nn.Dropout(0.4)),
        *(nn.Linear(16, 16), nn.LayerNorm(16), nn.Sigmoid(), nn.Linear(16, CLASSES)),
    )


def cnn() -> nn.Module:
    """With batch norm."""
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(36, CLASSES)),
    )


def numbers(*shape: int) -> Callable[[], Tensor]:
    """Batches of random numbers."""
    return lambda: torch.randn(8, *shape)


def tokens() -> Tensor:
    """A batch of random tokens."""
    return torch.randint(11, (8, 5))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[], Tensor]]] = {
    "mlp": (mlp, numbers(8)),
    "cnn": (cnn, numbers(1, 8, 8)),
    "channels last": (lambda: cnn().to(memory_format=torch.channels_last), numbers(1, 8, 8)),
    "lstm": (lambda: Last(nn.LSTM), tokens),
    "gru": (lambda: Last(nn.GRU), tokens),
    "rnn": (lambda: Last(nn.RNN), tokens),
    "transformer": (Attentive, numbers(5, 8)),
    "recomputing": (Recomputing, numbers(8)),
}

Maker = Callable[[Iterator[nn.Parameter]], Optimizer]

OPTIMIZERS: dict[str, Maker] = {
    "sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, weight_decay=0.01),
    "sgd fused": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, fused=True),
    "sgd one by one": lambda p: torch.optim.SGD(p, 0.1, foreach=False),
    "adam": lambda p: torch.optim.Adam(p, 0.01),
    "adam fused": lambda p: torch.optim.Adam(p, 0.01, fused=True),
    "adam foreach": lambda p: torch.optim.Adam(p, 0.01, foreach=True),
    "adamw": lambda p: torch.optim.AdamW(p, 0.01, amsgrad=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, 0.01),
    "adagrad": lambda p: torch.optim.Adagrad(p, 0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, 0.1, max_iter=3),
}


def one_step(model: nn.Module, optimizer: Optimizer, x: Tensor, y: Tensor) -> Tensor:
    """As a loop does it; all of it in a closure where the optimizer asks for one."""

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        return loss

    if isinstance(optimizer, torch.optim.LBFGS):
        return optimizer.step(closure)
    loss = closure()
    optimizer.step()
    return loss


def left_behind(model: str, optimizer: str, watched: bool) -> dict[str, Any]:
    """Everything that a training leaves: what it computed, and where the random streams stand."""
    torch.manual_seed(7)
    random.seed(7)
    np.random.seed(7)
    make, inputs = MODELS[model]
    net = make()
    moved = OPTIMIZERS[optimizer](net.parameters())
    monitor = Monitor(net, moved, num_classes=CLASSES, cadence=always()) if watched else None
    losses = []
    for _ in range(STEPS):
        x, y = inputs(), torch.randint(CLASSES, (8,))
        losses.append(one_step(net, moved, x, y).detach())
        if monitor:
            monitor.step(losses[-1], batch=(x, y))
    if monitor:
        assert "probe_error" not in monitor.signals.facts
        assert len(monitor.signals["weight_norm"]) == STEPS
        assert len(monitor.signals["output_spread"]) == STEPS
        assert np.all(np.isfinite(monitor.signals["total_update_norm"].values))
        monitor.report()
    streams = {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}
    gradients = [None if p.grad is None else p.grad.clone() for p in net.parameters()]
    return {
        **{"weights": net.state_dict(), "gradients": gradients, "losses": losses},
        **{"optimizer": moved.state_dict()["state"], "streams": streams},
    }


def same(one: Any, other: Any) -> bool:
    """Equal bit for bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and torch.equal(one, other)
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize(
    ("model", "optimizer"),
    [
        *((model, "adam") for model in MODELS),
        *(("mlp", o) for o in OPTIMIZERS if o != "adam"),
        ("cnn", "sgd"),
    ],
)
def test_a_watched_training_is_the_same_bit_for_bit(model: str, optimizer: str) -> None:
    watched, alone = (left_behind(model, optimizer, watched) for watched in (True, False))
    for part in alone:
        assert same(watched[part], alone[part]), part


def test_a_difference_would_be_seen() -> None:
    one, other = left_behind("mlp", "sgd", False), left_behind("mlp", "sgd fused", False)
    assert not same(one["weights"], {name: w + 1e-7 for name, w in one["weights"].items()})
    assert not same(one["streams"], {**other["streams"], "torch": torch.Generator().get_state()})
