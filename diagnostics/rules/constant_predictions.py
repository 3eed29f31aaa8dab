"""A model that answers (almost) the same whatever it is asked.

Notation
    a       spread of the answers over the samples of a batch, per due row    [n]
    size    root mean square of the answers                                   [n]
    y       spread of the numbers to predict                                  [n]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import batch_size, begin_of_last_run, recent
from diagnostics.evidence.strides import unreached_targets
from diagnostics.evidence.suffering import fails, numbers_of, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

LOGITS, APART = 0.05, 0.02
"""Spread of raw class answers below which they are the same: odds then differ by 5 %; and its share of their
size, which answers of an untrained network exceed (house rule)."""

NUMBERS = 0.02
"""Spread of predicted numbers over that of the targets below which they are the same (house rule: such
answers explain less than 0.04 % of the variance)."""

SHARE = 1e-3
"""Spread over size of the answers that counts where the targets are not known."""

AT_MEAN = 1.1
"""Times the trivial loss up to which the answers are likely the mean of the targets (house rule)."""

ROWS = 5
"""Due rows in a row in which the answers must not differ."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding when the last answers were the same for all samples and nothing is learnt."""
    a = signals["answer_spread"]
    if batch_size(signals, facts) < 2 or not _inputs_vary(signals):
        return
    limits = _limits(signals, facts)
    same = a.values < limits
    begin = begin_of_last_run(same)
    if len(a) - begin < ROWS:
        return
    place = standing(signals, facts)
    if not fails(place):
        return  # at the start a last layer of zeros answers so in any healthy training
    step = int(a.steps[begin])
    last, size = float(a.values[-1]), float(signals["answer_scale"].values[-1])
    evidence = {"answer_spread": last, "answer_scale": size, "spread_at_start": float(a.values[0])}
    cause = (
        f"the model answers the same for every input: since step {step} its answers differ by {last:.2g} "
        f"over the samples (their size is {size:.2g}; they differed by {float(a.values[0]):.2g} at the "
        f"start); {outcome(place)}"
    )
    remedy = _remedy(signals, begin, facts, place)
    yield Finding("constant-predictions", warn_if(True), step, numbers_of(evidence), cause, remedy)


def _inputs_vary(signals: Signals) -> bool:
    return "x_spread" not in signals or bool(np.any(signals["x_spread"].values[-ROWS:] > 0))


def _limits(signals: Signals, facts: Facts) -> Values:
    """Below which spread answers are the same, per row."""
    a = signals["answer_spread"]
    size = np.resize(signals["answer_scale"].values, len(a))
    if facts.get("task") == "classification" and _width(signals) > 1:
        return np.minimum(LOGITS, APART * size)
    if facts.get("task") == "regression" and "y_spread" in signals:
        return np.full(len(a), NUMBERS * float(recent(signals["y_spread"], 20)))
    return np.asarray(SHARE * size)


def _width(signals: Signals) -> float:
    return float(signals["answer_width"].values[-1]) if "answer_width" in signals else math.nan


def _remedy(signals: Signals, begin: int, facts: Facts, place: Standing) -> str:
    if facts.get("task") == "regression":
        if unreached_targets(signals, facts) is not None:
            return "standardise the targets, which are far larger than the answers, or raise learning_rate"
        lower = "lower learning_rate by a factor of 3 to 10"
        if not place.now < AT_MEAN * place.trivial:
            return f"{lower}, and look for dead or saturated units"
        return (
            "compare the shapes of answers and targets, as the loss is that of always answering the mean: "
            f"[B, 1] less [B] gives [B, B] without a word; if they fit, {lower}"
        )
    if begin:
        return (
            "look for what took the signal away (dead or saturated units, weights that decay to 0); lower "
            "learning_rate by a factor of 3 to 10"
        )
    return (
        "look for what keeps the signal from the last layer: init = kaiming_normal or xavier_uniform, "
        "fewer layers (depth), norm = batch or layer"
    )


RULE = Rule(
    name="constant-predictions",
    needs={"answer_spread": ROWS, "answer_scale": ROWS},
    check=check,
    source="house rule: answers that do not differ carry nothing about the inputs",
)
