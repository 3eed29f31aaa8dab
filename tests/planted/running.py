"""One training, as a stranger writes it: a plain loop with a line that reports to whoever watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from planted.data import Data, load
from planted.models import WithCall, WithEnding
from planted.outcomes import Outcome, outcome_of
from planted.programs import Recipe, build
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

EVALUATIONS = 15
"""Evaluations in a training."""

LOOKED_AT = 400
"""Samples of an evaluation, at most."""


class Watcher(Protocol):
    """Whoever looks at a training; it is told what a user of a monitor would tell it."""

    def step(self, loss: Tensor, x: Tensor, y: Tensor, raw_grad_norm: Tensor | None) -> None:
        """After each optimizer step."""

    def evaluate(self, measured: Mapping[str, float], losses: Tensor) -> None:
        """After each evaluation, with the loss of every training sample."""


Watch = Callable[[nn.Module, Optimizer, Data], Watcher]

OPTIMIZERS: dict[str, Callable[[list[nn.Parameter], Recipe], Optimizer]] = {
    "sgd": lambda p, r: torch.optim.SGD(p, r.learning_rate, r.momentum, weight_decay=r.weight_decay),
    "nesterov": lambda p, r: torch.optim.SGD(p, r.learning_rate, r.momentum, nesterov=True),
    "adam": lambda p, r: torch.optim.Adam(p, r.learning_rate, weight_decay=r.weight_decay),
    "adamw": lambda p, r: torch.optim.AdamW(p, r.learning_rate, weight_decay=r.weight_decay),
    "rmsprop": lambda p, r: torch.optim.RMSprop(p, r.learning_rate),
    "nadam": lambda p, r: torch.optim.NAdam(p, r.learning_rate),
    "adagrad": lambda p, r: torch.optim.Adagrad(p, r.learning_rate),
}
LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda out, y: F.cross_entropy(out.flatten(0, -2), y.flatten()),
    "bce": lambda out, y: F.binary_cross_entropy_with_logits(out.squeeze(-1), y.float()),
    "mse": lambda out, y: F.mse_loss(out.squeeze(-1), y),
    "bce-on-probabilities": lambda out, y: F.binary_cross_entropy(out.squeeze(-1), y.float()),
    "mse-broadcast": lambda out, y: F.mse_loss(out, y),
    "nll-of-logits": lambda out, y: F.nll_loss(out.flatten(0, -2), y.flatten()),
    "negative": lambda out, y: -F.cross_entropy(out.flatten(0, -2), y.flatten()),
    "mse-of-classes": lambda out, y: F.mse_loss(out.argmax(-1).float() + 0.0 * out.sum(-1), y.float()),
}
SAMPLE_LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda out, y: F.cross_entropy(out.movedim(-1, 1), y, reduction="none"),
    "bce": lambda out, y: F.binary_cross_entropy_with_logits(out.squeeze(-1), y.float(), reduction="none"),
    "mse": lambda out, y: F.mse_loss(out.squeeze(-1), y, reduction="none"),
}
ENDINGS: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], Tensor]]] = {
    "softmax": (lambda: nn.Softmax(dim=-1), lambda out: torch.softmax(out, -1)),
    "sigmoid": (nn.Sigmoid, torch.sigmoid),
    "relu": (nn.ReLU, F.relu),
    "tanh": (nn.Tanh, torch.tanh),
}


def train(recipe: Recipe, seed: int, watch: Watch) -> Outcome:
    """Run the training of a recipe to its end."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(1000 + seed)
    data = load(recipe.data, seed, recipe.scaled)
    if recipe.alter_data:
        data = recipe.alter_data(data, chance)
    model = _model(recipe, data, chance)
    parameters = recipe.optimized(model) if recipe.optimized else list(model.parameters())
    optimizer = OPTIMIZERS[recipe.optimizer](parameters, recipe)
    watcher = watch(model, optimizer, data)
    due = {round((i + 1) * recipe.steps / EVALUATIONS) for i in range(EVALUATIONS)}
    evaluations = []
    for step, batch in enumerate(_batches(data, recipe, chance)):
        if recipe.alter_batch:
            batch = recipe.alter_batch(batch, step, chance)
        loss, norm = _step(recipe, model, optimizer, batch, step)
        watcher.step(loss, *batch, norm)
        if step + 1 in due:
            measured, losses = _evaluate(recipe, model, data)
            evaluations.append(measured)
            watcher.evaluate(measured, losses)
    trivial = (_trivial(data.y, data.y, data), _trivial(data.y, data.val_y, data))
    return outcome_of(evaluations, trivial, (_most(data.y, data), _most(data.val_y, data)), recipe.steps)


