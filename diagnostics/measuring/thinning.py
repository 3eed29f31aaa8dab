"""Fewer rows the longer a training runs: memory and the time of the rules stay flat.

Notation
    t       optimizer step, counted from 0
    x       value at that step
    size    steps in the block of t: 1 below FULL, then 2, 4, 8, ... doubling whenever t doubles
    block   first step of that block; blocks begin at multiples of their size

A row is given as soon as it is known, and carries the step at which it became known, so that what is
known live at a step is what a replay of the rows up to that step knows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from diagnostics.signals import Series

FULL = 1000
"""Steps that are all kept of a per-step signal; every doubling after that adds FULL / 2 rows (house rule:
100,000 steps leave 4,320 rows, a million about 6,000)."""

FULL_DUE = 64
"""The same for rows of due steps, which hold one number a layer (house rule: 100,000 steps leave at
most about 400)."""

Steps = NDArray[np.int64]
Values = NDArray[np.float64]


class Thinned:
    """A per-step signal that is thinned while it grows.

    All steps below `FULL` are rows; later a block's row is its median, at its last step. The first value
    in a block that is not finite ends what there is of the block and is a row of its own. A gap in the
    steps ends a block as well: its row then stands at the next step that came.
    """

    def __init__(self) -> None:
        self._steps: list[Steps] = []  # of the open block, finite values alone
        self._values: list[Values] = []
        self._rows: list[tuple[Steps, Values]] = []
        self._newest = -1
        self._hit = -1  # block that has given its row for a value that is not finite

    def add(self, steps: ArrayLike, values: ArrayLike) -> None:
        """Take the next values, in step order; one or thousands at a time give the same rows.

        Raises: ValueError when steps and values differ in length or a step lies before an earlier one.
        """
        t, x = np.atleast_1d(np.asarray(steps, np.int64)), np.atleast_1d(np.asarray(values, np.float64))
        self._check(t, x)
        if not len(t):
            return
        self._newest = int(t[-1])
        if self._steps and self._stays_open(t, x):
            self._steps.append(t)
            self._values.append(x)
            return
        self._fold(np.concatenate([*self._steps, t]), np.concatenate([*self._values, x]))

    def take(self) -> Series:
        """The rows that were completed since the last take."""
        rows, self._rows = self._rows, []
        if not rows:
            return Series(np.array([], np.int64), np.array([]))
        return Series(np.concatenate([t for t, _ in rows]), np.concatenate([x for _, x in rows]))

    def state_dict(self) -> dict[str, Any]:
        """What it holds; the rows that no `take` has given yet are not among it."""
        return {
            "steps": np.concatenate([np.array([], np.int64), *self._steps]),
            "values": np.concatenate([np.array([], np.float64), *self._values]),
            "newest": self._newest,
            "hit": self._hit,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what `state_dict` gave."""
        steps, values = np.asarray(state["steps"], np.int64), np.asarray(state["values"], np.float64)
        self._steps, self._values = ([steps], [values]) if len(steps) else ([], [])
        self._rows, self._newest, self._hit = [], state["newest"], state["hit"]

    def _check(self, t: Steps, x: Values) -> None:
        if t.ndim != 1 or t.shape != x.shape:
            raise ValueError(f"every step needs one value, but got {t.shape} steps and {x.shape} values")
        if len(t) and (t[0] < self._newest or np.any(np.diff(t) < 0)):
            raise ValueError(f"steps must not fall, but after step {self._newest} came {t[0]} to {t[-1]}")

    def _stays_open(self, t: Steps, x: Values) -> bool:
        """Whether all of these only join the open block: the common case, and a cheap one."""
        here = int(self._steps[0][0])
        size = int(_sizes(np.array([here]), FULL)[0])
        return int(t[-1]) < here // size * size + size - 1 and bool(np.all(np.isfinite(x)))

    def _fold(self, t: Steps, x: Values) -> None:
        """Give the rows of all blocks that these close; keep the values of the one they leave open."""
        size = _sizes(t, FULL)
        block = t // size * size
        last = t == block + size - 1
        finite = np.isfinite(x)
        hit = self._first_hits(block, finite)
        begins = hit.copy()
        begins[1:] |= (block[1:] != block[:-1]) | last[:-1]
        group = np.cumsum(begins, dtype=np.int64) - int(begins[0])
        ends = np.append(np.flatnonzero(np.diff(group)), len(t) - 1)  # the last place of each group
        # a group that does not end its block is closed by the place after it, or stays open
        known = np.where(last[ends], ends, ends + 1)
        found, medians = _medians(group[finite], x[finite])
        closed = known[found] < len(t)
        at = np.concatenate([known[found][closed], np.flatnonzero(hit)])
        rank = np.concatenate([np.where(last[ends[found]], 2, 0)[closed], np.ones(int(hit.sum()), np.int64)])
        order = np.lexsort((rank, at))
        if len(at):
            self._rows.append((t[at][order], np.concatenate([medians[closed], x[hit]])[order]))
        rest = finite & (group == group[-1]) & ~last[-1]
        self._steps, self._values = ([t[rest]], [x[rest]]) if rest.any() else ([], [])

    def _first_hits(self, block: Steps, finite: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """The places of the first value in each block that is not finite."""
        hit = np.zeros(len(block), np.bool_)
        bad = np.flatnonzero(~finite)
        if len(bad):
            before = np.append(self._hit, block[bad][:-1])
            hit[bad[block[bad] != before]] = True
            self._hit = int(block[bad[-1]])
        return hit


def thin(series: Series) -> Series:
    """A whole recorded series, thinned as it would have been live: by `Thinned`, or `thin_due` per layer."""
    if series.layers:
        return thin_due(series)
    thinned = Thinned()
    thinned.add(series.steps, series.values)
    return thinned.take()


def thin_due(series: Series) -> Series:
    """The rows of due steps that `keeps` would have kept one by one."""
    size = _sizes(series.steps, FULL_DUE)
    block = series.steps // size
    keep = np.ones(len(series), np.bool_)
    keep[1:] = (size[1:] == 1) | (size[1:] != size[:-1]) | (block[1:] != block[:-1])
    return Series(series.steps[keep], series.values[keep], series.layers)


def keeps(step: int, kept: int) -> bool:
    """Whether the row of due `step` is kept, when that of step `kept` was the last one (-1: none yet)."""
    here, before = _sizes(np.array([step, max(kept, 0)]), FULL_DUE)
    return kept < 0 or here == 1 or here != before or step // here != kept // here


def _sizes(t: Steps, full: int) -> Steps:
    """The length of the block of each step."""
    doublings = np.floor(np.log2(np.maximum(t, full // 2) / (full // 2)))
    return np.asarray(np.left_shift(1, doublings.astype(np.int64)), np.int64)


def _medians(group: Steps, x: Values) -> tuple[Steps, Values]:
    """The groups that occur in `group` [n], and the median of each one's values."""
    order = np.lexsort((x, group))
    found, first, count = np.unique(group[order], return_index=True, return_counts=True)
    x = x[order]
    return found, x[first + (count - 1) // 2] / 2 + x[first + count // 2] / 2
