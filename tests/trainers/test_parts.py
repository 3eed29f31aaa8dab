"""Every name in every table is there, builds, and trains."""

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainers.config import TrialConfig, config_from
from trainers.parts.activations import ACTIVATIONS, pieces
from trainers.parts.augmentations import AUGMENTATIONS, augment
from trainers.parts.dropouts import DROPOUTS, drop_features, drop_weights
from trainers.parts.inits import INITS, initialize
from trainers.parts.norms import NORMS
from trainers.parts.optimizers import OPTIMIZERS, build_optimizer, set_learning_rates
from trainers.parts.scalings import SCALINGS
from trainers.parts.schedules import SCHEDULES, learning_rate_factor

TABLES: dict[str, Mapping[str, Any]] = {
    "activation": ACTIVATIONS,
    "norm": NORMS,
    "init": INITS,
    "dropout_kind": DROPOUTS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "scaling": SCALINGS,
    "augmentation": AUGMENTATIONS,
}
ROWS = [(setting, name) for setting, table in TABLES.items() for name in table]

PROMISED = {
    "activation": "identity sigmoid hard_sigmoid tanh relu relu6 leaky_relu prelu rrelu elu selu "
    "celu gelu silu swish mish hardswish softplus softsign maxout",
    "norm": "none batch layer group instance local_response rms",
    "init": "zeros constant normal truncated_normal uniform xavier_uniform xavier_normal "
    "kaiming_uniform kaiming_normal lecun_normal variance_scaling orthogonal",
    "dropout_kind": "none dropout alpha_dropout channel dropblock dropconnect disout",
    "optimizer": "sgd momentum nesterov rmsprop adagrad adam adamw nadam",
    "schedule": "constant step exponential cosine one_cycle",
    "scaling": "none standardize minmax tanh",
    "augmentation": "none flip crop",
}

CHANNELS, SIDE, CLASSES, STEPS = 6, 8, 3, 6


@pytest.fixture(autouse=True)
def fresh_draws() -> None:
    print("seed", torch.seed())


def small_network(config: TrialConfig) -> nn.Module:
    """A convolution, a norm, an activation, a dropout and an output layer."""
    per_feature = pieces(config.activation)
    return nn.Sequential(
        drop_weights(nn.Conv2d(3, CHANNELS * per_feature, 3, padding=1, bias=False), config),
        NORMS[config.norm].make(CHANNELS * per_feature, config.norm_groups),
        ACTIVATIONS[config.activation](),
        drop_features(config),
        nn.Flatten(),
        drop_weights(nn.Linear(CHANNELS * SIDE * SIDE, CLASSES), config),
    )


def train(model: nn.Module, config: TrialConfig) -> list[float]:
    """The losses of a few steps on random images."""
    images = 3.0 + 5.0 * torch.randn(16, 3, SIDE, SIDE)
    images = SCALINGS[config.scaling](images)(images)
    labels = torch.arange(16) % CLASSES
    optimizer = build_optimizer(model, config)
    losses = []
    for step in range(STEPS):
        set_learning_rates(optimizer, learning_rate_factor(step, STEPS, STEPS / 2, config))
        optimizer.zero_grad()
        batch = augment(images, config.augmentation, torch.default_generator)
        loss = F.cross_entropy(model(batch), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize(("setting", "name"), ROWS)
def test_every_part_trains(setting: str, name: str) -> None:
    config = config_from({"model": "cnn", "dropout": 0.2, setting: name})
    model = small_network(config)
    initialize(model, config)
    before = [parameter.detach().clone() for parameter in model.parameters()]

    losses = train(model, config)

    assert all(math.isfinite(loss) for loss in losses)
    moved = [not torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())
    assert moved[-1], "the output layer's bias"
    assert name == "zeros" or all(moved), f"{moved.count(False)} parameters did not move"


@pytest.mark.parametrize("setting", TABLES)
def test_every_promised_name_is_in_its_table(setting: str) -> None:
    assert set(PROMISED[setting].split()) <= set(TABLES[setting])


@pytest.mark.parametrize(("setting", "name"), ROWS)
def test_evaluation_is_repeatable(setting: str, name: str) -> None:
    config = config_from({"model": "cnn", "dropout": 0.5, setting: name})
    model = small_network(config).eval()
    images = torch.randn(4, 3, SIDE, SIDE)
    assert torch.equal(model(images), model(images))
