"""What trainings have said, to be compared bit by bit."""

from __future__ import annotations

from typing import Any

from diagnostics import Signals
from trainers.progress import Progress

CLOCKS = {"step_seconds", "peak_memory_mb"}
"""Facts that differ whenever a training is repeated."""


def essence(stream: list[Progress]) -> list[tuple[Any, ...]]:
    """What was said, without what the clock says."""
    return [
        (
            *(p.step, p.epoch, p.of_epochs, dict(p.metrics)),
            {name: value for name, value in p.facts.items() if name not in CLOCKS},
            _rows(p.signals),
        )
        for p in stream
    ]


def _rows(signals: Signals) -> dict[str, Any]:
    rows = {n: (s.layers, s.steps.tobytes(), s.values.tobytes()) for n, s in signals.items()}
    return {**rows, "facts": dict(signals.facts)}


def signals_of(stream: list[Progress]) -> Signals:
    """All rows of a training."""
    signals = Signals()
    for progress in stream:
        signals = signals.extend(progress.signals)
    return signals
