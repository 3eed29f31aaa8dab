"""A loss that swings up and down without getting on.

Notation
    e       training loss per evaluation: no noise of batches in it        [evaluations]
    m       means of the training loss over equal spans of the last half   [blocks]
    s       deviation that the noise of single batches gives such a mean
    a       amplitude: half the distance of the 10th and 90th percentile
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.suffering import hampered, sibling_loss, warn_if
from diagnostics.evidence.trends import Values, mann_kendall, mean_blocks
from diagnostics.evidence.words import outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Series, Signals

BLOCKS = 20
"""Spans the last half of the training is brought down to (house rule: room for several swings)."""

FEWEST_ROWS = 100
"""Rows of the last half that a span's mean needs at least, five for each."""

FEWEST_EVALUATIONS = 8
"""Evaluations of the last half that are enough to see swings in."""

TURNS = 4
"""Crossings of the median that make a swing of a curve (house rule: two whole swings)."""

BAND = 0.25
"""Share of the amplitude that a swing must reach on either side: what noise does beside one jump is no swing
(house rule)."""

NOISE = 3.0
"""Deviations of a mean's noise that the amplitude must exceed (house rule: 3 sigma)."""

SWING = 0.15
"""Share of what there was to learn that the amplitude must reach (house rule: less is a restless end)."""

LEAST = 0.2
"""What there was to learn is taken as at least this share of the trivial loss (house rule: where nothing
was learnt the noise of the losses is no swing)."""

FALLING = -2.33
"""Mann-Kendall score below which a loss falls through its swings (one-sided 1 %)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Swings of the smoothed loss, larger than its noise, without a way down."""
    place = standing(signals, facts)
    level = place.trivial if math.isfinite(place.trivial) else place.start
    to_learn = max(level - place.best, LEAST * abs(level))
    if not place.known or not math.isfinite(place.now):
        return
    for m, s, first in _curves(signals):
        amplitude = _amplitude(m)
        turns = _turns(m, BAND * amplitude)
        if turns < TURNS or not amplitude >= max(NOISE * s, SWING * to_learn) or mann_kendall(m) < FALLING:
            continue
        evidence = {
            "amplitude": amplitude,
            "noise": s,
            "turns": float(turns),
            "lowest_loss": place.best,
            "loss_now": place.now,
        }
        cause = (
            f"since step {first} the training loss swings by {amplitude:.3g} around {np.median(m):.4g} "
            f"without getting on, {turns} times through its middle; {outcome(place)}"
        )
        severity = warn_if(hampered(place, sibling_loss(facts)))
        yield Finding("oscillating", severity, first, evidence, cause, _remedy(signals))
        return


def _curves(signals: Signals) -> Iterator[tuple[Values, float, int]]:
    """The last half of the evaluations and of the steps, the noise of each place, and where it begins."""
    if "train_loss" in signals:
        steps, e = _last_half(signals["train_loss"])
        if len(e) >= FEWEST_EVALUATIONS:
            yield e, 0.0, int(steps[0])
    steps, x = _last_half(signals["loss"])
    if len(x) >= FEWEST_ROWS:
        spread = math.sqrt(float(np.mean(np.diff(x, n=2) ** 2)) / 6)
        yield mean_blocks(steps, x, BLOCKS), spread / math.sqrt(len(x) / BLOCKS), int(steps[0])


def _last_half(series: Series) -> tuple[np.ndarray, Values]:
    keep = np.isfinite(series.values) & (series.steps >= series.steps[-1] // 2)
    return series.steps[keep], series.values[keep]


def _turns(m: Values, band: float) -> int:
    """How often `m` [blocks] goes from one side of its median to the other, past a band around it."""
    away = m - np.median(m)
    side = np.sign(away[np.abs(away) > band])
    return int(np.sum(side[1:] != side[:-1]))


def _amplitude(m: Values) -> float:
    low, high = np.percentile(m, [10, 90])
    return float(high - low) / 2


def _remedy(signals: Signals) -> str:
    if "learning_rate" not in signals:
        return "lower the learning rate 3 to 10 times, or let a schedule lower it (schedule = cosine)"
    rate = float(signals["learning_rate"].values[-1])
    return (
        f"lower the learning rate from {rate:.2g} to about {rate / 5:.1g}, let a schedule lower it "
        "(schedule = cosine), or use larger batches"
    )


RULE = Rule(
    name="oscillating",
    needs={"loss": 2 * FEWEST_ROWS},
    check=check,
    source="house rule: crossings of the median, as in Wald and Wolfowitz (1940), On a test whether two "
    "samples are from the same population",
)
