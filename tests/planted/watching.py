"""Who watches a planted training: nobody, or the product's monitor as any stranger would use it."""

from __future__ import annotations

from collections.abc import Mapping

from planted.data import Data
from planted.outcomes import Outcome
from planted.programs import Recipe
from planted.running import train
from torch import Tensor, nn
from torch.optim import Optimizer

from diagnostics import Monitor
from diagnostics.data import describe_data


class Nobody:
    """Looks away."""

    def step(self, loss: Tensor, x: Tensor, y: Tensor, raw_grad_norm: Tensor | None) -> None:
        """Nothing."""

    def evaluate(self, measured: Mapping[str, float], losses: Tensor) -> None:
        """Nothing."""


class Monitored:
    """The monitor, told of every step and evaluation."""

    def __init__(self, recipe: Recipe, model: nn.Module, optimizer: Optimizer, data: Data) -> None:
        facts = describe_data(
            data.x.numpy(), data.y.numpy(), data.val_x.numpy(), data.val_y.numpy(), task=data.task
        )
        facts["total_steps"] = recipe.steps
        facts |= {"clip_norm": recipe.clip} if recipe.clip else {}
        classes = data.outputs if data.task == "classification" else None
        self.monitor = Monitor(model, optimizer, task=data.task, num_classes=classes, facts=facts)

    def step(self, loss: Tensor, x: Tensor, y: Tensor, raw_grad_norm: Tensor | None) -> None:
        """One step is done."""
        self.monitor.step(loss, batch=(x, y), grad_norm=raw_grad_norm)

    def evaluate(self, measured: Mapping[str, float], losses: Tensor) -> None:
        """One evaluation is done."""
        self.monitor.evaluate(**measured, train_losses=losses if len(losses) else None)


def watched(recipe: Recipe, seed: int) -> tuple[Outcome, Monitor]:
    """The training of a recipe with the monitor beside it, which is closed."""
    seen: list[Monitored] = []

    def watch(model: nn.Module, optimizer: Optimizer, data: Data) -> Monitored:
        seen.append(Monitored(recipe, model, optimizer, data))
        return seen[-1]

    outcome = train(recipe, seed, watch)
    seen[-1].monitor.close()
    return outcome, seen[-1].monitor


def unwatched(recipe: Recipe, seed: int) -> Outcome:
    """The same training with nobody beside it."""
    return train(recipe, seed, lambda model, optimizer, data: Nobody())
