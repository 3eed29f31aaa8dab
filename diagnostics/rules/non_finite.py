"""A loss or weights that are NaN or infinite: the training is lost.

Notation
    u       norm of an update over the norm of the weights, in the last rows before          [rows]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.rows import finite
from diagnostics.evidence.steps import rate_at, update_ratios
from diagnostics.evidence.suffering import numbers_of
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Series, Signals

WEIGHTS = ("total_weight_norm", "total_update_norm", "weight_norm", "update_norm", "vector_weight_norm")
"""Signals that cannot come back once they are not finite. Gradients may: a scaler of half precision
skips such a step."""

HEALTHY = 0.01
"""Update over weights that a lower learning rate should bring (ten times the usual 1e-3, Karpathy (2019),
A recipe for training neural networks: an upper edge, not an aim)."""

LARGE = 0.1
"""Update over weights from which a step counts as large (house rule: ten such steps replace the weights)."""

CUTS = (3.0, 1000.0)
"""The least and the most that a learning rate is advised to be divided by (house rule)."""

RECOVERED = 20
"""Finite losses on end after which a step that was not finite did no harm: its batch had a fault, or a scaler
of half precision left it out (house rule)."""

GROWN = 3.0
"""Times its start that the loss must have reached to be named as what led to it (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """The first step whose training loss or weights were not finite, and what led to it."""
    loss = signals["loss"]
    step, place = _first(signals)
    if step == NEVER:
        return
    known = int(facts.get("non_finite_step", -1))
    seen = 0 <= known <= signals.last_step and step - RECOVERED <= known <= step
    origin = str(facts.get("non_finite_origin", "")) if seen else ""
    step = known if seen else step
    before = loss.values[(loss.steps < step) & np.isfinite(loss.values)]
    evidence = {"step": float(step)}
    if len(before):
        evidence |= {"loss_at_start": float(before[0]), "loss_before": float(before[-1])}
    ratio, rate = _ratio_before(signals, step), rate_at(signals, facts, step)
    evidence |= numbers_of({"update_ratio_before": ratio, "learning_rate": rate})
    bad_inputs = _bad_inputs(signals, step)
    if bad_inputs:
        evidence["bad_inputs"] = bad_inputs
    of_data = origin.startswith("input") or bool(bad_inputs)
    grew = len(before) > 1 and float(np.max(before)) > GROWN * abs(float(before[0]))
    cause = _cause(step, origin or place, before, grew, ratio)
    remedy = _remedy(origin, of_data, len(before) < 2, ratio, rate, facts)
    layer, recovered = _layer(origin), _has_recovered(signals)
    cause = f"{cause}; the training went on all the same" if recovered else cause
    severity = Severity.INFO if recovered else Severity.FATAL
    yield Finding("non-finite", severity, step, evidence, cause, remedy, (layer,) if layer else ())


def _has_recovered(signals: Signals) -> bool:
    """Whether the weights are in order, and the losses have been for a while."""
    sound = all(_first_bad(signals[name]) == NEVER for name in WEIGHTS if name in signals)
    last = signals["loss"].values[-RECOVERED:]
    return sound and len(last) == RECOVERED and bool(np.all(np.isfinite(last)))


NEVER = 2**62
"""A step that does not come."""


def _first(signals: Signals) -> tuple[int, str]:
    """The first step at which something that does not come back is not finite, and what that is."""
    found = [(_begin_of_the_last(signals["loss"]), "the loss")]
    for name in WEIGHTS:
        if name in signals:
            found.append((_first_bad(signals[name]), "the weights"))
    return min(found, key=lambda entry: entry[0])


def _begin_of_the_last(loss: Series) -> int:
    """The first step that was not finite since the losses were last in order for `RECOVERED` rows."""
    bad = np.flatnonzero(~np.isfinite(loss.values))
    if not len(bad):
        return NEVER
    begins = np.flatnonzero(np.diff(bad) > RECOVERED)
    return int(loss.steps[bad[begins[-1] + 1 if len(begins) else 0]])


def _first_bad(series: Series) -> int:
    bad = ~np.isfinite(series.values)
    rows = np.flatnonzero(bad.any(axis=1) if bad.ndim > 1 else bad)
    return int(series.steps[rows[0]]) if len(rows) else NEVER


def _ratio_before(signals: Signals, step: int) -> float:
    """The largest update ratio of any matrix in the last two rows before `step`; NaN where none is known."""
    rows = update_ratios(signals)
    u = finite(rows.values[0][rows.steps < step][-2:])
    return float(np.max(u)) if len(u) else math.nan


def _bad_inputs(signals: Signals, step: int) -> float:
    """Entries of the last batch looked at that were not finite, inputs and targets together."""
    found = 0.0
    for name in ("x_bad", "y_bad"):
        if name in signals:
            rows = signals[name].until(step).values
            found += float(rows[-1]) if len(rows) and np.isfinite(rows[-1]) else 0.0
    return found


def _layer(origin: str) -> str:
    """The layer or parameter an origin such as `weight hidden1.linear.weight and 2 more` names."""
    for start in ("weight ", "gradient of ", "output of ", "input of ", "activation of "):
        if origin.startswith(start):
            return origin.removeprefix(start).split(" ")[0]
    return ""


def _cause(step: int, place: str, before: np.ndarray, grew: bool, ratio: float) -> str:
    led = f" after updates of {ratio:.2g} of the weights" if ratio > LARGE else ""
    what = f"{place} was not finite at step {step}" if place.startswith("the loss") else ""
    what = what or f"not finite at step {step}: {place}"
    if not len(before):
        return f"{what}, from the first step on"
    if grew:
        return f"the loss rose from {before[0]:.4g} to {np.max(before):.4g}{led}; {what}"
    return f"{what}; the loss just before was {before[-1]:.4g}{led}"


def _remedy(origin: str, of_data: bool, at_once: bool, ratio: float, rate: float, facts: Facts) -> str:
    if of_data:
        where = origin.partition(": ")[2] or "NaN or infinity in the batch"
        return f"clean the data: {where}; drop or fill these values before training"
    if at_once:
        return (
            "look at the scale of the initialisation and of the inputs (init, scaling), and at logarithms, "
            "roots and divisions in the loss"
        )
    cut = float(np.clip(ratio / HEALTHY, *CUTS)) if math.isfinite(ratio) else 10.0
    advice = _lower(rate, cut) if math.isfinite(rate) else f"lower the learning rate {cut:.0f} times"
    return advice if "clip_norm" in facts else f"{advice}, or clip the gradient (clip_norm = 1)"


def _lower(rate: float, cut: float) -> str:
    magnitude = 10 ** math.floor(math.log10(rate / cut))
    return f"lower the learning rate from {rate:.2g} to about {round(rate / cut / magnitude) * magnitude:.2g}"


RULE = Rule(
    name="non-finite",
    needs={"loss": 1},
    check=check,
    source="house rule: arithmetic does not come back from NaN",
)
