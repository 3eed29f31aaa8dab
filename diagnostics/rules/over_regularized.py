"""A penalty that outweighs the data: the weights collapse towards zero.

Notation
    w, g     norms of all weights and of their gradient                       [due rows]
    left     norm of a matrix over its norm at the start, in the middle matrix [due rows]
    D        weight decay
    pull     D w / g, the penalty's gradient over the data's, in the middle of the early rows; for a decoupled
             decay the sum of learning rate times D over the steps: alone it leaves exp(-pull) of the weights
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import Standing, standing
from diagnostics.evidence.rows import common_rows, middle, ratio, typical
from diagnostics.evidence.steps import EARLY, rate_at
from diagnostics.evidence.suffering import HALF_TIME, done, hampered, learns_well, numbers_of, sibling_loss
from diagnostics.evidence.words import one_digit, outcome, short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

COLLAPSED = 0.3
"""Share of their norm at the start to which the weights must have shrunk (house rule: healthy decay takes
a few per cent, and learning makes most matrices larger)."""

ROWS = 4
"""Rows before anything is said."""

PULL = 0.3
"""Penalty over data gradient from which the penalty can win: it pulls the same way at every step, the data
do not (house rule). Below it, weights shrink because they get no gradient, for another reason."""

EQUAL = 0.5
"""Penalty over data gradient at which the two are about equally strong (house rule)."""

SHRUNK = 0.7
"""Share of their norm to which such a penalty must at least have brought the weights (house rule)."""

ALONE = 0.7
"""The same for a decoupled decay, which alone would have halved the weights."""

ABOVE = 2.0
"""Times the trivial predictor's loss from which the first loss may hold a penalty of its own (house rule)."""

MILD = 1e-4
"""A weight decay that suits most trainings (Krizhevsky et al. (2012) took 5e-4)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Weights that shrink to a small share of their start in a training that learns little or nothing."""
    rows = common_rows(signals, "weight_norm")
    if len(rows) < ROWS:
        return
    w = rows.values[0]
    left = middle(ratio(w, np.broadcast_to(w[0], w.shape)))
    if not left[-1] < SHRUNK:
        return
    state = standing(signals, facts)
    decay = float(facts.get("weight_decay", 0.0))
    pull = _pull(signals, facts, decay)
    by_decay = pull > (ALONE if facts.get("decoupled_decay", 0) else PULL)
    bar = COLLAPSED if left[-1] < COLLAPSED else SHRUNK
    if bar == COLLAPSED and hampered(state, sibling_loss(facts)):
        sure = by_decay or _may_hold_penalty(signals, state, decay)
    else:  # less is seen of the outcome, so that the penalty must be seen to be as strong as the data
        late = done(signals, facts) >= HALF_TIME
        coupled = not facts.get("decoupled_decay", 0)
        sure = coupled and pull > EQUAL and late and state.known and not learns_well(state)
    if not sure:
        return
    evidence = {"weights_left": float(left[-1]), "weight_decay": decay, "pull": pull, "loss_now": state.now}
    setting = f"weight_decay {short(decay)}" if by_decay else "a penalty in the loss (l1, or one of your own)"
    cause = (
        f"{setting} outweighs the data: the weights shrank to {short(float(left[-1]))} of their "
        f"start in the middle matrix; {outcome(state)}"
    )
    small = w[-1] < bar * w[0]
    layers = tuple(name for name, bad in zip(rows.layers, small, strict=True) if bad)
    step = int(rows.steps[np.argmax(left < bar)])
    remedy = _remedy(decay if by_decay else 0.0)
    yield Finding("over-regularized", Severity.WARNING, step, numbers_of(evidence), cause, remedy, layers)


def _pull(signals: Signals, facts: Facts, decay: float) -> float:
    if decay <= 0:
        return math.nan
    if facts.get("decoupled_decay", 0):
        last = signals.last_step
        if "learning_rate" not in signals:
            return decay * rate_at(signals, facts, last) * last
        rate = signals["learning_rate"]
        return decay * float(np.sum(rate.values * np.diff(rate.steps, prepend=-1)))
    rows = common_rows(signals, "total_weight_norm", "total_grad_norm")
    early = rows.steps < EARLY
    return typical(ratio(decay * rows.values[0][early], rows.values[1][early]))


def _may_hold_penalty(signals: Signals, state: Standing, decay: float) -> bool:
    """Whether the loss may hold a penalty beside the data's part: nothing is known of it, or it is larger."""
    first = float(signals["loss"].values[0])
    return decay <= 0 or first > ABOVE * state.trivial


def _remedy(decay: float) -> str:
    if decay <= 0:
        return "make the penalty in the loss (l1) a hundred times smaller, or leave it out"
    return f"lower weight_decay from {short(decay)} to about {short(min(MILD, one_digit(decay / 100)))}"


RULE = Rule(
    name="over-regularized",
    needs={"weight_norm": ROWS, "loss": 2},
    check=check,
    source="house rule from Krogh and Hertz (1991), A simple weight decay can improve generalization",
)