def _model(recipe: Recipe, data: Data, chance: torch.Generator) -> nn.Module:
    model = build(recipe, data)
    if recipe.alter_model:
        recipe.alter_model(model, chance)
    if not recipe.ending:
        return model
    module, call = ENDINGS[recipe.ending]
    return WithCall(model, call) if recipe.model.startswith("plain") else WithEnding(model, module())


def _step(
    recipe: Recipe, model: nn.Module, optimizer: Optimizer, batch: tuple[Tensor, Tensor], step: int
) -> tuple[Tensor, Tensor | None]:
    model.train(recipe.trains_in == "train")
    if recipe.rate_at:
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * recipe.rate_at(step / recipe.steps)
    if recipe.resets_gradients:
        optimizer.zero_grad()
    out = model(batch[0])
    if recipe.smoothing:
        loss = F.cross_entropy(out.flatten(0, -2), batch[1].flatten(), label_smoothing=recipe.smoothing)
    else:
        loss = LOSSES[recipe.loss](out, batch[1])
    if recipe.l1:
        loss = loss + recipe.l1 * sum(p.abs().sum() for p in model.parameters())
    loss.backward()
    norm = nn.utils.clip_grad_norm_(model.parameters(), recipe.clip) if recipe.clip else None
    optimizer.step()
    return loss, norm


def _batches(data: Data, recipe: Recipe, chance: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
    done, n = 0, len(data.x)
    while True:
        order = torch.randperm(n, generator=chance) if recipe.shuffled else torch.arange(n)
        for start in range(0, max(1, n - recipe.batch_size + 1), recipe.batch_size):
            if done == recipe.steps:
                return
            rows = order[start : start + recipe.batch_size]
            yield data.x[rows], data.y[rows]
            done += 1


@torch.no_grad()
def _evaluate(recipe: Recipe, model: nn.Module, data: Data) -> tuple[dict[str, float], Tensor]:
    model.train(recipe.evaluates_in == "train")
    loss_of = LOSSES[recipe.loss]
    found: dict[str, float] = {}
    losses = torch.empty(0)
    for name, x, y in (("val", data.val_x, data.val_y), ("train", data.x, data.y)):
        x, y = x[:LOOKED_AT], y[:LOOKED_AT]
        out = model(x)
        if name == "train" and recipe.loss in SAMPLE_LOSSES:
            losses = SAMPLE_LOSSES[recipe.loss](out, y).reshape(len(y), -1).mean(1)
        found[f"{name}_loss"] = float(loss_of(out, y))
        if data.task == "classification":
            said = (out.squeeze(-1) > 0).long() if out.shape[-1] == 1 else out.argmax(-1)
            found[f"{name}_accuracy"] = float((said == y).float().mean())
    return found, losses


def _trivial(y: Tensor, of: Tensor, data: Data) -> float:
    """Loss on `of` of the best constant prediction for `y`."""
    if data.task == "regression":
        return float(((of - y[y.isfinite()].mean()) ** 2)[of.isfinite()].mean())
    counts = np.bincount(y.flatten().numpy(), minlength=data.outputs)
    unseen = 0.5 if of is not y else 0.0  # a class that no training sample has is not impossible
    counts = np.maximum(counts, unseen)
    return float(-np.log((counts / counts.sum())[of.flatten().numpy()]).mean())


def _most(y: Tensor, data: Data) -> float:
    if data.task == "regression":
        return 0.0
    return float(np.bincount(y.flatten().numpy()).max() / y.numel())
