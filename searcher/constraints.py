"""What a study file demands of a trial: `parameters <= 1e6`. A name, a relation and a number; pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

FORM = re.compile(r"(?P<name>[^<>=]+?)\s*(?P<relation><=|>=|<|>)\s*(?P<bound>[^<>=\s]+)")

LEAST = 1e-9
"""By how much a value violates `<` or `>` that lies exactly on the bound (house rule: hardly at all)."""

MOST = 1.0
"""By how much a value violates that is not a number, or was never said."""


@dataclass(frozen=True)
class Constraint:
    """What a trial has to keep: `name` is a figure, a setting or a metric of it."""

    name: str
    relation: str
    bound: float
    shown: str  # the bound as it was written

    def __str__(self) -> str:
        return f"{self.name} {self.relation} {self.shown}"

    @property
    def is_upper(self) -> bool:
        """Whether the values have to stay below the bound."""
        return self.relation.startswith("<")

    def amount(self, value: float) -> float:
        """How far a value lies beyond the bound, from -2 to 2: above 0 it violates it, else it keeps it.

        The difference counts by the larger of the two, so that constraints on figures of all sizes compare.
        """
        if math.isnan(value):
            return MOST
        if math.isinf(value):
            return MOST if (value > 0) is self.is_upper else -MOST
        size = max(abs(value), abs(self.bound))
        beyond = (value - self.bound) / size if size else 0.0
        beyond = beyond if self.is_upper else -beyond
        return LEAST if beyond == 0 and len(self.relation) == 1 else beyond + 0.0

    def sentence(self, value: float) -> str:
        """That a value violates it, for people."""
        return f"violates {self}: it has {_number(value)}"


def parse_constraint(text: str) -> Constraint:
    """Raises: ValueError for what is no constraint, with an example of one."""
    found = FORM.fullmatch(text.strip())
    try:
        bound = float(found["bound"]) if found is not None else math.nan
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise ValueError(
            f"{text!r} is no constraint; write a name, one of <=, <, >=, > and a number, such as "
            "'parameters <= 1e6'"
        )
    return Constraint(found["name"].strip(), found["relation"], bound, found["bound"])


def parse_constraints(texts: Sequence[str]) -> list[Constraint]:
    """Raises: ValueError for one that is none, or stands there twice."""
    found = [parse_constraint(text) for text in texts]
    shown = [str(constraint) for constraint in found]
    if twice := [text for text in dict.fromkeys(shown) if shown.count(text) > 1]:
        raise ValueError(f"{twice[0]!r} stands there twice; leave one out")
    return found


def _number(value: float) -> str:
    """`1,203,466`, `0.02134`."""
    if math.isfinite(value) and float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"
