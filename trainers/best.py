"""The evaluation to keep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from trainers.config import TrialConfig
from trainers.losses import goal_of


class Best:
    """The evaluation to keep, the best one by a metric or the last: its weights, and how long ago it was.

    `age` counts the evaluations since the best one.
    """

    def __init__(self, config: TrialConfig) -> None:
        self._metric = config.best_by
        self._sign = 1.0 if goal_of(config.best_by) == "minimize" else -1.0
        self._last = config.keep == "last"
        self._value = math.inf
        self.weights: Mapping[str, Tensor] | None = None
        self.age = 0

    def note(self, metrics: dict[str, float], model: nn.Module) -> None:
        """Look at an evaluation; remember the weights when they are the ones to keep."""
        value = self._sign * metrics.get(self._metric, math.inf)
        better = value < self._value
        self.age = 0 if better else self.age + 1
        self._value = min(value, self._value)
        if better or self._last:
            self.weights = {name: tensor.to("cpu", copy=True) for name, tensor in model.state_dict().items()}

    def state_dict(self) -> dict[str, Any]:
        """What it has noted."""
        weights = None if self.weights is None else dict(self.weights)
        return {"value": self._value, "age": self.age, "weights": weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        self._value, self.age, self.weights = state["value"], state["age"], state["weights"]
