"""The loss that a training starts from, without the luck of its first batch.

Nothing was learnt before the first step, so that its loss is the level that others are held against. But it
is that of one batch. Targets far from 0 have a loss far above the trivial one at first, which differs a lot
between batches: of eight samples it may well be half of the usual.
"""

from __future__ import annotations

import numpy as np

from diagnostics.signals import Series

BLOCK = 10
"""Rows of a block: house rule, long enough for a median that one bad batch cannot move."""

AS_LOW = 50
"""Rows of which one as low as the first row says that this was low by chance (house rule: who has left a
level for good does not touch it again)."""

CHANCE = 2.0
"""Times itself that a first loss may lie below the usual one by chance (house rule: the squared errors of one
batch of four); more is taken for a rise."""


def first_loss(loss: Series, since: int = 0) -> float:
    """The first loss; the usual one of the first block where that was chance: one of AS_LOW rows is as low,
    from a block after the row `since` on.
    """
    first, after = float(loss.values[0]), since + BLOCK
    return usual_first_loss(loss) if np.any(loss.values[after : after + AS_LOW] <= first) else first


def usual_first_loss(loss: Series) -> float:
    """The first loss, or the mean of the first block where that is higher: by CHANCE times it at most."""
    first, block = float(loss.values[0]), loss.values[:BLOCK]
    usual = float(np.mean(block)) if np.all(np.isfinite(block)) else first
    return max(first, min(usual, first + CHANCE * abs(first)))
