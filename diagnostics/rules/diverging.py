"""A loss that left its level upwards and does not come back.

Notation
    l       training loss per step                                 [n]
    m       medians of blocks of BLOCK steps                       [n // BLOCK]
    start   loss of the first step
    level   the higher of `start` and the loss of the trivial predictor, where that is known
    rise    first block of the last run above the bar: level + (FACTOR - 1) max(|level|, NOISE noise of m)
    best    lowest block median before the rise
    width   blocks from the last one near `best` to the rise
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Series, Signals
from diagnostics.trends import Values, mann_kendall, noise, theil_sen

BLOCK = 10
"""Steps in a block: house rule, long enough for a median that one bad batch cannot move."""

NOISE = 6.0
"""How many deviations of the block medians count as a jump (house rule: 6 sigma, no false alarm in
a million blocks of independent noise)."""

FACTOR = 1.5
"""How far above its level at the start the loss must be (house rule: a catapult or a warm-up stays
near the start; twice the start's loss over many blocks does not)."""

CONFIRM = 6
"""Blocks that must all lie above the bar before a training is given up; and never fewer than the
blocks the rise took (DIAGNOSES.md: no recovery within twice the width of the jump)."""

FALLING = -1.64
"""Mann-Kendall score below which the loss counts as falling (one-sided 5 %)."""

RETURN = 2.0
"""A falling loss is on its way back when its slope would bring it below the bar in so many times the
blocks it has spent above (house rule: chance falls are too slow, catapults much faster)."""

REMEDY = "lower the learning rate by a factor of 3 to 10, add warm-up, or clip the gradient"


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A rise of the loss above its level at the start that was confirmed and is not falling again."""
    loss = signals["loss"]
    m = _block_medians(loss)
    if not np.all(np.isfinite(m)):
        return  # a case for the rule of non-finite values
    start = float(loss.values[0])
    level = max(start, float(facts.get("trivial_loss", start)))
    bar = level + (FACTOR - 1) * max(abs(level), NOISE * noise(m))
    rise = _start_of_last_run(m > bar)
    before, tail = m[:rise], m[rise:]
    best = float(np.min(before, initial=start))
    calm = np.flatnonzero(before <= best + NOISE * noise(before))
    width = rise - int(calm[-1]) if len(calm) else 1
    if len(tail) < max(CONFIRM, 2 * width) or _comes_back(tail, bar):
        return
    step = int(loss.steps[rise * BLOCK])
    now = float(np.median(tail[-CONFIRM:]))
    evidence = {
        "loss_at_start": start,
        "lowest_loss": best,
        "loss_now": now,
        "steps_above": float(len(tail) * BLOCK),
    }
    cause = (
        f"the loss left its level at step {step}: it was {start:.4g} at the start and {best:.4g} at best, "
        f"and has stayed near {now:.4g} for {len(tail) * BLOCK} steps"
    )
    yield Finding("diverging", Severity.FATAL, step, evidence, cause, REMEDY)


def _comes_back(tail: Values, bar: float) -> bool:
    window = tail[-2 * CONFIRM :]
    reached = float(np.median(window)) + theil_sen(window) * RETURN * len(tail)
    return mann_kendall(window) < FALLING and reached < bar


def _block_medians(loss: Series) -> Values:
    n = len(loss) // BLOCK
    values = np.where(np.isfinite(loss.values), loss.values, np.inf)[: n * BLOCK]
    return np.asarray(np.median(values.reshape(n, BLOCK), axis=1), dtype=np.float64)


def _start_of_last_run(above: NDArray[np.bool_]) -> int:
    """Where the run of true values begins that reaches the end; the length when the last is false."""
    below = np.flatnonzero(~above)
    return int(below[-1]) + 1 if len(below) else 0


RULE = Rule(
    name="diverging",
    needs={"loss": BLOCK * CONFIRM},
    check=check,
    source="house rule after Lewkowycz et al. (2020), The large learning rate phase: a catapult comes back",
)
