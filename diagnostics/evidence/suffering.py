"""Whether a training suffers, which is what turns a symptom into a warning; and words that rules share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diagnostics.evidence.learning import Standing
from diagnostics.evidence.trends import Values
from diagnostics.findings import Severity
from diagnostics.signals import Series, Signals

HALFWAY = 0.5
"""Share of the trivial predictor's loss above which a training with a grave symptom counts as hampered (house
rule: a network that has taken away half of what there was to learn copes with its symptom)."""

QUARTER = 0.25
"""The same where the symptom alone is all but a mistake, such as inputs of a hundred times the usual size."""

HALF_TIME = 0.5
"""Share of the planned steps before which a training that learns is not called hampered: it is on its way."""

NAMED = 3
"""Layers that a sentence names before it counts the others."""


def fails(place: Standing) -> bool:
    """Whether the training is known to learn nothing, or to get worse."""
    return place.known and (place.stuck or place.worse)


def hampered(place: Standing, sibling: float = math.nan, share: float = HALFWAY, done: float = 1.0) -> bool:
    """Whether it fails, or leaves more than `share` of what there is to learn when its time is half over.

    `sibling` is the best loss of the study's other trials, where that is known: whoever comes near it is
    not hampered, however hard the data are. `done` is the share of the planned steps that are done.
    """
    if not place.known or fails(place):
        return place.known
    level = place.trivial if math.isfinite(place.trivial) else place.start
    if not level > 0 or done < HALF_TIME:
        return False
    if math.isfinite(sibling) and sibling < level and place.now - sibling < share * (level - sibling):
        return False
    return place.now > share * level


def done(signals: Signals, facts: Mapping[str, float | int | str]) -> float:
    """The share of the planned steps that are done; 1 where no plan is known."""
    planned = float(facts.get("total_steps", 0))
    return (signals.last_step + 1) / planned if planned > 0 else 1.0


def sibling_loss(facts: Mapping[str, float | int | str]) -> float:
    """The best training loss of the study's other trials, or NaN."""
    return float(facts.get("sibling_train_loss", math.nan))


def warn_if(condition: bool) -> Severity:
    """A warning when the condition holds, else information."""
    return Severity.WARNING if condition else Severity.INFO


def finite(evidence: Mapping[str, float]) -> dict[str, float]:
    """The numbers of a finding that are numbers."""
    return {name: float(value) for name, value in evidence.items() if math.isfinite(value)}


def outcome(place: Standing) -> str:
    """What the loss says, as the end of a sentence."""
    if not place.known:
        return "too early to say what it does to the loss"
    if not math.isfinite(place.now):
        return "the loss is no longer finite"
    if math.isfinite(place.trivial):
        return f"the loss is {place.now:.4g}, and {place.trivial:.4g} for guessing"
    return f"the loss is {place.now:.4g}, and was {place.start:.4g} at the start"


def listed(names: Sequence[str]) -> str:
    """Names for a sentence: the first few, and how many more there are."""
    shown = ", ".join(names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def recent(series: Series, rows: int) -> Values:
    """The median of the last rows: one number, or one a layer; NaN where no row is finite."""
    values = series.values[-rows:]
    values = np.sort(np.where(np.isfinite(values), values, np.nan), axis=0)  # NaN come last
    finite = np.sum(np.isfinite(values), axis=0, keepdims=True)
    middle = [np.clip(place, 0, len(values) - 1) for place in ((finite - 1) // 2, finite // 2)]
    low, high = (np.take_along_axis(values, place, axis=0)[0] for place in middle)
    return np.asarray((low + high) / 2, dtype=np.float64)


def begin_of_last_run(holds: NDArray[np.bool_]) -> int:
    """Where the run of true values begins that reaches the end; the length when the last is false."""
    false = np.flatnonzero(~holds)
    return int(false[-1]) + 1 if len(false) else 0
