"""How far a training has moved: its steps, the way of its weights, and whether they can get anywhere.

Notation
    r       learning rate of a row                                 [rows]
    u, g    update and gradient over the norm of the weights, of the matrix where it is largest   [due rows]
    path    length of the way a matrix went, over its norm at the start
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts
from diagnostics.signals import Series, Signals

FEWEST = 20
"""Steps at the full learning rate after which a pace can be told, or that no gradient arrives (house rule: a
momentum of 0.9 has nine tenths of its speed, and a few due rows lie in them)."""

ROWS = 4
"""Due rows that must agree that no gradient arrives (house rule: the last few; a batch may be silent)."""

RUNS_OUT = 0.7
"""Share to which updates must fall from one due row to the next to be the momentum of gradients that came
before (house rule: 0.9 per step leaves less after four steps)."""

NOTHING = 1e-7
"""Gradient over weights below which a matrix has none (the rounding of 32-bit numbers)."""

NOWHERE = 0.05
"""Times its size by which the matrix that moves most must move in the whole budget (house rule: weights
that are as random as at the start, but for a twentieth, answer as they did at the start)."""


def movement(signals: Signals) -> float:
    """How far the matrix that moved most has travelled, in units of its norm at the start; NaN unknown.

    The path between two due rows is taken as straight in its speed (trapezium rule).
    """
    if "update_norm" not in signals or "weight_norm" not in signals:
        return math.nan
    update, weight = signals["update_norm"], signals["weight_norm"]
    if not len(update) or not len(weight) or not update.layers:
        return math.nan
    first = np.maximum(weight.values[0], np.finfo(np.float32).tiny)
    return float(np.max(_path(update) / first, initial=0.0))


def effort(signals: Signals, facts: Facts) -> float:
    """Optimizer steps so far; those of a warm-up count by their learning rate over the highest one.

    House rule. What comes after the highest learning rate counts in full, however low the rate is.
    """
    last = signals.last_step
    if "learning_rate" not in signals or not len(signals["learning_rate"]):
        return last + 1.0
    rate = signals["learning_rate"]
    top = int(np.argmax(rate.values))
    peak = max(float(rate.values[top]), float(facts.get("learning_rate", 0.0)))
    if not peak > 0:
        return last + 1.0
    spans = np.diff(rate.steps, prepend=-1)
    warm = float(np.sum(rate.values[: top + 1] * spans[: top + 1])) / peak
    share = float(rate.values[top]) / peak
    return warm + share * (last - float(rate.steps[top]))


def standstill(signals: Signals, facts: Facts) -> str:
    """Why the weights cannot get anywhere: `no gradient`, `no movement`, or empty.

    No movement: at this pace the whole budget would not move any matrix by `NOWHERE` of its size.
    """
    if not {"update_norm", "grad_norm", "weight_norm"} <= signals.keys():
        return ""
    n = min(len(signals[name]) for name in ("update_norm", "grad_norm", "weight_norm"))
    steps = effort(signals, facts)
    if n < ROWS or steps < FEWEST:
        return ""
    weight = np.maximum(signals["weight_norm"].values[n - ROWS : n], np.finfo(float).tiny)
    g = np.max(signals["grad_norm"].values[n - ROWS : n] / weight, axis=1)
    u = np.max(signals["update_norm"].values[n - ROWS : n] / weight, axis=1)
    decay = 2 * float(facts.get("weight_decay", 0.0)) * float(facts.get("learning_rate", 0.0))
    if np.all(g <= NOTHING) and np.all((u[1:] <= RUNS_OUT * u[:-1]) | (u[1:] <= NOTHING + decay)):
        return "no gradient"
    if "total_steps" not in facts:
        return ""
    planned = float(facts["total_steps"])
    moved = np.nanmax([movement(signals), _total_movement(signals)])
    if np.all(g > NOTHING) and moved * max(1.0, planned / steps) < NOWHERE:
        return "no movement"
    return ""


def _total_movement(signals: Signals) -> float:
    """The same of all parameters together, biases among them."""
    if not {"total_update_norm", "total_weight_norm"} <= signals.keys():
        return math.nan
    update = signals["total_update_norm"]
    path = _path(Series(update.steps, update.values[:, None], ("all",)))
    first = max(float(signals["total_weight_norm"].values[0]), float(np.finfo(np.float32).tiny))
    return float(path[0]) / first


def _path(update: Series) -> Values:
    values = np.where(np.isfinite(update.values), update.values, 0.0)
    if len(values) == 1:
        return np.asarray(values[0] * 1.0)
    spans = np.diff(update.steps)[:, None]
    return np.asarray(values[0] + np.sum((values[1:] + values[:-1]) / 2 * spans, axis=0))
