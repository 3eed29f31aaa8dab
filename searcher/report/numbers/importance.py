"""How much each setting moves the objective: a random forest, and what it loses when a setting is shuffled.

Not Optuna's PED-ANOVA: it looks at settings one by one among the best trials, and leaves out conditional
settings and failed trials, which are to be counted here.

Notation
    r       rank of the objective, 0 worst to 1 best                         [n]
    X       settings as features: `u` of ranges, 0 or 1 for every choice     [n, features]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.ensemble import RandomForestRegressor

from searcher.report.numbers.objective import Numbers
from searcher.report.numbers.scales import Column, Mask

TREES, LEAF = 60, 3
"""Trees of the forest, and trials in a leaf (house rule: shares move by a few percent with more trees)."""

FOLDS, SHUFFLES = 5, 10
"""Parts for cross-validation, and shuffles of a setting among held-out trials."""

INACTIVE = -0.5
"""`u` of a range that was switched off: apart from all places, which begin at 0."""


def importance_of(columns: Sequence[Column], r: Numbers) -> tuple[Numbers, float]:
    """Each setting's share of what all of them foretell, and the share of the variance that this is.

    The error on held-out trials, with a setting shuffled among them less without. Source: Breiman (2001),
    Random forests. A conditional setting is shuffled among the trials that have it.
    """
    blocks = [_features(column) for column in columns]
    x = np.concatenate(blocks, axis=1)
    ends = np.cumsum([block.shape[1] for block in blocks])
    rng = np.random.default_rng(0)  # the same report for the same trials
    fold = rng.permutation(np.arange(len(r)) % FOLDS)
    error, lost = 0.0, np.zeros(len(columns))
    for held_out in (fold == number for number in range(FOLDS)):
        forest = RandomForestRegressor(TREES, min_samples_leaf=LEAF, max_features=0.5, random_state=0)
        forest.fit(x[~held_out], r[~held_out])
        own = float(np.sum((forest.predict(x[held_out]) - r[held_out]) ** 2))
        error += own
        for number, (column, end) in enumerate(zip(columns, ends, strict=True)):
            place = slice(int(end) - blocks[number].shape[1], int(end))
            shuffled = _shuffled(x[held_out], place, column.active[held_out], rng)
            missed = (forest.predict(shuffled) - np.tile(r[held_out], SHUFFLES)) ** 2
            lost[number] += float(missed.sum()) / SHUFFLES - own
    lost = np.maximum(lost, 0.0)
    explained = 1 - error / float(np.sum((r - r.mean()) ** 2))
    return lost / (lost.sum() or 1.0), explained


def _features(column: Column) -> Numbers:
    if column.scale is not None:
        return np.where(column.active, column.places, INACTIVE)[:, None]
    choices = range(len(column.choices))
    return np.stack([(column.places == k) & column.active for k in choices], axis=1).astype(np.float64)


def _shuffled(x: Numbers, place: slice, active: Mask, rng: np.random.Generator) -> Numbers:
    """So many copies of the trials, one below the other, with the features at `place` shuffled in each."""
    copies = [x.copy() for _ in range(SHUFFLES)]
    rows = np.flatnonzero(active)
    for copy in copies:
        copy[rows, place] = x[rng.permutation(rows), place]
    return np.concatenate(copies)
