"""A batch so small that every step is mostly chance (see `diagnostics/evidence/noise_scale.py`)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from diagnostics.evidence.learning import standing
from diagnostics.evidence.noise_scale import FAR, PAIRS, noise_scale
from diagnostics.evidence.suffering import fails, warn_if
from diagnostics.evidence.words import short
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

SMALL = 8
"""Batch size up to which noise is a likely cause of a training that fails (house rule)."""

DONE = 0.1
"""Share of the trivial predictor's loss below which the true gradient is gone and noise is all there is: no
news (house rule)."""

LARGEST = 1024
"""No batch larger than this is advised (house rule: then a smaller learning rate does the same)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A noise scale far above the batch size: each step is mostly chance."""
    found = noise_scale(signals, facts)
    if found is None or found.low < FAR * found.batch:
        return
    state = standing(signals, facts)
    if not state.known or state.now < DONE * (state.trivial if math.isfinite(state.trivial) else state.start):
        return
    suffers = found.batch <= SMALL and fails(state)
    size = min(LARGEST, 2 ** round(math.log2(max(found.low, 1.0))))
    cause = (
        f"{found.words}, {short(found.low / found.batch)} times the batch of {found.batch:.0f} or more: "
        "a single step is mostly chance"
    )
    if suffers:
        cause += f", and the training suffers: its loss is {short(state.now)} ({short(state.start)} at first)"
    remedy = (
        f"raise batch_size from {found.batch:.0f} towards {size:.0f}, or lower the learning rate "
        "(learning_rate) or let it decay (schedule), which averages over steps instead"
    )
    yield Finding("noisy-gradients", warn_if(suffers), found.step, found.evidence, cause, remedy)


RULE = Rule(
    name="noisy-gradients",
    needs={"grad_dot": PAIRS, "grad_square": PAIRS},
    check=check,
    source="McCandlish et al. (2018), An empirical model of large-batch training",
)
