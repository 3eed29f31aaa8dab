"""Losses on raw outputs (logits), and the metrics of an evaluation.

Notation
    logits   outputs of the model, no activation      [B, C], [B, O] or, for tokens, [B, T, V]
    target   class or next token                      [B] or [B, T], whole numbers
             numbers to predict (regression)          [B, O], or [B] when O = 1
    answer   one prediction that is scored: a sample, or a place of a token sequence

Regression targets stay in their own units: nobody scales them, the loss is the squared error in
units squared, and `trivial_loss` is the yardstick for what is small.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from trainers.choices import pick, unknown
from trainers.errors import DataError, SettingError
from trainers.shapes import Kind

if TYPE_CHECKING:
    from trainers.config import TrialConfig

Goal = Literal["minimize", "maximize"]
Array = NDArray[np.float64]
Loss = Callable[[Tensor, Tensor], Tensor]

SPLITS = ("train", "val")


@dataclass(frozen=True)
class Metric:
    """A number of an evaluation: whether small or large is good, and how it follows from sums.

    `needs` names the sums over all answers (see `_class_sums` and `_number_sums`) that `of` is
    called with, in this order.
    """

    goal: Goal
    needs: tuple[str, ...]
    of: Callable[..., float]


def _mean(total: Array, count: Array) -> float:
    return float(total.sum() / (count.sum() * len(total)))


def _root_mean(total: Array, count: Array) -> float:
    return float(np.sqrt(_mean(total, count)))


def _mean_recall(hits: Array, seen: Array) -> float:
    """Recall averaged over the classes that occur. Source: Brodersen et al. 2010."""
    occurs = seen > 0
    return float((hits[occurs] / seen[occurs]).mean())


def _r2(squared_error: Array, total: Array, total_squared: Array, count: Array) -> float:
    """1 - error / spread of the target, averaged over outputs; 1 or 0 where a target is constant."""
    spread = np.maximum(total_squared - total**2 / count, 0.0)
    flat = spread == 0
    scores = 1.0 - squared_error / np.where(flat, 1.0, spread)
    return float(np.where(flat, np.where(squared_error == 0, 1.0, 0.0), scores).mean())


METRICS: Mapping[str, Mapping[str, Metric]] = MappingProxyType(
    {
        "classification": {
            "loss": Metric("minimize", ("loss", "count"), _mean),
            "accuracy": Metric("maximize", ("correct", "count"), _mean),
            "balanced_accuracy": Metric("maximize", ("hits", "seen"), _mean_recall),
        },
        "regression": {
            "loss": Metric("minimize", ("squared_error", "count"), _mean),
            "rmse": Metric("minimize", ("squared_error", "count"), _root_mean),
            "mae": Metric("minimize", ("absolute_error", "count"), _mean),
            "r2": Metric("maximize", ("squared_error", "total", "total_squared", "count"), _r2),
        },
    }
)
"""Task -> metric's name, without its split -> metric. Tokens have no `balanced_accuracy`."""


def metric_names(task: str, kind: Kind | None = None) -> list[str]:
    """The metrics of a task as a study names them, such as `val_accuracy`; of `auto`, all of them.

    `kind` is that of the samples, where it is known: tokens lack some.
    """
    tasks = METRICS.values() if task == "auto" else [pick(METRICS, task, "task")]
    names = dict.fromkeys(name for metrics in tasks for name in metrics)
    if kind == "tokens":
        names.pop("balanced_accuracy", None)
    return [f"{split}_{name}" for split in SPLITS for name in names]


def goal_of(name: str) -> Goal:
    """Whether a metric such as `val_accuracy` is to be made small or large. Raises: SettingError."""
    known = metric_names("auto")
    if name not in known:
        raise SettingError({"metric": unknown(name, known)})
    bare = name.split("_", 1)[1]
    return next(metrics[bare].goal for metrics in METRICS.values() if bare in metrics)


def loss_function(task: str, config: TrialConfig) -> Loss:
    """The mean loss to train with: cross-entropy in nats with label smoothing, or squared error."""
    if task == "regression":
        return lambda logits, target: F.mse_loss(logits.float(), _like(target, logits))
    smoothing = config.label_smoothing

    def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
        if logits.ndim > 2:  # an answer at each place
            logits, target = logits.flatten(0, -2), target.flatten()
        return F.cross_entropy(logits.float(), target, label_smoothing=smoothing)

    return cross_entropy


