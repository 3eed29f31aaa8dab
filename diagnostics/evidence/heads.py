"""What the last module lets a model answer, and what that does to a loss.

Notation
    a       answers of the model in the due rows: least, largest, |sum - 1|, width K
    b, y    answers and targets of a batch: mean, spread                     of B samples
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.rows import finite_values
from diagnostics.findings import Facts
from diagnostics.signals import Signals

ROWS = 3
"""Due rows whose largest answer must come near a bound before it counts as one."""

TOLERANCE = 1e-3
"""Rounding that answers and losses are allowed (half precision has three digits)."""

NEAR = 0.01
"""How near its bounds answers must come before they count as bounded."""

WHOLE_BATCH = 64
"""Samples up to which the figures of the answers are those of the whole batch."""

TELLING = 0.02
"""Spread of the answers, in that of the targets, from which their agreement would show in the loss."""

RANGES = {
    **dict.fromkeys(("Sigmoid", "Softmax", "Hardsigmoid"), (0.0, 1.0)),
    **dict.fromkeys(("Tanh", "Softsign", "Hardtanh"), (-1.0, 1.0)),
    **dict.fromkeys(("ReLU", "Softplus"), (0.0, math.inf)),
    "ReLU6": (0.0, 6.0),
    "LogSoftmax": (-math.inf, 0.0),
    "LogSigmoid": (-math.inf, 0.0),
}
"""Class of the last module -> least and largest answer it can give."""


@dataclass(frozen=True)
class Answers:
    """The answers of all due rows; `rows` of them are finite, `at_one` have a largest answer near 1."""

    least: float
    largest: float
    gap: float
    width: int
    rows: int
    head: str
    at_one: int

    @property
    def bounds(self) -> tuple[float, float]:
        """What the head can give: by its class, else as the answers show."""
        if self.head in RANGES:
            return RANGES[self.head]
        for low in (0.0, -1.0):
            inside = low - TOLERANCE <= self.least and self.largest <= 1 + TOLERANCE
            if inside and self.at_one >= ROWS and (low < 0 or self.least < low + NEAR):
                return low, 1.0
        return (0.0, math.inf) if self.least == 0.0 else (-math.inf, math.inf)

    @property
    def are_shares(self) -> bool:
        """Whether the answers to every sample are positive and sum to 1."""
        return self.width > 1 and self.gap < TOLERANCE and self.least >= 0


def answers_of(signals: Signals, facts: Facts) -> Answers:
    """What the due rows show of the answers."""
    rows = min(len(signals["answer_min"]), len(signals["answer_max"]))
    low, high = signals["answer_min"].values[:rows], signals["answer_max"].values[:rows]
    good, width = np.isfinite(low) & np.isfinite(high), float(signals["answer_width"].values[-1])
    if not np.any(good) or not math.isfinite(width):
        return Answers(math.nan, math.nan, math.nan, 0, 0, "", 0)
    gap = signals["answer_sum_gap"].values if "answer_sum_gap" in signals else np.array([math.nan])
    largest_gap = float(np.max(gap[np.isfinite(gap)], initial=-math.inf))
    return Answers(
        least=float(np.min(low[good])),
        largest=float(np.max(high[good])),
        gap=largest_gap if math.isfinite(largest_gap) else math.nan,
        width=int(width),
        rows=int(good.sum()),
        head=str(facts.get("head", "")),
        at_one=int(np.sum(np.abs(high[good] - 1) < NEAR)),
    )


def extremes(signals: Signals, name: str) -> tuple[float, float]:
    """The least and the largest finite value of a signal; NaN where there is none."""
    values = finite_values(signals, name)
    if not len(values):
        return math.nan, math.nan
    return float(values.min()) + 0.0, float(values.max()) + 0.0  # a zero without its sign


def meets_every_target(signals: Signals, a: Answers) -> tuple[int, int]:
    """In how many due rows it can be told, and is so, that the loss compares each answer with each target.

    The mean of (b_i - y_j)^2 over all i and j is var(b) + var(y) + (mean(b) - mean(y))^2; that of pairs has
    the covariance in it as well.
    """
    needed = ("answer_spread", "answer_scale", "y_mean", "y_spread", "batch_size")
    if a.width != 1 or not all(name in signals for name in needed):
        return 0, 0
    loss = signals["loss"]
    table = {int(t): float(x) for t, x in zip(loss.steps, loss.values, strict=True)}
    rows = [signals["answer_spread"].steps.tolist(), *(signals[name].values.tolist() for name in needed)]
    tellable, equal = 0, 0
    for step, spread, scale, mean, wide, size in zip(*rows, strict=False):
        if step not in table or size > WHOLE_BATCH or not spread >= TELLING * wide > 0:
            continue
        centre = math.sqrt(max(scale * scale - spread * spread, 0.0))
        away = [sign * centre - mean for sign in (1, -1)]
        found = [spread * spread + wide * wide + gap * gap for gap in away]
        tellable += 1
        equal += min(abs(x - table[step]) for x in found) < TOLERANCE * abs(table[step])
    return tellable, equal


def out_of_reach(mean: float, spread: float, low: float, high: float) -> float:
    """The squared error that the bounds alone cause, for normal targets; at least a rounding error."""
    total = 0.0
    gaps = [gap for gap in (mean - low, high - mean) if math.isfinite(gap)]
    for distance in [gap / spread for gap in gaps] if spread > 0 else []:
        tail = math.erfc(distance / math.sqrt(2)) / 2
        square = distance * distance
        density = math.exp(-square / 2) / math.sqrt(2 * math.pi)
        total += spread * spread * ((1 + square) * tail - distance * density)
    return max(total, TOLERANCE * spread * spread)
