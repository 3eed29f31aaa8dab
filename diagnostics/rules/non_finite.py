"""A loss that is NaN or infinite: the weights are, or are about to be, lost."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

REMEDY = (
    "lower the learning rate or clip the gradient; if it happens in the first steps, check the inputs "
    "for NaN and the initialisation for its scale"
)


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """The first step whose training loss was not finite."""
    loss = signals["loss"]
    bad = np.flatnonzero(~np.isfinite(loss.values))
    if not len(bad):
        return
    first = int(bad[0])
    step = int(loss.steps[first])
    before = loss.values[:first]
    evidence = {"step": float(step), "loss_before": float(before[-1])} if first else {"step": float(step)}
    if first and float(before[-1]) > float(before[0]):
        evidence["loss_at_start"] = float(before[0])
        cause = f"the loss rose from {before[0]:.4g} to {before[-1]:.4g} and was not finite at step {step}"
    elif first:
        cause = f"the loss was {before[-1]:.4g} and one step later, at step {step}, not finite"
    else:
        cause = f"the loss was not finite from the first step on (step {step})"
    yield Finding("non-finite", Severity.FATAL, step, evidence, cause, REMEDY)


RULE = Rule(
    name="non-finite",
    needs={"loss": 1},
    check=check,
    source="house rule: arithmetic does not come back from NaN",
)
