"""An exponential moving average of a model's weights.

Notation
    n       updates seen
    d       decay: share of the average that an update keeps
    d_n     min(d, (1 + n) / (10 + n)): a young average forgets its start sooner
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

Tensors = list[Tensor] | tuple[Tensor, ...]


def average_weights(model: nn.Module, decay: float) -> AveragedModel:
    """A copy of `model` that follows it: call `update_parameters(model)` after each step.

    The first call copies. Running statistics are averaged like weights, so that they fit them;
    whole numbers (such as a count of batches) are copied. Evaluate `.module`.

    Source: Polyak & Juditsky 1992; the growing decay is TensorFlow's ExponentialMovingAverage.
    """

    @torch.no_grad()
    def update(averages: Tensors, news: Tensors, seen: Tensor | int) -> None:
        keep = torch.as_tensor((1 + seen) / (10 + seen)).clamp(max=decay)
        for average, new in zip(averages, news, strict=True):
            if average.is_floating_point():
                average.lerp_(new, (1.0 - keep).to(average.dtype))
            else:
                average.copy_(new)

    averaged = AveragedModel(model, multi_avg_fn=update, use_buffers=True)
    return averaged.requires_grad_(False)
