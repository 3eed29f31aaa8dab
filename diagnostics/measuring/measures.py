"""Tensor in, figure out: what a probe takes stays on its device, or is made on the host of what does.

Notation
    w       a weight matrix, rows are output units        [rows, ...]
    a       what an activation gives                      [B, units, ...] or [B, T, units]
    y       answers of a model                            [B], [B, C], [B, T, V] or [B, C, H, W]
    B       samples in a batch

Every function here has a slow, obvious twin in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from diagnostics.measuring.figures import Figure, Made, added, finite, quotient

ROWS = 64
"""Rows, samples or places that are looked at: more of them cost time and hardly change a share or a
spread (house rule: the standard error of a share of 64 x 64 numbers is below 1 %)."""

IGNORED = -100
"""The label that `nll_loss` leaves out."""

SLOPES: Mapping[type[nn.Module], Callable[[Tensor], Tensor]] = {
    nn.Sigmoid: lambda a: 4 * a * (1 - a),
    nn.Tanh: lambda a: 1 - a * a,
    nn.Softsign: lambda a: (1 - a.abs()) ** 2,
    nn.Hardsigmoid: lambda a: ((a > 0) & (a < 1)).float(),
    nn.Hardtanh: lambda a: (a.abs() < 1).float(),
}
"""Saturating activation -> its derivative as a share of the largest one, from what it gives."""


def fewer_places(x: Tensor) -> Tensor:
    """Of large images `[B, C, H, W]` evenly spaced places, as a view: at least some `ROWS`; else all of `x`.

    The stride is odd: an even one would meet the same corner of every pooling window.
    """
    axes = x.ndim - 2
    stride = int((math.prod(x.shape[2:]) / ROWS) ** (1 / axes)) - 1 | 1 if axes >= 2 else 1
    if stride <= 1:
        return x
    return x[(slice(None), slice(None), *[slice(stride // 2, None, stride)] * axes)]


def norms(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The Euclidean norm of each tensor, in one fused call."""
    return list(torch._foreach_norm([_wide(x) for x in tensors])) if tensors else []


def length(x: Tensor) -> Tensor:
    """The Euclidean norm of one tensor."""
    found: Tensor = torch.linalg.vector_norm(_wide(x))
    return found


def first_rows(x: Tensor) -> Tensor:
    """The first `ROWS` of what the first axis counts."""
    return x[:ROWS] if len(x) > ROWS else x


def dots(vectors: Sequence[Sequence[Tensor]], pairs: Sequence[tuple[int, int]]) -> list[Figure]:
    """The inner product of each of these pairs of vectors; a vector is a list of tensors, all shaped alike.

    All products of one tensor come before those of the next: so it has to be brought from memory once.
    """
    products: list[list[Tensor]] = [[] for _ in pairs]
    for parts in zip(*vectors, strict=True):
        flat = [_wide(x).reshape(-1) for x in parts]
        for place, (i, j) in enumerate(pairs):
            products[place].append(torch.dot(flat[i], flat[j]))
    return [Made(added, *some) for some in products]


def row_spreads(matrices: Iterable[Tensor]) -> list[Figure]:
    """How much the rows of each matrix differ: ||w - mean row|| / ||w|| over its first `ROWS` rows.

    0 when all are equal.
    """
    found: list[Figure] = []
    for w in matrices:  # one by one: so there is one large difference at a time in memory
        some = first_rows(w).float()
        found.append(Made(_spread, length(some - some.mean(dim=0)), length(some)))
    return found


def mean_and_spread(x: Tensor) -> tuple[Figure, Figure]:
    """Mean and standard deviation of all numbers of the first `ROWS` samples.

    In two passes: torch's own one-pass functions take ten times as long on a CPU.
    """
    some = first_rows(x).float()
    mean = some.mean()
    return mean, root_mean_square(some - mean)


def root_mean_square(x: Tensor) -> Figure:
    """The root of the mean square."""
    return Made(quotient, length(x.float()), max(x.numel(), 1) ** 0.5)


def slope_share(kind: type[nn.Module], a: Tensor) -> Tensor:
    """The mean local derivative of a saturating activation over its largest one (see `SLOPES`)."""
    return SLOPES[kind](first_rows(a).float()).mean()


def firings(a: Tensor, units: int = -1) -> Tensor:
    """How often each unit gave something other than 0, over all samples and places: `[units]`.

    `units` is the axis that counts them. Numbers without a second axis are those of one unit.
    """
    a = a[:, None] if a.ndim == 1 else a
    return (a != 0).sum(dim=[axis for axis in range(a.ndim) if axis != units % a.ndim])


