"""Whether two settings interact: whether both together foretell more than what each does, added up.

Notation
    x       values of the objective, the far worse end clipped               [n]
    A, P    features of both settings side by side, and with their products  [n, features]
    h       leverage of a trial in a linear fit                              [n]
    e       error at a trial of the fit without it                           [n]
    d       by how much the products lessen the squared error                [n]
"""

from __future__ import annotations

import numpy as np

from searcher.report.numbers.objective import Numbers
from searcher.report.numbers.scales import Column
from searcher.spec import StudySpec

FEWEST = 12
"""Trials with both settings from which on something is said (house rule, as for importances)."""

GAIN = 0.1
"""Share by which products must lessen the squared error before settings interact (house rule)."""

CLEAR = 2.33
"""Score that the mean of `d` must reach (one-sided 1 %: errors of one fit depend on each other a little)."""

FENCE = 1.5
"""Times the distance of the quartiles beyond which bad values are clipped. Source: Tukey (1977)."""

RIDGE = 1e-3
"""Penalty of the fits, for a trial: a choice that is rare is not solved exactly."""


def told_interaction(spec: StudySpec, first: Column, second: Column, values: Numbers) -> str:
    """Whether the two settings interact, in a sentence with its numbers."""
    both = first.active & second.active
    n, metric = int(both.sum()), spec.metric.name
    pair = f"{first.name} and {second.name}"
    if n < FEWEST:
        return f"{n} trials have both {pair}: too few to say whether they interact."
    x = _clipped(values[both] if spec.metric.goal == "maximize" else -values[both])
    a, b = _features(first)[both], _features(second)[both]
    together = (a[:, :, None] * b[:, None, :]).reshape(n, -1)
    apart = _left_out(np.concatenate([a, b], axis=1), x)
    jointly = _left_out(np.concatenate([a, b, together], axis=1), x)
    d = apart**2 - jointly**2
    gain = float(d.sum() / np.sum(apart**2)) if apart.any() else 0.0
    spread = float(d.std(ddof=1))
    z = float(d.mean() / (spread / np.sqrt(n))) if spread > 0 else 0.0
    if gain >= GAIN and z >= CLEAR:
        return (
            f"{pair} interact: both together foretell {metric} of left-out trials with {100 * gain:.0f} % "
            f"less squared error than the effects of each added up ({n} trials): do not tune them one by one."
        )
    if gain >= GAIN:
        return (
            f"{pair} may interact, but {n} trials are too few to be sure: both together foretell {metric} of "
            f"left-out trials with {100 * gain:.0f} % less squared error than the effects of each added up."
        )
    return (
        f"There is no sign that {pair} interact: the effects of each added up foretell {metric} of left-out "
        f"trials about as well as both together ({n} trials)."
    )


def _clipped(x: Numbers) -> Numbers:
    """Without far worse values: what failed counts as bad, not as all there is."""
    low, high = np.quantile(x, [0.25, 0.75])
    return np.maximum(x, low - FENCE * (high - low)) if high > low else x


def _features(column: Column) -> Numbers:
    """`u` and its square about the middle of the range; 0 or 1 for every choice but the first."""
    if column.scale is not None:
        u = np.where(column.active, column.places, 0.5) - 0.5
        return np.stack([u, u**2], axis=1)
    choices = range(1, len(column.choices))
    return np.stack([column.places == k for k in choices], axis=1).astype(np.float64)


def _left_out(features: Numbers, x: Numbers) -> Numbers:
    """`e`: from one fit, by the leverages."""
    n = len(x)
    full = np.concatenate([np.ones((n, 1)), features], axis=1)
    penalty = np.diag([0.0, *[RIDGE * n] * features.shape[1]])
    hat = full @ np.linalg.solve(full.T @ full + penalty + 1e-12 * np.eye(full.shape[1]), full.T)
    h = np.minimum(np.diag(hat), 1 - 1e-6)
    return np.asarray((x - hat @ x) / (1 - h))
