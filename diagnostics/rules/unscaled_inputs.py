"""Inputs far off unit scale: a few features drown the others, or everything is far too large.

Notation
    m, s    mean and spread of each feature, median over the due rows     [features]
    ratio   largest s over the middle one
    size    root mean square of everything in x
    offset  |mean| over spread: of the middle feature, or of everything in x
    q       root mean square of what the first layer puts out at its first row; about `size` in theory
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import common_rows, finite_values, recent
from diagnostics.evidence.suffering import QUARTER, done, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.words import listed, outcome, short
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

RATIO = 100.0
"""Times the middle feature's spread from which a feature drowns the others (house rule: the loss is then
10^4 times more curved along one weight than along another)."""

LARGE, SMALL = 10.0, 0.01
"""Root mean square of the inputs that is far off 1 (house rule: grey values of 0 to 255 are near 100)."""

OFFSET = 10.0
"""Distance of the mean from 0, in spreads, from which features hardly differ from a constant."""

OFF_THEORY = 10.0
"""Size of what the first layer puts out from which the inputs' scale is what the network works with."""

ROWS = 20
"""Last due rows the medians are taken over."""

REMEDY = "bring every feature to mean 0 and spread 1: scaling = standardize, fitted on the training data"


@dataclass(frozen=True)
class _Inputs:
    """The figures of the inputs, NaN where unknown; `wide` names the features that drown the others."""

    size: float
    offset: float
    ratio: float = math.nan
    wide: tuple[str, ...] = ()
    widest: float = math.nan
    middle: float = math.nan

    @property
    def evidence(self) -> dict[str, float]:
        return {"input_size": self.size, "offset": self.offset, "spread_ratio": self.ratio}


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding for inputs that are off scale where the first layer feels it."""
    x = _inputs(signals, facts)
    odd_size = math.isfinite(x.size) and not SMALL <= x.size <= LARGE
    if not (odd_size or x.offset > OFFSET or x.ratio > RATIO):
        return
    q = _first_output(signals)
    if x.ratio <= RATIO and 1 / OFF_THEORY < q < OFF_THEORY:
        return  # a norm before the first layer, or weights that make up for it
    place = standing(signals, facts)
    evidence = numbers_of({**x.evidence, "first_output": q})
    cause = f"{_what(x, _range(signals), facts)}{_felt(q)}; {outcome(place)}"
    step = int(signals["x_spread"].steps[0])
    severity = warn_if(hampered(place, sibling_loss(facts), QUARTER, done(signals, facts)))
    yield Finding("unscaled-inputs", severity, step, evidence, cause, REMEDY, x.wide)


def _inputs(signals: Signals, facts: Facts) -> _Inputs:
    mean, spread = float(recent(signals["x_mean"], ROWS)), float(recent(signals["x_spread"], ROWS))
    size = math.hypot(mean, spread)
    offset = abs(mean) / spread if spread > 0 else math.nan
    rows = common_rows(signals, "feature_spread", "feature_mean")
    if not len(rows) or not rows.layers:
        return _of_the_data(size, offset, facts)
    s, m = (recent(series, ROWS) for series in rows.series)
    varied = np.isfinite(s) & (s > 1e-6 * np.abs(m)) & (s > 0)
    if not np.any(varied):
        return _Inputs(size, offset)
    middle = float(np.median(s[varied]))
    offset = float(np.median(np.abs(m[varied]) / s[varied]))
    order = [i for i in np.argsort(-np.where(varied, s, 0.0)) if s[i] > RATIO * middle]
    wide = tuple(rows.layers[i] for i in order)
    widest = float(np.max(s[varied]))
    return _Inputs(size, offset, widest / middle, wide, widest, middle)


def _of_the_data(size: float, offset: float, facts: Facts) -> _Inputs:
    """What is known of the data before the training, where there are too many features to look at each."""
    ratio, widest = float(facts.get("feature_ratio", math.nan)), float(facts.get("feature_widest", math.nan))
    if not (ratio > RATIO and math.isfinite(widest)):
        return _Inputs(size, offset)
    return _Inputs(size, offset, ratio, (f"feature {widest:.0f}",))


def _range(signals: Signals) -> str:
    """The least and the largest input so far, as part of a sentence."""
    low, high = finite_values(signals, "x_min"), finite_values(signals, "x_max")
    return f", from {short(float(low.min()))} to {short(float(high.max()))}" if len(low) and len(high) else ""


def _first_output(signals: Signals) -> float:
    if "output_spread" not in signals:
        return math.nan
    mean = float(signals["output_mean"].values[0, 0]) if "output_mean" in signals else 0.0
    return math.hypot(float(signals["output_spread"].values[0, 0]), mean)


def _what(x: _Inputs, where: str, facts: Facts) -> str:
    if x.ratio > RATIO:
        others = f"the middle feature over {x.middle:.3g}, {x.ratio:.3g} times less"
        if math.isnan(x.middle):
            return f"{listed(x.wide, facts)} spreads {x.ratio:.3g} times as far as the middle feature"
        return f"{listed(x.wide, facts)} spreads over {x.widest:.3g} and {others}"
    if x.offset > OFFSET:
        return f"the inputs lie {x.offset:.3g} times their spread away from 0 (their size is {x.size:.3g})"
    return f"the inputs are of size {x.size:.3g}{where}, where about 1 is expected"


def _felt(q: float) -> str:
    return f", and the first layer starts with outputs of size {q:.3g}" if math.isfinite(q) else ""


RULE = Rule(
    name="unscaled-inputs",
    needs={"x_spread": 1, "x_mean": 1},
    check=check,
    source=(
        "LeCun et al. (1998), Efficient BackProp, 4.3: normalising the inputs; the factors are house rules"
    ),
)
