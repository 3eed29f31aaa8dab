"""Normalisations by name.

Every norm takes `[batch, features]`, `[batch, time, features]` (each place by itself) and images
`[batch, features, height, width]` alike, except those marked `spatial`, which need pixels. All
of them but `none` and `local_response` learn a scale per feature, and all of these but `rms` a shift.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5  # added to a variance; torch's default


@dataclass(frozen=True)
class Norm:
    """A way to normalise; `make(features, groups)` gives the layer, `spatial` says it needs pixels."""

    make: Callable[[int, int], nn.Module]
    spatial: bool = False


class BatchNorm(nn.BatchNorm2d):
    """Each feature to mean 0 and variance 1 over the batch (and the pixels, or the places in time).

    A batch with a single value per feature has no variance: it is normalised by the running
    statistics and leaves them as they are.

    Source: Ioffe & Szegedy, Batch Normalization, 2015.
    """

    def forward(self, x: Tensor) -> Tensor:
        pixels = x if x.ndim == 4 else x.reshape(-1, self.num_features, 1, 1)
        if self.training and pixels.numel() == self.num_features:
            y = F.batch_norm(
                pixels, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps
            )
        else:
            y = super().forward(pixels)
        return y.view_as(x)


class GroupNorm(nn.GroupNorm):
    """Each group of features of each sample to mean 0 and variance 1 (over its pixels too).

    Takes the largest number of groups up to `groups` that divides the features and leaves two of
    them in each group: one feature without pixels would be normalised to zero.

    Source: Wu & He, Group Normalization, 2018.
    """

    def __init__(self, features: int, groups: int) -> None:
        most = max(1, min(groups, features // 2))
        super().__init__(max(n for n in range(1, most + 1) if features % n == 0), features, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim == 3:
            return super().forward(x.flatten(0, 1)).view_as(x)
        return super().forward(x)


class LayerNorm(GroupNorm):
    """Each sample to mean 0 and variance 1 over its features; of an image, over its pixels too.

    Source: Ba et al., Layer Normalization, 2016.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, groups=1)


class InstanceNorm(nn.InstanceNorm2d):
    """Each channel of each image to mean 0 and variance 1 over its pixels.

    A single pixel has no variance: it is scaled and shifted only.

    Source: Ulyanov et al., Instance Normalization, 2016.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, EPSILON, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[2:].numel() == 1:
            return x * self.weight[:, None, None] + self.bias[:, None, None]
        return super().forward(x)


class RMSNorm(nn.RMSNorm):
    """The features of each sample, or of each pixel of an image, to mean square 1; has no shift.

    Source: Zhang & Sennrich, Root Mean Square Layer Normalization, 2019.
    """

    def __init__(self, features: int) -> None:
        super().__init__(features, EPSILON)

    def forward(self, x: Tensor) -> Tensor:
        features = 1 if x.ndim == 4 else -1
        scale = self.weight.to(x.dtype)  # in mixed precision torch's fast path wants one type
        y = F.rms_norm(x.movedim(features, -1), self.normalized_shape, scale, self.eps)
        return y.movedim(-1, features)


def local_response() -> nn.Module:
    """Each pixel damped by the squares of 5 neighbouring channels at its place.

    Source: Krizhevsky et al., ImageNet Classification, 2012, section 3.3: k = 2, n = 5,
    alpha = 1e-4, beta = 0.75; torch divides its alpha by n, so it is given n alpha.
    """
    return nn.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0)


NORMS: dict[str, Norm] = {
    "none": Norm(lambda _, __: nn.Identity()),
    "batch": Norm(lambda features, _: BatchNorm(features)),
    "layer": Norm(lambda features, _: LayerNorm(features)),
    "group": Norm(lambda features, groups: GroupNorm(features, groups)),
    "instance": Norm(lambda features, _: InstanceNorm(features), spatial=True),
    "local_response": Norm(lambda _, __: local_response(), spatial=True),
    "rms": Norm(lambda features, _: RMSNorm(features)),
}
