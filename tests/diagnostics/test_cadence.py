"""When rows are due: by the step alone, or within a budget of time."""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest

from diagnostics.measuring.cadence import PRESETS, ROUNDS, Adaptive, Cadence, Fixed, cadence_of


@dataclass
class Clock:
    """Time that passes when it is told to."""

    now: float = 0.0

    def __call__(self) -> float:
        """Seconds."""
        return self.now


@dataclass
class Shared(Clock):
    """The clock of a process that has to leave its core to others every few steps."""

    stolen: float = 0.0
    until: float = 0.0

    def __call__(self) -> float:
        while self.now > self.until:
            self.until += random.uniform(1.0, 4.0)
            self.stolen += random.expovariate(1 / 3.0)
        return self.now + self.stolen


def rows(
    cadence: Cadence, clock: Clock, steps: int, plain: float, cost: float, pairs: bool = True
) -> list[int]:
    """The due steps of a training whose steps take `plain` seconds, and a row `cost` more."""
    due: list[int] = []
    asked = question = 0
    is_due = half = False
    for step in range(steps):
        if step == question:
            if step:
                cadence.done(is_due or half, step - asked)
            half = pairs and is_due
            is_due = cadence.is_due(step)
            half = half and not is_due
            due += [step] if is_due else []
            asked, question = step, step + 1 if is_due or half else cadence.next_question(step)
            assert question > step
        clock.now += plain * random.uniform(0.9, 1.1) + (cost if is_due else 0.1 * cost if half else 0)
    return due


def test_a_fixed_schedule_depends_on_the_step_alone() -> None:
    one, other = (Fixed(), Fixed())
    times = [rows(schedule, Clock(), 5000, 1.0, cost) for schedule, cost in ((one, 0.0), (other, 1e9))]
    assert times[0] == times[1]
    assert times[0][:5] == [0, 1, 2, 3, 4]
    gaps = [b - a for a, b in zip(times[0], times[0][1:], strict=False)]
    assert gaps == sorted(gaps) and max(gaps) == 200


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("cost", [0.5, 5.0, 50.0])
def test_the_budget_of_a_preset_is_kept(preset: str, cost: float) -> None:
    clock = Clock()
    cadence = Adaptive(PRESETS[preset], clock)
    steps, plain = 30_000, 1.0
    due = rows(cadence, clock, steps, plain, cost)
    sure = len(rows(Fixed(2 ** (1 / ROUNDS), 10**12), Clock(), steps, 1.0, 0.0))
    spent = (len(due) - sure) * cost / (steps * plain)
    assert spent <= 1.2 * PRESETS[preset]
    assert len(due) >= sure
    assert due[:5] == [0, 1, 2, 3, 4]


def test_what_the_budget_allows_is_used() -> None:
    clock = Clock()
    due = rows(Adaptive(0.01, clock), clock, 20_000, 1.0, 2.0)
    spent = 2.0 * len(due) / 20_000
    assert 0.006 < spent < 0.013
    late = [step for step in due if step >= 10_000]
    assert len(late) >= 30, "rows go on to the end"


@pytest.mark.parametrize("cost", [0.5, 2.0, 50.0])
def test_few_steps_are_asked_about_though_none_that_is_due_is_missed(cost: float) -> None:
    class Counted(Adaptive):
        asked = 0

        def is_due(self, step: int) -> bool:
            self.asked += 1
            return super().is_due(step)

    class Patient(Adaptive):
        def next_question(self, step: int) -> int:
            return step + 1

    clock, other = Clock(), Clock()
    some = Counted(0.01, clock)
    due = rows(some, clock, 50_000, 1.0, cost)
    every = rows(Patient(0.01, other), other, 50_000, 1.0, cost)
    assert abs(len(due) - len(every)) <= 0.1 * len(every) + 3
    assert some.asked <= 25 * len(due)


def test_cheap_rows_of_a_long_training_stay_few() -> None:
    clock = Clock()
    due = rows(Adaptive(0.05, clock), clock, 100_000, 1.0, 0.0)
    assert 500 < len(due) < 3000


def test_an_evaluation_between_two_steps_does_not_eat_the_budget() -> None:
    def late(pause: float) -> int:
        random.seed(5)
        clock = Clock()
        cadence = Adaptive(0.01, clock)
        due = []
        for step in range(20_000):
            is_due = cadence.is_due(step)
            clock.now += random.uniform(0.9, 1.1) + (1.0 if is_due else 0)
            clock.now += pause if is_due and step % 7 == 0 else 0.0  # it happens to fall on due steps
            cadence.done(is_due)
            due += [step] if is_due else []
        return sum(step > 1000 for step in due)

    assert late(pause=500.0) >= 0.5 * late(pause=0.0)


def test_a_busy_machine_does_not_make_rows_look_free() -> None:
    clock = Clock()
    alone = len(rows(Adaptive(0.01, clock), clock, 3000, 1.0, 1.3))
    for _ in range(40):
        clock = Shared()
        assert len(rows(Adaptive(0.01, clock), clock, 3000, 1.0, 1.3)) <= 2 * alone


def test_a_clock_that_jumps_or_stands_still_does_no_harm() -> None:
    for jump in (-1e6, 0.0, 1e9):
        clock = Clock()
        cadence = Adaptive(0.01, clock)
        for step in range(500):
            cadence.is_due(step)
            clock.now += jump if step == 100 else 0.0
            cadence.done(step % 3 == 0)


def test_presets_and_budgets_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r"'often'.*light, normal, thorough"):
        cadence_of("often")
    for budget in (0.0, 1.0, -0.1, float("nan")):
        with pytest.raises(ValueError, match="between 0 and 1"):
            Adaptive(budget)
    assert PRESETS["light"] < PRESETS["normal"] == 0.01 < PRESETS["thorough"]
