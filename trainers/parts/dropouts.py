"""Dropouts by name.

All of them do nothing at rate 0 and in evaluation.

Notation
    p       rate: share of what is dropped
    x       features                                     [batch, features], images
                                                         [batch, channels, height, width]
    b       sides of a dropped block, in pixels
    gamma   probability that a block starts at a pixel
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

if TYPE_CHECKING:
    from trainers.config import TrialConfig

DISTORTION = 0.1  # spread of disout's noise, relative to that of the features; house rule


@dataclass(frozen=True)
class Dropout:
    """A way to drop; `make(config)` gives the layer.

    `spatial` says it needs images. One that works `on_weights` drops entries of a weight instead
    of features: `drop_weights` puts it there.
    """

    make: Callable[[TrialConfig], nn.Module]
    spatial: bool = False
    on_weights: bool = False


class DropBlock(nn.Module):
    """Drops square blocks of each channel, about a share `rate` of the pixels.

    A block is clipped to the image. What is kept is scaled up so that the mean stays.

    Source: Ghiasi et al., DropBlock, 2018, algorithm 1 and equation 1.
    """

    def __init__(self, rate: float, block: int) -> None:
        super().__init__()
        self.rate, self.block = rate, block

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        return _scaled_up(x, kept_blocks(x, self.rate, self.block))

    def extra_repr(self) -> str:
        return f"rate={self.rate}, block={self.block}"


class Disout(nn.Module):
    """Distorts a share `rate` of the features instead of dropping them; blocks of them in images.

    A distorted feature is replaced by normal noise whose spread is a tenth of the layer's.
    The paper takes the tenth from the weights behind, which a layer by itself does not know.

    Source: Tang et al., Beyond Dropout: Feature Map Distortion, 2020.
    """

    def __init__(self, rate: float, block: int) -> None:
        super().__init__()
        self.rate, self.block = rate, block

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        if x.ndim == 4:
            kept = kept_blocks(x, self.rate, self.block)
        else:
            kept = torch.rand(x.shape, device=x.device) >= self.rate
        noise = torch.randn_like(x) * (DISTORTION * x.detach().std(correction=0))
        return _scaled_up(x, kept) + torch.where(kept, 0.0, noise)

    def extra_repr(self) -> str:
        return f"rate={self.rate}, block={self.block}"


class DropConnect(nn.Module):
    """Calls a linear or convolution layer with entries of its weight dropped by `drop`.

    The mask is drawn anew for every batch, and what is kept is scaled up, so that evaluation uses
    the weights as they are.

    Source: Wan et al., Regularization of Neural Networks using DropConnect, 2013.
    """

    def __init__(self, layer: nn.Linear | nn.Conv2d, drop: nn.Module) -> None:
        super().__init__()
        self.layer, self.drop = layer, drop

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            y: Tensor = self.layer(x)
        else:
            y = functional_call(self.layer, {"weight": self.drop(self.layer.weight)}, (x,))
        return y


def kept_blocks(x: Tensor, rate: float, block: int) -> Tensor:
    """Which pixels to keep, `[batch, channels, height, width]` of bool.

    gamma = p / (b_h b_w) * (H W) / ((H - b_h + 1) (W - b_w + 1)), where only starts count whose
    block lies inside the image.
    """
    height, width = x.shape[2:]
    tall, wide = min(block, height), min(block, width)
    starts = (height - tall + 1, width - wide + 1)
    gamma = rate / (tall * wide) * (height * width) / (starts[0] * starts[1])
    seeds = (torch.rand((*x.shape[:2], *starts), device=x.device) < gamma).float()
    around = F.pad(seeds, (wide - 1, wide - 1, tall - 1, tall - 1))
    return F.max_pool2d(around, (tall, wide), stride=1) == 0


def _scaled_up(x: Tensor, kept: Tensor) -> Tensor:
    """`x` where it is kept, times the number of all over the number of kept ones; else zero."""
    return x * kept * (kept.numel() / kept.sum().clamp(min=1)).to(x.dtype)


DROPOUTS: dict[str, Dropout] = {
    "none": Dropout(lambda _: nn.Identity()),
    "dropout": Dropout(lambda c: nn.Dropout(c.dropout)),  # Srivastava et al. 2014
    "alpha_dropout": Dropout(lambda c: nn.AlphaDropout(c.dropout)),  # Klambauer et al. 2017
    "channel": Dropout(lambda c: nn.Dropout2d(c.dropout), spatial=True),  # Tompson et al. 2014
    "dropblock": Dropout(lambda c: DropBlock(c.dropout, c.dropout_block), spatial=True),
    "dropconnect": Dropout(lambda c: nn.Dropout(c.dropout), on_weights=True),
    "disout": Dropout(lambda c: Disout(c.dropout, c.dropout_block)),
}


def drop_features(config: TrialConfig) -> nn.Module:
    """The layer that drops features as `config` says; lets all pass when weights are dropped."""
    kind = DROPOUTS[config.dropout_kind]
    return nn.Identity() if kind.on_weights else kind.make(config)


def drop_weights(layer: nn.Linear | nn.Conv2d, config: TrialConfig) -> nn.Module:
    """`layer` with its weights dropped as `config` says; `layer` itself when features are dropped."""
    kind = DROPOUTS[config.dropout_kind]
    return DropConnect(layer, kind.make(config)) if kind.on_weights else layer
