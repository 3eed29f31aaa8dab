"""Models by name, and `build_model`, which makes one ready to train.

A model maps `[batch, *shapes.inputs]` to raw outputs (logits): see `trainers.shapes.Shapes`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn

from trainers.choices import pick
from trainers.errors import SettingError
from trainers.models.cnn import build_cnn
from trainers.models.mlp import build_mlp
from trainers.models.own import build_own
from trainers.models.recurrent import build_gru, build_lstm, build_rnn
from trainers.models.resnet import build_resnet
from trainers.models.weights import load_weights
from trainers.owncode import is_own_code
from trainers.parts.inits import initialize
from trainers.shapes import Kind, Shapes

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Build = Callable[["TrialConfig", Shapes], nn.Module]


@dataclass(frozen=True)
class Model:
    """A model of the table: how it is built, whether its hidden layers have pixels, what it reads."""

    build: Build
    spatial: bool
    reads: tuple[Kind, ...]


MODELS: dict[str, Model] = {
    "mlp": Model(build_mlp, spatial=False, reads=("features", "image")),
    "cnn": Model(build_cnn, spatial=True, reads=("image",)),
    "resnet": Model(build_resnet, spatial=True, reads=("image",)),
    "rnn": Model(build_rnn, spatial=False, reads=("tokens", "image")),
    "lstm": Model(build_lstm, spatial=False, reads=("tokens", "image")),
    "gru": Model(build_gru, spatial=False, reads=("tokens", "image")),
}


def build_model(config: TrialConfig, shapes: Shapes) -> nn.Module:
    """The model `config` asks for, initialised, or with the weights of `config.checkpoint`.

    A model of own code keeps the weights it comes with; one that has an attribute
    `initialized_by_settings = True` is initialised like the others. Weights are drawn from torch's
    global generator.

    Raises: SettingError when the model cannot read such data or the checkpoint does not fit;
    OwnCodeError when own code does not keep to what was agreed.
    """
    if is_own_code(config.model):
        model = build_own(config, shapes)
        asks = bool(getattr(model, "initialized_by_settings", False))
    else:
        model, asks = _build_known(config, shapes), True
    if asks:
        initialize(model, config)
    if config.checkpoint is not None:
        load_weights(model, config.checkpoint)
    return model


def _build_known(config: TrialConfig, shapes: Shapes) -> nn.Module:
    known = pick(MODELS, config.model, "model")
    if shapes.kind not in known.reads:
        fitting = ", ".join(name for name, model in MODELS.items() if shapes.kind in model.reads)
        raise SettingError(
            {
                "model": f"{config.model!r} reads {' or '.join(known.reads)}, but the data are "
                f"{shapes.kind} of shape {shapes.inputs}; choose from: {fitting}"
            }
        )
    return known.build(config, shapes)
