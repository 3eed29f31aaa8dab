"""Models as strangers write them: some with activation modules, some with calls in `forward`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MODULES: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.1),
    "softplus": nn.Softplus,
    "selu": nn.SELU,
}
CALLS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": F.relu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "leaky_relu": F.leaky_relu,
    "softplus": F.softplus,
    "selu": F.selu,
}
FLAT_NORMS: dict[str, Callable[[int], nn.Module]] = {"batch": nn.BatchNorm1d, "layer": nn.LayerNorm}


@dataclass(frozen=True)
class Look:
    """What the hidden layers are made of, and how many numbers the head gives. An empty `norm` is none."""

    width: int
    depth: int
    outputs: int
    activation: str
    norm: str
    dropout: float


class Mlp(nn.Module):
    """Layers of equal width, all of it modules."""

    def __init__(self, inputs: int, look: Look) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for i in range(look.depth):
            parts.append(nn.Linear(inputs if i == 0 else look.width, look.width))
            if look.norm:
                parts.append(FLAT_NORMS[look.norm](look.width))
            parts.append(MODULES[look.activation]())
            if look.dropout:
                parts.append(nn.Dropout(look.dropout))
        self.body = nn.Sequential(*parts)
        self.head = nn.Linear(look.width, look.outputs)

    def features(self, x: Tensor) -> Tensor:
        """What the last hidden layer says."""
        return self.body(x.flatten(1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class PlainMlp(nn.Module):
    """The same with activations that are calls."""

    def __init__(self, inputs: int, look: Look) -> None:
        super().__init__()
        sizes = [inputs] + [look.width] * look.depth
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(sizes))
        self.norms = (
            nn.ModuleList(FLAT_NORMS[look.norm](look.width) for _ in range(look.depth)) if look.norm else None
        )
        self.head = nn.Linear(look.width, look.outputs)
        self.act, self.rate = CALLS[look.activation], look.dropout

    def features(self, x: Tensor) -> Tensor:
        """What the last hidden layer says."""
        x = x.flatten(1)
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if self.norms is not None:
                x = self.norms[i](x)
            x = self.act(x)
            if self.rate:
                x = F.dropout(x, self.rate, self.training)
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Cnn(nn.Module):
    """Convolutions with norm, activation and pooling as modules."""

    def __init__(self, shape: tuple[int, ...], look: Look) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for i in range(look.depth):
            parts.append(nn.Conv2d(shape[0] if i == 0 else look.width, look.width, 3, padding=1))
            if look.norm:
                parts.append(
                    nn.BatchNorm2d(look.width) if look.norm == "batch" else nn.GroupNorm(2, look.width)
                )
            parts.append(MODULES[look.activation]())
            if i < 2:
                parts.append(nn.MaxPool2d(2))
            if look.dropout:
                parts.append(nn.Dropout(look.dropout))
        self.body = nn.Sequential(*parts)
        side = shape[1] // 2 ** min(look.depth, 2)
        self.head = nn.Linear(look.width * side * side, look.outputs)

    def features(self, x: Tensor) -> Tensor:
        """Flat maps of the last convolution."""
        return self.body(x).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class PlainCnn(nn.Module):
    """Convolutions whose activation and pooling are calls, ending in the mean over the map."""

    def __init__(self, shape: tuple[int, ...], look: Look) -> None:
        super().__init__()
        sizes = [shape[0]] + [look.width] * look.depth
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(sizes))
        self.norms = (
            nn.ModuleList(nn.BatchNorm2d(look.width) for _ in range(look.depth)) if look.norm else None
        )
        self.fc = nn.Linear(look.width, 32)
        self.head = nn.Linear(32, look.outputs)
        self.act, self.rate = CALLS[look.activation], look.dropout

    def features(self, x: Tensor) -> Tensor:
        """What the layer before the last says."""
        for i, conv in enumerate(self.convs):
            x = conv(x)
            if self.norms is not None:
                x = self.norms[i](x)
            x = self.act(x)
            if i == 0:
                x = F.max_pool2d(x, 2)
        x = self.act(self.fc(x.amax((2, 3))))
        return F.dropout(x, self.rate, self.training) if self.rate else x

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class Recurrent(nn.Module):
    """A recurrent layer; its last state goes to the head."""

    def __init__(self, cell: str, inputs: int, width: int, depth: int, outputs: int, dropout: float) -> None:
        super().__init__()
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.rnn = kind(inputs, width, depth, batch_first=True, dropout=dropout if depth > 1 else 0.0)
        self.head = nn.Linear(width, outputs)

    def features(self, x: Tensor) -> Tensor:
        """The last state."""
        states, _ = self.rnn(x)
        return states[:, -1]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class CharacterModel(nn.Module):
    """An embedding, a recurrent layer, and a guess of the next character at every place."""

    def __init__(self, cell: str, letters: int, width: int, depth: int, dropout: float) -> None:
        super().__init__()
        kind = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}[cell]
        self.embedding = nn.Embedding(letters, 16)
        self.drop = nn.Dropout(dropout)
        self.rnn = kind(16, width, depth, batch_first=True)
        self.head = nn.Linear(width, letters)

    def features(self, x: Tensor) -> Tensor:
        """The state at every place."""
        states, _ = self.rnn(self.drop(self.embedding(x)))
        return states

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.features(x))


class WithEnding(nn.Module):
    """A model and one more module after its head."""

    def __init__(self, model: nn.Module, ending: nn.Module) -> None:
        super().__init__()
        self.model, self.ending = model, ending

    def forward(self, x: Tensor) -> Tensor:
        return self.ending(self.model(x))


class WithCall(nn.Module):
    """A model and one more call after its head."""

    def __init__(self, model: nn.Module, call: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, x: Tensor) -> Tensor:
        return self.call(self.model(x))