def evaluate(
    model: nn.Module,
    batches: Iterable[tuple[Tensor, Tensor]],
    task: str,
    losses: list[Tensor] | None = None,
) -> dict[str, float]:
    """Every metric of `task` over all answers of `batches`, by its name without split.

    The model answers in evaluation mode; the modes it had come back. Batches may differ in length
    and the loss has no label smoothing. Everything is summed on the device and copied to the host
    once, so a device is never waited for between batches. `losses` takes, batch by batch, the loss of
    every answer of a classification, still on the device. Raises: DataError when there is no batch.
    """
    metrics = pick(METRICS, task, "task")
    sum_up = _number_sums if task == "regression" else partial(_class_sums, each=losses)
    modes = [(module, module.training) for module in model.modules()]
    sums: dict[str, Tensor] = {}
    origin: Tensor | None = None
    model.eval()
    try:
        with torch.no_grad():
            for x, target in batches:
                origin = target[:1] if origin is None else origin
                for name, value in sum_up(model(x), target, origin).items():
                    sums[name] = sums[name] + value if name in sums else value
    finally:
        for module, training in modes:
            module.training = training
    if not sums:
        raise DataError("an evaluation needs at least one batch, but got none; use more samples")
    host = _to_host(sums)
    return {
        name: metric.of(*(host[need] for need in metric.needs))
        for name, metric in metrics.items()
        if host.keys() >= set(metric.needs)
    }


def trivial_loss(targets: Tensor | NDArray[np.generic], task: str, outputs: int) -> float:
    """The loss of the best constant answer: the entropy of the classes in nats, or the variance.

    `targets` is all targets of the training data; the variance is averaged over the `outputs`.
    """
    values = targets.cpu().numpy() if isinstance(targets, Tensor) else targets
    if task == "regression":
        return float(values.reshape(-1, outputs).astype(np.float64).var(axis=0).mean())
    counts = np.bincount(values.reshape(-1).astype(np.int64), minlength=outputs)
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum() + 0.0)


def _class_sums(
    logits: Tensor, target: Tensor, _origin: Tensor, each: list[Tensor] | None = None
) -> dict[str, Tensor]:
    rows, labels = logits.flatten(0, -2).float(), target.flatten()
    losses = F.cross_entropy(rows, labels, reduction="none")
    if each is not None:
        each.append(losses)
    correct = _wide(rows.argmax(dim=1) == labels)
    sums = {
        "loss": _wide(losses).sum(0, keepdim=True),
        "correct": correct.sum(0, keepdim=True),
        "count": _count(correct),
    }
    if logits.ndim == 2:
        none = torch.zeros(logits.shape[1], dtype=correct.dtype, device=correct.device)
        sums["seen"] = none.scatter_add(0, labels, torch.ones_like(correct))
        sums["hits"] = none.scatter_add(0, labels, correct)
    return sums


def _number_sums(predicted: Tensor, target: Tensor, origin: Tensor) -> dict[str, Tensor]:
    """Sums per output; the target's are taken about `origin`, so that its spread keeps its digits."""
    wanted = _wide(_like(target, predicted))
    error = _wide(predicted) - wanted
    shifted = wanted - _wide(_like(origin, predicted[:1]))
    return {
        "squared_error": error.square().sum(0),
        "absolute_error": error.abs().sum(0),
        "total": shifted.sum(0),
        "total_squared": shifted.square().sum(0),
        "count": _count(error),
    }


def _like(target: Tensor, predicted: Tensor) -> Tensor:
    """The target as floats in the shape of the prediction: `[B]` must not broadcast to `[B, B]`."""
    return target.float().reshape(predicted.shape)


def _wide(values: Tensor) -> Tensor:
    """In double precision, where the device has it."""
    return values.to(torch.float32 if values.device.type == "mps" else torch.float64)


def _count(rows: Tensor) -> Tensor:
    return torch.full((1,), len(rows), dtype=rows.dtype, device=rows.device)


def _to_host(sums: Mapping[str, Tensor]) -> dict[str, Array]:
    """All sums in one copy."""
    flat = torch.cat(list(sums.values())).cpu().numpy().astype(np.float64)
    ends = np.cumsum([len(value) for value in sums.values()])
    return dict(zip(sums, np.split(flat, ends[:-1]), strict=True))
