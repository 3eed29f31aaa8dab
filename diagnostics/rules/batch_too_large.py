"""A batch so large that most of its samples repeat each other (see `diagnostics/evidence/noise_scale.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from diagnostics.evidence.learning import standing
from diagnostics.evidence.noise_scale import FAR, PAIRS, noise_scale
from diagnostics.evidence.suffering import fails
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

SMALLEST = 8
"""No batch smaller than this is advised (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A noise scale far below the batch size: most samples of a batch say what the others said."""
    found = noise_scale(signals, facts)
    if found is None or not found.high < found.batch / FAR or fails(standing(signals, facts)):
        return  # and of a training that learns nothing, something else is to be said
    size = max(SMALLEST, 2 ** round(math.log2(max(found.high, 1.0))))
    if size >= found.batch:
        return
    cause = f"{found.words}, the batch has {found.batch:.0f}: most samples say what the others said already"
    remedy = (
        f"lower batch_size from {found.batch:.0f} to about {size:.0f} for more steps from the same samples; "
        "on hardware that is not busy, a large batch costs nothing"
    )
    yield Finding("batch-too-large", Severity.INFO, found.step, found.evidence, cause, remedy)


RULE = Rule(
    name="batch-too-large",
    needs={"grad_dot": PAIRS, "grad_square": PAIRS},
    check=check,
    source="McCandlish et al. (2018), An empirical model of large-batch training",
)
