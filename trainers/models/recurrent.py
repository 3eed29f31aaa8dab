"""Recurrent networks over tokens, or over the rows of an image.

Notation
    T       places in time: characters of a text, rows of an image
    E       numbers at a place: the embedding of a token, the pixels of a row in all channels
    H       width of a hidden layer
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from trainers.errors import SettingError
from trainers.models.layers import activation, chain, dropout, norm
from trainers.parts.activations import ACTIVATIONS, pieces
from trainers.parts.dropouts import DROPOUTS
from trainers.shapes import Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

MakeLayer = Callable[[int, "TrialConfig"], nn.RNNBase]


class AnyRNN(nn.RNNBase):
    """An Elman network with any activation; torch's own has relu and tanh, in one fast kernel.

    h_t = activation(W_ih x_t + b_ih + W_hh h_(t-1) + b_hh), h_0 = 0. `[batch, T, E]` gives all
    states `[batch, T, H]` and the last one `[1, batch, H]`.
    """

    def __init__(self, inputs: int, hidden: int, activation: nn.Module) -> None:
        super().__init__("RNN_TANH", inputs, hidden, batch_first=True)
        self.activation = activation

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        w_ih, w_hh, b_ih, b_hh = self.all_weights[0]
        h = x.new_zeros(len(x), self.hidden_size)
        states = []
        for driven in F.linear(x, w_ih, b_ih).unbind(1):
            h = self.activation(driven + F.linear(h, w_hh, b_hh))
            states.append(h)
        return torch.stack(states, dim=1), h[None]


class RecurrentLayer(nn.Module):
    """One recurrent layer, its norm and its dropout: `[batch, T, E]` gives `[batch, T, H]`.

    A dropout that works on weights drops those from state to state.

    Source: Merity et al., Regularizing and Optimizing LSTM Language Models, 2017, section 2.
    """

    def __init__(self, layer: nn.RNNBase, config: TrialConfig) -> None:
        super().__init__()
        kind = DROPOUTS[config.dropout_kind]
        on_weights = kind.on_weights and config.dropout > 0
        self.recurrent = layer
        self.drop_weights = kind.make(config) if on_weights else None
        self.after = chain({"norm": norm(config.width, config), "dropout": dropout(config)})

    def forward(self, x: Tensor) -> Tensor:
        if self.drop_weights is not None and self.training:
            dropped = {"weight_hh_l0": self.drop_weights(self.recurrent.weight_hh_l0)}
            states = functional_call(self.recurrent, dropped, (x,))[0]
        else:
            states = self.recurrent(x)[0]
        y: Tensor = self.after(states)
        return y


class Recurrent(nn.Module):
    """Recurrent layers, then a linear output layer.

    Tokens `[batch, T]` are embedded and answered at every place, `[batch, T, outputs]`; of images
    `[batch, channels, height, width]` the rows are read from top to bottom and answered after the
    last one, `[batch, outputs]`. The state starts at zero for every sample.
    """

    def __init__(self, make_layer: MakeLayer, config: TrialConfig, shapes: Shapes) -> None:
        super().__init__()
        self.embedding: nn.Embedding | None = None
        if shapes.kind == "tokens":
            self.embedding = nn.Embedding(shapes.vocabulary or shapes.outputs, config.width)
            inputs = config.width
        else:
            inputs = shapes.inputs[0] * shapes.inputs[2]
        self.hidden = nn.Sequential()
        for number in range(1, config.depth + 1):
            layer = RecurrentLayer(make_layer(inputs, config), config)
            self.hidden.add_module(f"layer{number}", layer)
            inputs = config.width
        self.head = nn.Linear(inputs, shapes.outputs)

    def forward(self, x: Tensor) -> Tensor:
        if self.embedding is not None:
            states = self.hidden(self.embedding(x))
        else:
            states = self.hidden(x.transpose(1, 2).flatten(2))[:, -1]
        y: Tensor = self.head(states)
        return y


def build_rnn(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """`depth` Elman layers of `width` units with the activation of `config`.

    Source: Elman, Finding Structure in Time, 1990. Raises: SettingError for an activation that
    takes more features than it gives.
    """
    if pieces(config.activation) > 1:
        fitting = ", ".join(name for name in ACTIVATIONS if pieces(name) == 1)
        raise SettingError(
            {
                "activation": f"'rnn' needs as many features before the activation as behind it, "
                f"but got {config.activation!r}; choose from: {fitting}"
            }
        )
    return Recurrent(_elman, config, shapes)


def build_lstm(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """`depth` LSTM layers of `width` units; their gates keep sigmoid and tanh.

    Source: Hochreiter & Schmidhuber, Long Short-Term Memory, 1997.
    """
    return Recurrent(lambda n, c: nn.LSTM(n, c.width, batch_first=True), config, shapes)


def build_gru(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """`depth` GRU layers of `width` units; their gates keep sigmoid and tanh.

    Source: Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, 2014.
    """
    return Recurrent(lambda n, c: nn.GRU(n, c.width, batch_first=True), config, shapes)


def _elman(inputs: int, config: TrialConfig) -> nn.RNNBase:
    if config.activation in ("relu", "tanh"):
        return nn.RNN(inputs, config.width, nonlinearity=config.activation, batch_first=True)
    return AnyRNN(inputs, config.width, activation(config))
