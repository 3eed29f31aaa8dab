"""How a signal changes along the depth of a network at the first step: what its initialisation makes of it.

Notation
    x       root mean square of the inputs
    q       root mean square of what each hidden layer puts out              [layers]
    gain    exp(median slope of log(x, q) over the layers): what one layer multiplies the signal with
    drift   gain^layers
    h       spread over the samples of the last hidden layer: s sqrt(K) / |W|, where s is the spread of the
            answers, W the head's weight and K its outputs; biases add nothing that varies with a sample
    r       |U| / (2 sqrt(n)) of the recurrent weight U of n units and at most 4 gates: the least that the
            spectral radius of a random gate is
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from diagnostics.evidence.dropping import dropout_rate
from diagnostics.evidence.rows import common_rows
from diagnostics.evidence.trends import theil_sen
from diagnostics.findings import Facts
from diagnostics.signals import Signals

GAIN = 4.0
"""Factor per layer, up or down, that counts as drift (house rule: torch's own start of a linear layer gives
1/2.4 under relu, Xavier's 1/1.4; a layer of 128 units with std 1 gives 8, one with std 0.01 gives 1/12)."""

DRIFT = 100.0
"""Factor over all hidden layers together, up or down (house rule)."""

FEWEST = 8
"""Samples in the first batch for a spread over them."""

RECURRENT = 1e-3
"""What may be left after recurrent layers: torch's own start leaves 1/50 (house rule)."""

BOUNDED = ("Sigmoid", "Tanh", "Softmax", "LogSoftmax", "Softsign", "Hardsigmoid", "Hardtanh")
"""Last modules after which the spread of the answers says little about the layers."""

ROUNDING = 1e-3
"""How far the sum of shares may be from 1, in half precision too."""

THINNED = 0.5
"""Dropout rate above which answers differ by chance more than by sample."""

INPUTS = 10.0
"""Root mean square of inputs that are far off unit scale."""

LARGEST = 300.0
"""Logarithm of the largest factor that is told: larger ones are no numbers any more."""


@dataclass(frozen=True)
class Depth:
    """The logarithm of the factor per hidden layer, the number of layers, and those that are far off."""

    log_gain: float = 0.0
    layers: int = 1
    off: tuple[str, ...] = ()

    @property
    def gain(self) -> float:
        """What one layer multiplies the signal with."""
        return math.exp(max(-LARGEST, min(LARGEST, self.log_gain)))

    @property
    def log_drift(self) -> float:
        """The same of all hidden layers, as a logarithm."""
        return self.log_gain * self.layers

    @property
    def drift(self) -> float:
        """The same of all hidden layers."""
        return math.exp(max(-LARGEST, min(LARGEST, self.log_drift)))

    @property
    def drifts(self) -> bool:
        """Whether the signal grows or dies geometrically."""
        steep = abs(self.log_gain) > math.log(GAIN) and abs(self.log_drift) > math.log(DRIFT)
        return steep or self.is_extreme

    @property
    def is_extreme(self) -> bool:
        """Whether hardly anything is left, or very much, however many layers it took."""
        return abs(self.log_drift) > 2 * math.log(DRIFT)


def along_depth(signals: Signals, facts: Facts) -> Depth:
    """How the signal changes along the hidden layers: as a whole, or what is left of it."""
    whole = all_of_it(signals, facts)
    faded = what_varies(signals, facts)
    return faded if faded.drifts and not whole.drifts else whole


def what_varies(signals: Signals, facts: Facts) -> Depth:
    """How much of the samples' differences is left after the hidden layers."""
    head = f"{facts.get('head_layer', '')}.weight"
    needed = ("answer_spread", "answer_width", "weight_norm", "x_spread", "output_spread")
    if not all(name in signals and signals[name].steps[0] == 0 for name in needed) or _is_cut_off(signals):
        return Depth()
    if dropout_rate(signals, facts) > THINNED:
        return Depth()
    if (
        str(facts.get("head", "Linear")) in BOUNDED
        or _sum_to_one(signals)
        or not is_scaled(input_size(signals))
    ):
        return Depth()
    size, names = signals["weight_norm"], signals["output_spread"].layers
    few = "batch_size" in signals and signals["batch_size"].values[0] < FEWEST
    if few or len(names) < 2 or head not in size.layers or "embed" in names[0].lower():
        return Depth()
    w = float(size.values[0, size.layers.index(head)])
    s, k = float(signals["answer_spread"].values[0]), float(signals["answer_width"].values[0])
    x = float(signals["x_spread"].values[0])
    if not all(0 < value < math.inf for value in (w, s, k, x)):
        return Depth()
    left = math.log(s) + math.log(k) / 2 - math.log(w) - math.log(x)
    if any("weight_hh" in name for name in size.layers) and left > math.log(RECURRENT):
        return Depth()  # gates and states of recurrent layers start with little by design
    return Depth(left / (len(names) - 1), len(names) - 1)


def all_of_it(signals: Signals, facts: Facts) -> Depth:
    """How the size of everything the layers put out changes along the depth."""
    if "output_spread" not in signals or signals["output_spread"].steps[0] > 0:
        return Depth()
    both = common_rows(signals, "output_spread", "output_mean")
    rows = both if len(both) else common_rows(signals, "output_spread")
    if not rows.layers:
        return Depth()
    q = np.hypot.reduce([values[0] for values in rows.values], axis=0)
    names = list(rows.layers)
    head = str(facts.get("head_layer", names[-1]))
    kept = [i for i, name in enumerate(names) if name != head and 0 < q[i] < math.inf]
    x = input_size(signals)
    known = is_scaled(x) and x > 0 and "embed" not in names[0].lower()
    logs = np.log(np.array(([x] if known else []) + [float(q[i]) for i in kept]))
    if len(logs) < 2:
        return Depth()
    labels, steps = [names[i] for i in kept][1 - len(logs) :], np.diff(logs)
    off = tuple(name for name, step in zip(labels, steps, strict=True) if abs(step) > math.log(GAIN))
    return Depth(theil_sen(logs), len(steps), off)


def recurrent_gain(signals: Signals) -> tuple[float, str]:
    """The largest r of the recurrent weights at the first step, and its weight's name; 0 where it is
    unknown."""
    if "weight_norm" not in signals or signals["weight_norm"].steps[0] > 0 or "site_units" not in signals:
        return 0.0, ""
    size, units = signals["weight_norm"], signals["site_units"]
    n = float(np.max(units.values[0]))
    found = [
        (float(norm) / (2 * math.sqrt(n)), name)
        for name, norm in zip(size.layers, size.values[0], strict=True)
        if "weight_hh" in name and n > 0 and math.isfinite(norm)
    ]
    return max(found, default=(0.0, ""))


def input_size(signals: Signals) -> float:
    """The root mean square of the first inputs; NaN where they are unknown."""
    if "x_spread" not in signals or "x_mean" not in signals:
        return math.nan
    return math.hypot(float(signals["x_spread"].values[0]), float(signals["x_mean"].values[0]))


def is_scaled(x: float) -> bool:
    """Whether inputs of this size are near unit scale, or of unknown size."""
    return not (x > INPUTS or x < 1 / DRIFT)


def _sum_to_one(signals: Signals) -> bool:
    """Whether the first answers are shares, as a softmax gives them: they differ little by nature."""
    if "answer_sum_gap" not in signals or "answer_min" not in signals or "answer_width" not in signals:
        return False
    several = float(signals["answer_width"].values[0]) > 1
    shares = (
        float(signals["answer_sum_gap"].values[0]) < ROUNDING and float(signals["answer_min"].values[0]) >= 0
    )
    return several and shares


def _is_cut_off(signals: Signals) -> bool:
    """Whether units that are dead or copies of each other keep the samples' differences back."""
    dead = "zero_share" in signals and bool(np.any(signals["zero_share"].values[0] >= 1.0))
    alike = "row_spread" in signals and bool(np.any(signals["row_spread"].values[0, :-1] < 1e-3))
    return dead or alike
