"""When a training began to learn, as a trial in a store tells it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

RESULT = "searcher:result"
"""The attribute of a trial that holds our own record of its result."""

BEGUN = "begun_learning"
"""The fact that says after how many epochs a training was better than guessing."""


def begun_in(attributes: Mapping[str, Any]) -> float:
    """The epochs after which a trial with these attributes was better than guessing; infinity of one that
    never was, and where nobody looked."""
    facts = attributes.get(RESULT, {}).get("facts", {})
    return float(facts.get(BEGUN, math.inf))


def attributes_of(begun: float) -> dict[str, Any]:
    """The attributes of a trial that tell this, and nothing else."""
    return {RESULT: {"facts": {BEGUN: begun}}} if math.isfinite(begun) else {}
