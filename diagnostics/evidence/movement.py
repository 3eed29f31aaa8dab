"""How far a training has moved: its steps, the way of its weights, and whether they can get anywhere.

Notation
    r       learning rate of a row                                 [rows]
    u, g    update and gradient over the norm of the weights, of the matrix where it is largest   [due rows]
    path    length of the way a matrix went, over its norm at the start
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.evidence.rows import Rows, common_rows
from diagnostics.evidence.trends import Values
from diagnostics.findings import Facts
from diagnostics.signals import Signals

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
    rows = common_rows(signals, "update_norm", "weight_norm")
    if not len(rows) or not rows.layers:
        return math.nan
    first = np.maximum(rows.values[1][0], np.finfo(np.float32).tiny)
    return float(np.max(_path(rows) / first, initial=0.0))


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
    rows, steps = common_rows(signals, "update_norm", "grad_norm", "weight_norm"), effort(signals, facts)
    if len(rows) < ROWS or steps < FEWEST or not rows.layers:
        return ""
    update, gradient, weight = (values[-ROWS:] for values in rows.values)
    weight = np.maximum(weight, np.finfo(float).tiny)
    g, u = np.max(gradient / weight, axis=1), np.max(update / weight, axis=1)
    decay = 2 * float(facts.get("weight_decay", 0.0)) * float(facts.get("learning_rate", 0.0))
    if np.all(g <= NOTHING) and np.all((u[1:] <= RUNS_OUT * u[:-1]) | (u[1:] <= NOTHING + decay)):
        return "no gradient"
    if "total_steps" not in facts:
        return ""
    planned = float(facts["total_steps"])
    moved = float(np.fmax(movement(signals), _total_movement(signals)))
    if np.all(g > NOTHING) and moved * max(1.0, planned / steps) < NOWHERE:
        return "no movement"
    return ""


def _total_movement(signals: Signals) -> float:
    """The same of all parameters together, biases among them."""
    rows = common_rows(signals, "total_update_norm", "total_weight_norm")
    if not len(rows):
        return math.nan
    first = max(float(rows.values[1][0]), float(np.finfo(np.float32).tiny))
    return float(_path(rows)) / first


def _path(rows: Rows) -> Values:
    """The way of what the first values of the rows moved: one number, or one a matrix."""
    u = np.where(np.isfinite(rows.values[0]), rows.values[0], 0.0)
    spans = np.diff(rows.steps).reshape(-1, *[1] * (u.ndim - 1))
    return np.asarray(u[0] + np.sum((u[1:] + u[:-1]) / 2 * spans, axis=0))
