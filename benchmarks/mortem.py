"""torchmortem 0.1.1 on the same trainings: alone beside the loop, and its findings under our names.

Its findings have a category and a title, no cause; `NAMES` says which of our kinds each stands for, and
is meant to be generous: a finding counts as naming the cause when any of its names is accepted.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer

from benchmarks.diagnosis_tables import Said

MISSING = "torchmortem is not installed: pip install torchmortem==0.1.1"

NAMES: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("dead_units", "", ("dead-units",)),
    ("gradient_flow", "Vanishing", ("vanishing-gradients",)),
    ("gradient_flow", "Exploding", ("exploding-gradients", "learning-rate-too-high", "bad-init-scale")),
    (
        "gradient_flow",
        "Gradient stalling",
        ("vanishing-gradients", "frozen-layers", "unoptimized-parameters"),
    ),
    ("gradient_noise", "", ("noisy-gradients",)),
    ("loss_dynamics", "Training divergence", ("diverging", "learning-rate-too-high")),
    ("loss_dynamics", "Loss plateau", ("plateau", "not-learning", "learning-rate-too-low")),
    ("loss_dynamics", "", ("loss-spike",)),
    ("rank_collapse", "", ("constant-predictions", "symmetric-units")),
    ("saturation", "", ("saturated-activations",)),
    (
        "update_ratio",
        "Update ratio too low",
        ("learning-rate-too-low", "frozen-layers", "unoptimized-parameters"),
    ),
    ("update_ratio", "Update ratio too high", ("learning-rate-too-high",)),
    ("weight_norm", "Weight norm explosion", ("weight-blowup", "learning-rate-too-high")),
    ("weight_norm", "Stagnant", ("learning-rate-too-low", "frozen-layers", "unoptimized-parameters")),
    ("weight_norm", "Inter-layer", ("bad-init-scale",)),
)
"""Category, beginning of the title, our kinds; the first that fits."""


class Mortem:
    """torchmortem's recorder under its defaults, told what its manual says to tell it."""

    def __init__(self, model: nn.Module, optimizer: Optimizer) -> None:
        from torchmortem import Autopsy

        logging.getLogger("torchmortem").setLevel(logging.CRITICAL)
        self.autopsy = Autopsy(model, optimizer=optimizer)
        self.autopsy.attach()

    def step(self, loss: Tensor, x: Tensor, y: Tensor, raw_grad_norm: Tensor | None) -> None:
        """One step is done."""
        self.autopsy.step(loss=loss.item())

    def evaluate(self, measured: Mapping[str, float], losses: Tensor) -> None:
        """It has no door for evaluations."""

    def said(self) -> Said:
        """Its findings in its own order: the gravest first."""
        self.autopsy.detach()
        report = self.autopsy.get_report()
        found = report.findings if report else []
        return Said(tuple((kind, int(f.severity)) for f in found for kind in names_of(f)))


def names_of(finding: Any) -> tuple[str, ...]:
    """Our kinds for one of its findings."""
    for category, title, kinds in NAMES:
        if finding.category == category and finding.title.startswith(title):
            return kinds
    return (str(finding.category),)


def is_installed() -> bool:
    """Whether it can be asked."""
    try:
        import torchmortem  # noqa: F401
    except ImportError:
        return False
    return True
