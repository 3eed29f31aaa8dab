"""What a batch looks like: its labels, its ranges, what in it is no number. Everything stays on the device.

Notation
    x       inputs                                        [B, ...]
    y       classes or tokens (whole numbers), or targets [B], [B, T] or [B, O]
    B       samples in the batch
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor

from diagnostics.measuring import measures
from diagnostics.measuring.figures import Figure, Made, Row, finite

FEWEST_LABELS = 10
"""Labels for each class before the entropy of their shares is believed (house rule: what Miller's correction
leaves is below 1 % then)."""

FEATURES = 512
"""Columns of a table that are looked at one by one, at most."""


class BatchWatch:
    """Takes the figures of single batches, and adds up the labels it has seen for the trivial predictor."""

    def __init__(self, task: str, classes: int | None) -> None:
        self._task = task
        self._classes = classes
        self._counts: Tensor | None = None  # [classes]
        self._moments: tuple[Tensor, Tensor, int] | None = None  # mean, squares about it, and of how many

    def figures(self, batch: Any, width: int | None) -> Row:
        """The figures of one batch; `width` is how many numbers the model answers for a sample."""
        x, y = parts(batch)
        row: Row = {}
        with torch.no_grad():
            if _is_measurable(x):
                row |= _inputs(x.detach())
            if _is_measurable(y) and self._task != "other":
                y = y.detach()
                whole = self._task == "classification" and not (y.is_floating_point() and y.ndim > 1)
                row |= self._classes_of(y, width) if whole else self._targets_of(y)
        return row

    def state_dict(self) -> dict[str, Any]:
        """The labels it has seen, added up."""
        return {"counts": self._counts, "moments": self._moments}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._counts, self._moments = state["counts"], state["moments"]

    def _classes_of(self, y: Tensor, width: int | None) -> Row:
        y = y if y.ndim == 1 else y.flatten()
        labels = y if y.is_floating_point() else y.long()
        low, high = torch.aminmax(labels)
        row: Row = {"y_bad": _bad(labels), "y_min": Made(finite, low), "y_max": Made(finite, high)}
        classes = self._classes or (max(width, 2) if width else None)
        if classes is None:
            return row
        counts = _counts(labels, classes)
        known = self._counts
        fits = known is not None and known.shape == counts.shape
        self._counts = counts + (known.to(counts.device) if known is not None and fits else 0)
        both = torch.stack([counts, self._counts])
        sums = both.sum(dim=1, keepdim=True)
        (n, all_n), (seen, all_seen) = sums, both.count_nonzero(dim=1)
        entropy, of_all = torch.special.entr(both / sums).sum(dim=1)
        return row | {
            "y_entropy": Made(_entropy, entropy, n),
            "y_classes": seen,
            "trivial_loss": Made(_entropy_of_source, of_all, all_seen, all_n, classes),
        }

    def _targets_of(self, y: Tensor) -> Row:
        values = y.float().reshape(len(y) if y.ndim else 1, -1)
        finite, n = _finite(values), len(values)
        mean = finite.mean(dim=0)
        squares = (finite - mean).square().sum(dim=0)
        row: Row = {
            "y_bad": _bad(values),
            "y_min": finite.min(),
            "y_max": finite.max(),
            "y_mean": mean.mean(),
            "y_spread": (squares / n).mean().sqrt(),
        }
        if self._moments is not None and self._moments[0].shape == mean.shape:
            before, about, m = self._moments  # parts of different means add up so, with all digits kept
            before, about = before.to(mean.device), about.to(mean.device)
            squares = about + squares + (mean - before).square() * (n * m / (n + m))
            mean, n = before + (mean - before) * (n / (n + m)), n + m
        self._moments = (mean, squares, n)
        if self._task == "regression":
            row["trivial_loss"] = (squares / n).mean()
        return row


def _counts(labels: Tensor, classes: int) -> Tensor:
    """How often each class is among the labels; those that are no class are left out."""
    if labels.is_floating_point():
        labels = torch.where(torch.isfinite(labels), labels.floor(), -1.0)
    places = labels.clamp(-1, classes).long() + 1  # the first and the last place are of no class
    counts = torch.zeros(classes + 2, device=labels.device)
    return counts.index_add_(0, places, torch.ones(len(places), device=labels.device))[1:-1]


def _entropy(found: float, n: float) -> float:
    return found if n else 0.0  # 0 of nothing


def _entropy_of_source(entropy: float, seen: float, n: float, classes: float) -> float:
    """The entropy in nats of where `n` labels come from: labels not yet seen are allowed for.

    While there are too few labels for that, the entropy of equal shares.

    Source: Miller (1955), Note on the bias of information estimates.
    """
    most = math.log(classes)
    return most if n < FEWEST_LABELS * classes else min(entropy + (seen - 1) / (2 * n), most)


def _inputs(x: Tensor) -> Row:
    row: Row = {"batch_size": float(len(x) if x.ndim else 1)}
    low, high = torch.aminmax(x)
    if not x.is_floating_point():
        return row | {"x_min": low, "x_max": high}
    row["x_bad"] = Made(_bad_range, low, high)  # both are NaN when one number is
    mean, spread = measures.mean_and_spread(x)
    figures: dict[str, Figure] = {"x_min": low, "x_max": high, "x_mean": mean, "x_spread": spread}
    row |= {name: Made(finite, figure) for name, figure in figures.items()}
    if x.ndim == 2 and x.shape[1] <= FEATURES and len(x) > 1:
        means = x.float().mean(dim=0)
        spreads = (x - means).square().mean(dim=0).sqrt()
        columns = [f"feature {i}" for i in range(x.shape[1])]
        row["feature_mean"] = dict(zip(columns, _finite(means).unbind(), strict=True))
        row["feature_spread"] = dict(zip(columns, _finite(spreads).unbind(), strict=True))
    return row


def parts(batch: Any) -> tuple[Tensor | None, Tensor | None]:
    """Inputs and targets of a batch: a pair, or a mapping with one of the usual names."""
    if isinstance(batch, Mapping):
        x = next(
            (batch[n] for n in ("x", "input_ids", "inputs", "image", "pixel_values") if n in batch), None
        )
        y = next((batch[n] for n in ("y", "labels", "label", "target", "targets") if n in batch), None)
    else:
        x, y = (batch[0], batch[1]) if isinstance(batch, tuple | list) and len(batch) >= 2 else (batch, None)
    x = x[0] if isinstance(x, tuple | list) and x else x
    return (x if isinstance(x, Tensor) else None), (y if isinstance(y, Tensor) else None)


def _is_measurable(values: Tensor | None) -> TypeGuard[Tensor]:
    """Whether there are plain real numbers in it."""
    if values is None or values.layout is not torch.strided or values.is_complex() or values.is_nested:
        return False
    return values.numel() > 0


def _finite(figures: Tensor) -> Tensor:
    """0 for what is not finite; `x_bad` and `y_bad` say that there was something."""
    return torch.nan_to_num(figures, nan=0.0, posinf=0.0, neginf=0.0)


def _bad(values: Tensor) -> Figure:
    return (~torch.isfinite(values)).sum() if values.is_floating_point() else 0.0


def _bad_range(low: float, high: float) -> float:
    return 0.0 if math.isfinite(high - low) else 1.0
