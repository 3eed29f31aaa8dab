"""Made-up losses of every step, with the norms of two matrices where a rule looks at them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from diagnostics import Finding, Series, Signals

Curve = np.ndarray[Any, np.dtype[np.float64]]

N = 600
T = np.arange(N)
FACTS: Mapping[str, float | int | str] = {
    "trivial_loss": 2.3,
    "total_steps": N,
    "task": "classification",
    "outputs": 10,
}


def noisy(x: Curve, rng: np.random.Generator, share: float = 0.05) -> Curve:
    """The curve with noise in proportion to it."""
    return x * (1 + share * rng.normal(size=len(x)))


def falling(rng: np.random.Generator) -> Curve:
    """A loss of a training that learns well."""
    return noisy(2.3 * np.exp(-T / 100) + 0.05, rng)


def of(loss: Curve, **more: tuple[Any, Any]) -> Signals:
    """A loss for every step, and further columns with steps of their own."""
    return Signals.of({"loss": (range(len(loss)), loss), **more})


def layered(
    loss: Curve, ratio: float | Curve = 0.003, gradient: float | Curve = 0.1, every: int = 5, **more: Any
) -> Signals:
    """Two matrices of norm 10 with these updates and gradients over them, looked at every few steps."""
    due = np.arange(0, len(loss), every)

    def series(values: float | Curve, names: tuple[str, ...]) -> Series:
        column = np.broadcast_to(np.asarray(values, float), (len(due),))
        return Series(due, np.repeat(column[:, None], 2, axis=1) if names else column, names)

    names = ("hidden1.linear.weight", "head.weight")
    rows = {
        "weight_norm": series(10.0, names),
        "update_norm": series(10.0 * np.asarray(ratio), names),
        "grad_norm": series(10.0 * np.asarray(gradient), names),
        "total_grad_norm": series(14.1 * np.asarray(gradient), ()),
    }
    return Signals({**of(loss, **more), **rows})


def said(rule: Any, signals: Signals, facts: Mapping[str, Any] = FACTS) -> list[Finding]:
    """What the rule of a module says."""
    return list(rule.RULE.check(signals, {**facts, **signals.facts}))
