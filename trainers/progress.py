"""What a trainer says while it trains. Light: needs neither torch nor numpy arrays of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from diagnostics import Signals


@dataclass(frozen=True)
class Progress:
    """One message of a trainer; a training is a stream of them.

    `step` counts optimizer steps done, `epoch` passes over the training data done, `of_epochs` the
    epochs planned. `metrics` is one evaluation (such as `{"train_loss": 0.3, "val_loss": 0.4}`), or
    empty between evaluations. `signals` are the rows measured since the last message. `facts` are
    things said once about the training (such as `{"trivial_loss": 2.3, "parameters": 1234}`).
    """

    step: int
    epoch: float
    of_epochs: float
    metrics: Mapping[str, float] = field(default_factory=dict)
    signals: Signals = field(default_factory=Signals)
    facts: Mapping[str, float | int | str] = field(default_factory=dict)
