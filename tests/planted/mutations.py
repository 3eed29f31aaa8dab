"""What faults do to data, models and batches: functions that a recipe carries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from planted.data import Data
from planted.programs import Batch
from torch import Generator, Tensor, nn

AlterData = Callable[[Data, Generator], Data]
AlterModel = Callable[[nn.Module, Generator], None]

NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)


def fill(value: float) -> AlterModel:
    """Every weight of the same value, every bias zero; scales of norms are left alone."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        for module in model.modules():
            if not isinstance(module, NORMS):
                for p in module.parameters(recurse=False):
                    p.fill_(value if p.ndim > 1 else 0.0)

    return alter


def scale_weights(factor: float) -> AlterModel:
    """All weight matrices times a factor."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        for p in model.parameters():
            if p.ndim > 1:
                p.mul_(factor)

    return alter


def scale_recurrent(factor: float) -> AlterModel:
    """The recurrent weights times a factor."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        for name, p in model.named_parameters():
            if "weight_hh" in name:
                p.mul_(factor)

    return alter


def scale_head(factor: float) -> AlterModel:
    """The head's weights times a factor, its bias zero."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        model.head.weight.mul_(factor)
        model.head.bias.zero_()

    return alter


def shift_biases(by: float) -> AlterModel:
    """The biases of all layers before the head are moved."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        for module in model.modules():
            if isinstance(module, nn.Linear | nn.Conv2d) and module is not model.head:
                module.bias.add_(by)

    return alter


def shift_norms(by: float) -> AlterModel:
    """The biases of all norms are moved."""

    @torch.no_grad()
    def alter(model: nn.Module, chance: Generator) -> None:
        for module in model.modules():
            if isinstance(module, NORMS):
                module.bias.add_(by)

    return alter


def slow_statistics(model: nn.Module, chance: Generator) -> None:
    """Running statistics of another training, which hardly follow."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.momentum = 1e-5
            module.running_mean.add_(2.0)
            module.running_var.mul_(30.0)


def detach_body(model: nn.Module, chance: Generator) -> None:
    """The head learns from features whose graph was cut."""
    features = model.features
    model.features = lambda x: features(x).detach()


def freeze_most(model: nn.Module, chance: Generator) -> None:
    """All but the head was frozen, though nothing in it has been trained; then the body was shrunk."""
    for name, p in model.named_parameters():
        if not name.startswith("head"):
            p.requires_grad_(False)


def freeze_first(model: nn.Module, chance: Generator) -> None:
    """The first layer is frozen on purpose."""
    for p in list(model.parameters())[:2]:
        p.requires_grad_(False)


def strangers(model: nn.Module) -> list[nn.Parameter]:
    """Parameters of a copy that is not the trained model."""
    return [nn.Parameter(p.detach().clone()) for p in model.parameters()]


def biases(model: nn.Module) -> list[nn.Parameter]:
    """The vectors alone."""
    return [p for p in model.parameters() if p.ndim < 2]


def head_parameters(model: nn.Module) -> list[nn.Parameter]:
    """The head alone."""
    return list(model.head.parameters())


def moving(model: nn.Module) -> list[nn.Parameter]:
    """What is not frozen."""
    return [p for p in model.parameters() if p.requires_grad]


def scale_inputs(factor: float) -> AlterData:
    """Inputs times a factor."""
    return lambda data, chance: replace(data, x=data.x * factor, val_x=data.val_x * factor)


def shift_inputs(by: float) -> AlterData:
    """Inputs moved far from zero."""
    return lambda data, chance: replace(data, x=data.x + by, val_x=data.val_x + by)


def scale_feature(factor: float) -> AlterData:
    """One feature that varies, in a far smaller unit."""

    def alter(data: Data, chance: Generator) -> Data:
        column = int(data.x.std(0).argmax())
        by = torch.ones(data.x.shape[1])
        by[column] = factor
        return replace(data, x=data.x * by, val_x=data.val_x * by)

    return alter


def stretch_targets(factor: float, shift: float) -> AlterData:
    """Targets in a unit of their own."""
    return lambda data, chance: replace(data, y=data.y * factor + shift, val_y=data.val_y * factor + shift)


def permute_labels(data: Data, chance: Generator) -> Data:
    """Labels that belong to other samples."""
    return replace(data, y=data.y[torch.randperm(len(data.y), generator=chance)])


def noisy_labels(share: float) -> AlterData:
    """A share of the training labels replaced by those of other samples."""

    def alter(data: Data, chance: Generator) -> Data:
        y = data.y.clone()
        rows = torch.rand(len(y), generator=chance) < share
        y[rows] = y[torch.randint(len(y), (int(rows.sum()),), generator=chance)]
        return replace(data, y=y)

    return alter


def same_labels(data: Data, chance: Generator) -> Data:
    """The label of the first sample for all."""
    value = data.y.flatten()[0]
    return replace(data, y=torch.full_like(data.y, value), val_y=torch.full_like(data.val_y, value))


def spoil_targets(data: Data, chance: Generator) -> Data:
    """A few targets are missing."""
    y = data.y.clone()
    y[torch.rand(len(y), generator=chance) < 0.01] = torch.nan
    y[0] = torch.nan
    return replace(data, y=y)


def spoil_batches(batch: Batch, step: int, chance: Generator) -> Batch:
    """From the 40th step on some batches hold a missing value."""
    x, y = batch
    if step >= 40 and step % 20 == 0:
        x = x.clone()
        x.view(-1)[int(torch.randint(x.numel(), (1,), generator=chance))] = torch.nan
    return x, y


def sort_by_label(data: Data, chance: Generator) -> Data:
    """A table in the order of its labels."""
    order = data.y.argsort(stable=True)
    return replace(data, x=data.x[order], y=data.y[order])


def shift_validation_labels(data: Data, chance: Generator) -> Data:
    """The validation labels were coded another way."""
    if data.task == "regression":
        return replace(data, val_y=data.val_y * 3 + 4)
    return replace(data, val_y=(data.val_y + 1) % data.outputs)


def keep(samples: int) -> AlterData:
    """Only the first few samples are left, the same number of each class as far as they go."""
    return lambda data, chance: replace(data, x=data.x[:samples], y=data.y[:samples])


def jitter(spread: float) -> Callable[[Batch, int, Generator], Batch]:
    """Augmentation: noise on the inputs."""

    def alter(batch: Batch, step: int, chance: Generator) -> Batch:
        x, y = batch
        noise: Tensor = torch.randn(x.shape, generator=chance)
        return x + spread * noise, y

    return alter
