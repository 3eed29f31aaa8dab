"""Whether a training began to learn, as the facts of its result tell it, and a trial in a store."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RESULT = "searcher:result"
"""The attribute of a trial that holds our own record of its result."""

BEGUN = "begun_learning"
"""The fact that says after how many epochs a training was better than guessing. Without it nobody could
tell: after too few steps, or where it is not known how well guessing does."""

NEVER = "never"
"""What it says of one that was not, up to its end."""

DOOMED, INFEASIBLE = "doomed", "infeasible"
"""The outcomes, in its record, of a trial that cannot recover, and of one that violates a constraint of the
study file, which may be stopped before it has begun to learn."""


def begun_at(facts: Mapping[str, Any]) -> float | None:
    """The epochs after which a training with these facts was better than guessing; infinity when it never
    was, None when nobody could tell."""
    known = facts.get(BEGUN)
    return math.inf if known == NEVER else None if known is None else float(known)


def came_to_learn(begun: float | None, outcome: str) -> bool | None:
    """Whether a trial that ended so had begun to learn, and was not doomed; None when nobody could tell."""
    if begun is None or (math.isinf(begun) and outcome == INFEASIBLE):
        return None
    return math.isfinite(begun) and outcome != DOOMED


def learnt_in(attributes: Mapping[str, Any]) -> bool | None:
    """The same, of the trial with these attributes."""
    record = attributes.get(RESULT, {})
    return came_to_learn(begun_at(record.get("facts", {})), record.get("outcome", ""))


def attributes_of(learnt: bool | None) -> dict[str, Any]:
    """Attributes that tell this, and nothing else."""
    return {} if learnt is None else {RESULT: {"facts": {BEGUN: 0.0 if learnt else NEVER}}}
