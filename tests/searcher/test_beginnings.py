"""Whether a training began to learn, by its facts and its outcome."""

from __future__ import annotations

import math

import pytest

from searcher.beginnings import (
    BEGUN,
    DOOMED,
    INFEASIBLE,
    NEVER,
    RESULT,
    attributes_of,
    begun_at,
    came_to_learn,
    learnt_in,
)
from searcher.trial import Outcome


def test_facts_say_when_a_training_began() -> None:
    assert [begun_at(facts) for facts in ({}, {BEGUN: NEVER}, {BEGUN: 0.0}, {BEGUN: 2})] == [
        None,
        math.inf,
        0,
        2,
    ]


@pytest.mark.parametrize(
    ("begun", "outcome", "learnt"),
    [
        (1.5, "completed", True),
        (1.5, "infeasible", True),
        (1.5, "doomed", False),
        (math.inf, "pruned", False),
        (math.inf, "infeasible", None),
        (None, "doomed", None),
    ],
)
def test_who_was_stopped_for_something_else_may_have_learnt_yet(
    begun: float | None, outcome: str, learnt: bool | None
) -> None:
    assert came_to_learn(begun, outcome) is learnt
    known = {} if begun is None else {BEGUN: NEVER if math.isinf(begun) else begun}
    assert learnt_in({RESULT: {"outcome": outcome, "facts": known}}) is learnt
    assert learnt_in(attributes_of(learnt)) is learnt


def test_outcomes_have_the_names_that_records_have() -> None:
    assert [Outcome.DOOMED.value, Outcome.INFEASIBLE.value] == [DOOMED, INFEASIBLE]
