"""Tensor in, number out: every figure a probe takes, as a 0-d tensor that stays on its device.

Notation
    w       a weight matrix, rows are output units        [rows, ...]
    a       what an activation gives                      [B, units, ...] or [B, T, units]
    y       answers of a model                            [B], [B, C], [B, T, V] or [B, C, H, W]
    B       samples in a batch

Every function here has a slow, obvious twin in the tests.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

ROWS = 64
"""Rows, samples or places that are looked at: more of them cost time and hardly change a share or a
spread (house rule: the standard error of a share of 64 x 64 numbers is below 1 %)."""

Row = dict[str, Tensor | dict[str, Tensor]]
"""Signal -> its figure, or its figures by column; 0-d tensors all."""

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


def total(parts: Sequence[Tensor]) -> Tensor:
    """The norm of everything whose parts have these norms."""
    return length(torch.stack([part.float() for part in parts]))


def dot(one: Sequence[Tensor], other: Sequence[Tensor]) -> Tensor:
    """The inner product of two lists of tensors of equal shapes, as of two long vectors."""
    pairs = zip(map(_wide, one), map(_wide, other), strict=True)
    products = [torch.dot(a.reshape(-1), b.reshape(-1)) for a, b in pairs]
    return torch.stack([product.float() for product in products]).sum()


def square(tensors: Sequence[Tensor]) -> Tensor:
    """The squared norm of a list of tensors, as of one long vector."""
    return total(norms(tensors)) ** 2


def row_spreads(matrices: Sequence[Tensor]) -> list[Tensor]:
    """How much the rows of each matrix differ: ||w - mean row|| / ||w|| over its first `ROWS` rows.

    0 when all are equal.
    """
    rows = [w[:ROWS].flatten(1).float() for w in matrices]
    found = norms([*rows, *[some - some.mean(dim=0) for some in rows]])
    sizes, apart = found[: len(rows)], found[len(rows) :]
    return [torch.nan_to_num(one / size) for one, size in zip(apart, sizes, strict=True)]  # 0 / 0: all is 0


def mean_and_spread(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of all numbers of the first `ROWS` samples.

    In two passes: torch's own one-pass functions take ten times as long on a CPU.
    """
    some = x[:ROWS].float()
    mean = some.mean()
    return mean, root_mean_square(some - mean)


def root_mean_square(x: Tensor) -> Tensor:
    """The root of the mean square."""
    return length(x.float()) / float(max(x.numel(), 1) ** 0.5)


def slope_share(kind: type[nn.Module], a: Tensor) -> Tensor:
    """The mean local derivative of a saturating activation over its largest one (see `SLOPES`)."""
    return SLOPES[kind](a[:ROWS].float()).mean()


def firings(a: Tensor, units: int = -1) -> Tensor:
    """How often each unit gave something other than 0, over all samples and places: `[units]`.

    `units` is the axis that counts them. Numbers without a second axis are those of one unit.
    """
    a = a[:, None] if a.ndim == 1 else a
    return torch.count_nonzero(a, dim=[axis for axis in range(a.ndim) if axis != units % a.ndim])


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

    None where the targets do not fit the answers. Targets that are no class are left out.
    """
    if task == "regression":
        fits = target.numel() == y.numel()
        return (y.float() - target.float().reshape(y.shape)).square().mean() if fits else None
    if target.is_floating_point():
        fits = target.numel() == y.numel()
        wanted = target.float().reshape(y.shape) if fits else y
        return (nn.functional.softplus(y.float()) - y.float() * wanted).mean() if fits else None
    if target.ndim != y.ndim - 1:
        return None
    axis = unit_axis(y, target)
    logs = y.float().log_softmax(dim=axis).movedim(axis, -1)
    if logs.shape[:-1] != target.shape:
        return None
    usable = (target >= 0) & (target < logs.shape[-1])
    chosen = torch.where(usable, target, torch.zeros_like(target)).long()
    losses = -logs.gather(-1, chosen[..., None])[..., 0]
    return torch.where(usable, losses, torch.zeros_like(losses)).sum() / usable.sum()


def answer_figures(y: Tensor, centred: bool, axis: int | None = None) -> dict[str, Tensor]:
    """What the answers of a batch look like; `centred` when a constant added to a row changes nothing.

    `axis` counts the outputs; without it, as `unit_axis` says. The spread is over the samples, as a root
    mean square over the outputs.
    """
    some = y[:ROWS].float()
    some = some.movedim(unit_axis(some) if axis is None else axis, -1) if some.ndim > 1 else some[:, None]
    rows = some.reshape(len(some), -1, some.shape[-1])
    free = rows - rows.mean(dim=-1, keepdim=True) if centred and rows.shape[-1] > 1 else rows
    apart = free - free.mean(dim=0)
    low, high = torch.aminmax(rows)
    return {
        "answer_spread": root_mean_square(apart),
        "answer_scale": root_mean_square(free),
        "answer_min": low,
        "answer_max": high,
        "answer_sum_gap": (rows.sum(dim=-1) - 1).abs().mean(),
        "answer_width": torch.tensor(float(rows.shape[-1]), device=y.device),
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


def rotation(before: Tensor, after: Tensor, step: Tensor) -> Tensor:
    """The angle in radians between vectors of norms `before` and `after` whose difference has norm `step`.

    From the half-angle formula, which keeps its digits where the angle is tiny.
    """
    square = (step * step - (after - before) ** 2) / (4 * before * after)
    safe = torch.where(before * after > 0, square, torch.zeros_like(square))
    return 2 * torch.asin(safe.clamp(0, 1).sqrt())


def _wide(x: Tensor) -> Tensor:
    """Half precision as float32: sums of squares of it soon overflow, and keep three digits."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