def unit_axis(y: Tensor, target: Tensor | None = None) -> int:
    """Which axis of answers counts the outputs: the one that a target of classes lacks; where that is not
    known, channels of images, else the last.
    """
    if target is not None and target.ndim == y.ndim - 1:
        for axis in (1, y.ndim - 1):
            if y.ndim > axis and (*y.shape[:axis], *y.shape[axis + 1 :]) == tuple(target.shape):
                return axis
    return 1 if y.ndim >= 4 else y.ndim - 1


def plain_loss(y: Tensor, target: Tensor, task: str) -> Tensor | None:
    """The loss the trivial predictor's is about: mean cross-entropy in nats, or mean squared error.

    None where the targets do not fit the answers. Targets that are no class are left out. A single answer per
    sample, or as many answers as targets, each say yes or no.
    """
    if task == "regression":
        fits = target.numel() == y.numel()
        return (y.float() - target.float().reshape(y.shape)).square().mean() if fits else None
    if target.is_floating_point():
        return _yes_or_no(y, target) if target.numel() == y.numel() else None
    if target.ndim != y.ndim - 1:
        return _yes_or_no(y, target) if target.shape == y.shape else None
    axis = unit_axis(y, target)
    if (*y.shape[:axis], *y.shape[axis + 1 :]) != tuple(target.shape):
        return None
    if y.shape[axis] == 1:  # whole numbers for a single answer: there is no second class to choose
        return _yes_or_no(y, target)
    wanted = target.long()
    usable = wanted == wanted.clamp(0, y.shape[axis] - 1)
    y = y.float() if axis == 1 else y.float().movedim(axis, 1)
    return nn.functional.cross_entropy(y, torch.where(usable, wanted, IGNORED), ignore_index=IGNORED)


def _yes_or_no(y: Tensor, target: Tensor) -> Tensor:
    """The mean binary cross-entropy of raw answers, each on its own."""
    y = y.float()
    return (nn.functional.softplus(y) - y * target.float().reshape(y.shape)).mean()


def answer_figures(y: Tensor, centred: bool, axis: int | None = None) -> dict[str, Figure]:
    """What the answers of a batch look like; `centred` when a constant added to a row changes nothing.

    `axis` counts the outputs; without it, as `unit_axis` says. The spread is over the samples, as a root
    mean square over the outputs.
    """
    rows = first_rows(y).float()
    if rows.ndim == 1:
        rows = rows[:, None]
    axis = unit_axis(rows) if axis is None else axis
    if axis < rows.ndim - 1:
        rows = rows.movedim(axis, -1)
    width = rows.shape[-1]
    sums = rows.sum(dim=-1, keepdim=True)
    free = rows - sums / width if centred and width > 1 else rows
    apart = free - free.mean(dim=0)
    low, high = torch.aminmax(rows)
    return {
        "answer_spread": root_mean_square(apart),
        "answer_scale": root_mean_square(free),
        "answer_min": low,
        "answer_max": high,
        "answer_sum_gap": Made(quotient, torch.linalg.vector_norm(sums - 1, ord=1), sums.numel()),
        "answer_width": float(width),
    }


def running_figures(norm: nn.modules.batchnorm._BatchNorm, x: Tensor) -> tuple[Tensor, Tensor] | None:
    """How far a batch norm's running statistics are from those of its input `x`.

    The mean distance of the means in batch deviations, and the median ratio of the variances; None
    when the norm keeps none.
    """
    if norm.running_mean is None or norm.running_var is None:
        return None
    values = x.movedim(1, 0).flatten(1).float()
    mean = values.mean(dim=1)
    variance = (values - mean[:, None]).square().mean(dim=1)
    deviation = (variance + norm.eps).sqrt()
    gap = ((norm.running_mean - mean).abs() / deviation).mean()
    return gap, (norm.running_var / (variance + norm.eps)).median()


def rotation(before: float, after: float, step: float) -> float:
    """The angle in radians between vectors of norms `before` and `after` whose difference has norm `step`.

    From the half-angle formula, which keeps its digits where the angle is tiny.
    """
    if not before * after > 0:
        return 0.0
    square = (step * step - (after - before) * (after - before)) / (4 * before * after)
    return square if math.isnan(square) else 2 * math.asin(math.sqrt(min(max(square, 0.0), 1.0)))


def _spread(apart: float, size: float) -> float:
    return finite(quotient(apart, size))  # 0 / 0: all is 0


def _wide(x: Tensor) -> Tensor:
    """Half precision as float32: sums of squares of it soon overflow, and keep three digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
