"""Hidden activations so far out on their flat parts that hardly any gradient passes them.

Notation
    s       mean local derivative of a saturating activation over its largest one, per due row  [n, sites]
    g       gradient with respect to what a layer puts out, in each due row                      [n, layers]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import begin_of_last_run, recent
from diagnostics.evidence.suffering import done, fails, hampered, numbers_of, sibling_loss, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import layer_words, listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Series, Signals

FLAT = 0.05
"""Share of its largest derivative below which an activation is saturated (DIAGNOSES.md)."""

ROWS = 3
"""Due rows that the median is taken over, and that there must be."""

WIDE = 0.5
"""Share of the sites that must be saturated before a training that does learn a little is warned of."""

FALLEN = 0.1
"""What is left of a layer's gradient, compared with the start, that the sentence calls fallen."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding for all hidden sites that are saturated now."""
    s = signals["slope_share"]
    now = recent(s, ROWS)
    flat = np.flatnonzero(now < FLAT)
    if not len(flat):
        return
    place = standing(signals, facts)
    names = tuple(s.layers[i] for i in flat)
    worst = flat[int(np.argmin(now[flat]))]
    begin = begin_of_last_run(~(s.values[:, worst] >= FLAT))
    step = int(s.steps[min(begin, len(s) - 1)])
    wide = len(flat) >= WIDE * len(s.layers)
    harm = fails(place) or (wide and hampered(place, sibling_loss(facts), done=done(signals, facts)))
    evidence = {
        "slope_share": float(now[worst]),
        "slope_share_at_start": float(s.values[0, worst]),
        "saturated_sites": float(len(flat)),
        "sites": float(len(s.layers)),
    }
    fall = _gradient_left(signals)
    evidence["first_gradient_left"] = fall
    cause = f"{_what(names, now[flat], s, step, facts)}{_fallen(fall)}; {outcome(place)}"
    yield Finding(
        "saturated-activations",
        warn_if(harm),
        step,
        numbers_of(evidence),
        cause,
        _remedy(signals, step),
        names,
    )


def _gradient_left(signals: Signals) -> float:
    """The first layer's gradient now, as a share of that at the start; NaN where it is unknown."""
    if "output_grad" not in signals or len(signals["output_grad"]) < ROWS + 1:
        return float("nan")
    g = signals["output_grad"]
    first = float(g.values[0, 0])
    return float(recent(g, ROWS)[0]) / first if first > 0 else float("nan")


def _what(names: tuple[str, ...], now: Values, s: Series, step: int, facts: Facts) -> str:
    worst = layer_words(names[int(np.argmin(now))], facts)
    since = "from the start" if step == int(s.steps[0]) else f"since step {step}"
    what = (
        f"{len(names)} of {len(s.layers)} hidden activations are saturated: the slope of {worst} is "
        f"{100 * float(np.min(now)):.1f} % of its largest, {since}"
    )
    return f"{what} (all: {listed(names, facts)})" if len(names) > 1 else what


def _fallen(fall: float) -> str:
    return f", and the first layer's gradient is {fall:.1g} of what it was" if fall < FALLEN else ""


def _remedy(signals: Signals, step: int) -> str:
    if step <= 1:
        return (
            "start smaller: init = xavier_uniform (gain 1), inputs with scaling = standardize; or norm = "
            "batch or layer before the activation, or activation = relu"
        )
    rates = signals["learning_rate"].values if "learning_rate" in signals else np.array([])
    top = float(np.max(rates, initial=0.0))
    lower = f" from {top:.2g} to about {top / 10:.1g}" if top > 0 else " by a factor of 10"
    return (
        f"lower learning_rate{lower}, or put norm = batch or layer before the activation, or take "
        "activation = relu"
    )


RULE = Rule(
    name="saturated-activations",
    needs={"slope_share": ROWS},
    check=check,
    source=(
        "Glorot and Bengio (2010), Understanding the difficulty of training deep feedforward neural networks"
    ),
)
