"""Dropout that takes so much away that the network underfits.

Notation
    l       training loss, measured with dropout at work           [n]
    e       training loss per evaluation, without dropout           [evaluations]
    T       trivial loss
    p       largest dropout rate of the model
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.dropping import dropout_rate
from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import finite_values
from diagnostics.evidence.suffering import QUARTER, done, fails, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

HIGH = 0.6
"""Rate above which a training that learns nothing is blamed on it (Srivastava et al. (2014), Dropout: 0.5 is
near the best for hidden units, and up to 0.6 loses little)."""

EXTREME = 0.75
"""Rate above which a hampered training is, even while it still improves: less than a quarter of the units is
left."""

NOTABLE = 0.4
"""Rate below which the difference between the two losses is not blamed on dropout."""

BETTER = 0.7
"""Share of the loss with dropout that the loss without must be below: far better (house rule)."""

UNDERFITS = 0.25
"""Share of the trivial loss that the loss without dropout must be above to underfit."""

FEWEST = 6
"""Evaluations before a network is said to underfit: it must have had its time."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding when dropout is what keeps the training from fitting its data."""
    p = dropout_rate(signals, facts)
    if p < NOTABLE:
        return
    place = standing(signals, facts)
    e = finite_values(signals, "train_loss")
    now = float(np.median(e[-3:])) if len(e) else math.nan
    with_dropout = _with_dropout(signals, place)
    held = hampered(place, sibling_loss(facts), done=done(signals, facts))
    short = hampered(place, sibling_loss(facts), QUARTER, done(signals, facts))
    chokes = (p > HIGH and fails(place)) or (p > EXTREME and short)
    underfits = len(e) >= FEWEST and held and _is_flat(e) and _underfits(now, with_dropout, place)
    if not (chokes or underfits):
        return
    evidence = {"dropout": p, "training_loss": with_dropout, "evaluated_loss": now}
    less = max(0.1, round(p / 3, 1))
    level = f"{with_dropout:.4g}" if math.isfinite(with_dropout) else "not finite"
    cause = f"dropout takes {100 * p:.0f} % of the units away, and the loss with it is {level}"
    if math.isfinite(now):
        cause += f", without it {now:.4g}"
    if math.isfinite(place.trivial):
        cause += f" ({place.trivial:.4g} for guessing)"
    yield Finding(
        "dropout-too-high",
        warn_if(True),
        int(signals["loss"].steps[0]),
        numbers_of(evidence),
        f"{cause}: the network underfits",
        f"lower dropout from {p:.2g} to about {less:.1g}, or widen the layers by a factor of "
        f"{1 / (1 - min(p, 0.9)):.2g}",
    )


def _with_dropout(signals: Signals, place: Standing) -> float:
    """The level of the last losses of steps (`place.now` may come from an evaluation)."""
    values = signals["loss"].values
    last = values[-max(5, len(values) // 10) :]
    last = last[np.isfinite(last)]
    return float(np.mean(last)) if len(last) else place.now


def _underfits(now: float, with_dropout: float, place: Standing) -> bool:
    return now < BETTER * with_dropout and now > UNDERFITS * place.trivial


def _is_flat(e: Values) -> bool:
    """Whether the second half of the evaluations no longer falls."""
    return mann_kendall(e[len(e) // 2 :]) > -SIGNIFICANT


RULE = Rule(
    name="dropout-too-high",
    needs={"loss": 20},
    check=check,
    source="Srivastava et al. (2014), Dropout: a simple way to prevent neural networks from overfitting",
)
