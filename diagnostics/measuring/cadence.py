"""When a row is due: asked before anything is computed.

Notation
    t       optimizer step, counted from 0
    b       budget: seconds of measuring per second of training
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol, runtime_checkable

PRESETS = {"light": 0.003, "normal": 0.01, "thorough": 0.05}
"""Budget by preset: the share of the training's time that rows may take."""

ROUNDS = 3
"""Rows that are always taken in each doubling of the step count: the start of a training tells most."""

DENSEST = 1.005
"""A row beyond the sure ones comes at this many times the step of the one before, at the earliest: the rows
of a long training stay few."""

PLAIN, MEASURED = 32, 16
"""How many of the newest durations of plain and of measured steps tell what is usual."""

SINGLE = 4
"""Steps before a row that are asked about and timed one by one: a longer stretch may hold an evaluation."""

ODD = 10.0
"""A measured step that cost more than this many times the median had something else in it, such as an
evaluation, and counts as the dearest of the others (house rule; half of the measured steps are the cheap
second halves of pairs)."""


class Cadence(Protocol):
    """Says at which steps a row is due."""

    def is_due(self, step: int) -> bool:
        """Whether a row is due at this step; asked in step order, at those that `next_question` leaves."""
        ...

    def next_question(self, step: int) -> int:
        """After a no for this step: the next one worth asking about, `step + 1` or later."""
        ...

    def done(self, measured: bool, steps: int = 1) -> None:
        """A stretch of steps has ended; `measured`, always of one step, took a row or half a pair."""
        ...


@runtime_checkable
class Continuable(Cadence, Protocol):
    """A cadence that can go on in another process."""

    def state_dict(self) -> dict[str, Any]:
        """Where it stands, as plain numbers and lists."""
        ...

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` says."""
        ...


@dataclass
class Fixed:
    """Rows by the step alone, so that a training with the same seed has the same rows.

    Every step at first, then each `growth` times the one before, but never more than `longest` steps
    apart.
    """

    growth: float = 1.25
    longest: int = 200
    _next: int = 0

    def is_due(self, step: int) -> bool:
        """Whether the schedule names this step."""
        if step < self._next:
            return False
        self._next = min(step + self.longest, max(step + 1, math.ceil(step * self.growth)))
        return True

    def next_question(self, step: int) -> int:
        """The next step that the schedule names."""
        return max(step + 1, self._next)

    def done(self, measured: bool, steps: int = 1) -> None:
        """Nothing to learn from a step."""

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` says."""
        self._next = state["next"]


class Adaptive:
    """Rows as often as a budget of time allows, and a few in each doubling of the steps in any case.

    What a row costs is what its step took beyond the median of the newest plain ones. The training's time is
    that of its steps, as long as plain ones usually are: evaluations, pauses and whatever else runs between
    them earn no rows. `clock` gives seconds.

    Raises: ValueError for a budget that is not a positive share.
    """

    def __init__(self, budget: float = PRESETS["normal"], clock: Callable[[], float] = time.perf_counter):
        if not 0 < budget < 1:
            raise ValueError(
                f"the budget is a share of the training's time between 0 and 1, but got {budget}"
            )
        self._budget = budget
        self._clock = clock
        self._sure = Fixed(growth=2 ** (1 / ROUNDS), longest=10**12)
        self._plain: deque[float] = deque(maxlen=PLAIN)
        self._costs: deque[float] = deque(maxlen=MEASURED)
        self._usual = math.nan
        self._spent = self._trained = 0.0
        self._last = clock()
        self._near = -1.0  # up to here the newest row is too near for another

    def is_due(self, step: int) -> bool:
        """Whether a row was promised at this step, or can be afforded."""
        due = self._sure.is_due(step) or (step > self._near and self._can_afford())
        if due:
            self._near = max(step + 1, DENSEST * step)
        return due

    def next_question(self, step: int) -> int:
        """A few steps before the sure row, or half of the way to where the next one can be afforded."""
        sure = self._sure.next_question(step) - SINGLE
        owed = (self._spent + self._usual) / self._budget - self._trained
        pace = median(self._plain) if self._plain else math.nan
        affordable = step + owed / pace / 2 if owed > 0 and pace > 0 else step
        return max(step + 1, int(min(sure, max(affordable, self._near))))

    def done(self, measured: bool, steps: int = 1) -> None:
        """Learn from how long the steps took."""
        now = self._clock()
        took, self._last = now - self._last, now
        if not measured and steps == 1:
            self._plain.append(took)
        if not self._plain:  # nothing to compare with before the first plain step
            return
        pace = median(self._plain)
        self._trained += steps * max(0.0, pace)
        if measured:
            cost = max(0.0, took - pace)
            self._costs.append(cost)
            self._usual = median(self._costs)
            limit = ODD * self._usual
            self._spent += cost if cost <= limit else max(c for c in self._costs if c <= limit)

    def state_dict(self) -> dict[str, Any]:
        """Where it stands."""
        return {
            "sure": self._sure.state_dict(),
            "plain": list(self._plain),
            "costs": list(self._costs),
            "usual": self._usual,
            "spent": self._spent,
            "trained": self._trained,
            "near": self._near,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Stand where `state_dict` says; the time since then does not count."""
        self._sure.load_state_dict(state["sure"])
        self._plain = deque(state["plain"], maxlen=PLAIN)
        self._costs = deque(state["costs"], maxlen=MEASURED)
        self._usual, self._spent, self._near = state["usual"], state["spent"], state["near"]
        self._trained, self._last = state["trained"], self._clock()

    def _can_afford(self) -> bool:
        if (
            len(self._plain) < PLAIN
        ):  # beside a few that others slowed down rows look free: none would be plain
            return False
        return self._spent + self._usual <= self._budget * self._trained


def continuable(cadence: Cadence) -> Continuable:
    """The same cadence. Raises: TypeError for one that cannot go on in another process."""
    if isinstance(cadence, Continuable):
        return cadence
    raise TypeError(
        f"the cadence {type(cadence).__name__} cannot be continued; give it state_dict and "
        "load_state_dict, or use Fixed or Adaptive of diagnostics.measuring.cadence"
    )


def cadence_of(preset: str) -> Adaptive:
    """The cadence of a preset. Raises: ValueError for a name that is none."""
    if preset not in PRESETS:
        raise ValueError(f"no preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return Adaptive(PRESETS[preset])
