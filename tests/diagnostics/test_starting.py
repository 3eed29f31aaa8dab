"""Whether a training has begun to learn, and whether it is about to."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from diagnostics import Signals
from diagnostics.evidence.starting import FEWEST, has_begun, soon_begins

TRIVIAL = 2.3
FACTS = {"trivial_loss": TRIVIAL}


def course(losses: Sequence[float]) -> Signals:
    return Signals.of({"loss": (range(len(losses)), losses)})


def test_the_newest_third_of_the_steps_says_it_by_its_middle() -> None:
    assert has_begun(course([TRIVIAL] * 8 + [1.0] * 4), FACTS) is True
    assert has_begun(course([TRIVIAL] * 11 + [1.0]), FACTS) is False, "one of the newest four"
    assert has_begun(course([1.0] * 8 + [TRIVIAL] * 4), FACTS) is False, "it was better once, and is no more"
    assert has_begun(course([TRIVIAL] * 8 + [0.98 * TRIVIAL] * 4), FACTS) is False, "0.97 is the bound"
    assert has_begun(course([9.0] * 20 + [1.0, 50.0] + [1.0] * 8), FACTS) is True, "one spike is no matter"


def test_an_evaluation_below_it_says_so_too() -> None:
    hard = course([2.0 * TRIVIAL] * 12)
    assert has_begun(hard.extend(Signals.of({"val_loss": ([11], [1.0])})), FACTS) is True
    assert has_begun(hard.extend(Signals.of({"train_loss": ([11], [0.98 * TRIVIAL])})), FACTS) is False


def test_nothing_is_said_of_few_steps_or_where_the_loss_of_guessing_is_unknown() -> None:
    assert has_begun(course([1.0] * (FEWEST - 1)), FACTS) is None
    assert has_begun(course([1.0, math.nan]), FACTS) is has_begun(course([math.inf]), FACTS) is False
    assert not soon_begins(course([math.inf]), FACTS)
    assert has_begun(course([1.0] * FEWEST), FACTS) is True
    assert has_begun(course([1.0] * 50), {}) is None
    assert has_begun(course([1.0] * 50), {**FACTS, "loss_name": "hinge"}) is None
    assert has_begun(Signals(), FACTS) is None


def test_losses_that_are_not_finite_are_no_beginning() -> None:
    assert has_begun(course([math.nan] * 12), FACTS) is False
    assert not soon_begins(course([math.nan] * 12), FACTS)
    assert not soon_begins(course([math.inf] * 6 + [9.0] * 6), FACTS)


def test_thinned_rows_are_counted_by_their_steps() -> None:
    steps = [*range(0, 60), *range(60, 160, 20)]
    losses = [TRIVIAL if step < 90 else 1.0 for step in steps]
    assert has_begun(Signals.of({"loss": (steps, losses)}), FACTS) is True


@pytest.mark.parametrize("scale", [1.0, 3.0, 1000.0])
def test_who_falls_fast_enough_will_soon_have_begun(scale: float, rng: np.random.Generator) -> None:
    noise = np.exp(0.005 * rng.normal(size=20))
    falls = scale * TRIVIAL * np.exp(-np.arange(20) * (0.05 + math.log(scale) / 20)) * noise
    creeps = scale * TRIVIAL * np.exp(-np.arange(20) * 0.0005) * noise
    assert soon_begins(course(falls), FACTS)
    assert not soon_begins(course(creeps), FACTS)
    assert not soon_begins(course(falls[::-1]), FACTS), "it rises"
