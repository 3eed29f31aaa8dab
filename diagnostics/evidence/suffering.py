"""Whether a training suffers, which is what turns a symptom into a warning."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostics.evidence.learning import Standing
from diagnostics.findings import Facts, Severity
from diagnostics.signals import Signals

HALFWAY = 0.5
"""Share of the trivial predictor's loss above which a training with a grave symptom counts as hampered (house
rule: a network that has taken away half of what there was to learn copes with its symptom)."""

QUARTER = 0.25
"""The same where the symptom alone is all but a mistake, such as inputs of a hundred times the usual size."""

HALF_TIME = 0.5
"""Share of the planned steps before which a training that learns is not called hampered: it is on its way."""

WELL = 0.2
"""Share of the trivial predictor's loss (of the start, where that is unknown) under which a training learns
well, whatever is wrong with it (house rule)."""


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


def learns_well(place: Standing) -> bool:
    """Whether most of what there is to learn has been learnt."""
    level = place.trivial if math.isfinite(place.trivial) else place.start
    return place.known and place.now < WELL * level


def done(signals: Signals, facts: Facts) -> float:
    """The share of the planned steps that are done; 1 where no plan is known."""
    planned = float(facts.get("total_steps", 0))
    return (signals.last_step + 1) / planned if planned > 0 else 1.0


def sibling_loss(facts: Facts) -> float:
    """The best training loss of the study's other trials, or NaN."""
    return float(facts.get("sibling_train_loss", math.nan))


def warn_if(condition: bool) -> Severity:
    """A warning when the condition holds, else information."""
    return Severity.WARNING if condition else Severity.INFO


def numbers_of(evidence: Mapping[str, float]) -> dict[str, float]:
    """The evidence that is numbers: what is unknown or infinite says nothing to a person."""
    return {name: float(value) for name, value in evidence.items() if math.isfinite(value)}
