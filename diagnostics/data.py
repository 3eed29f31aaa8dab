"""What can be seen of the data before a training begins, as facts for the rules.

Notation
    x       inputs                                         [samples, ...], looked at as [samples, features]
    y       labels: classes, or numbers to predict         [samples] or [samples, ...]
    p, q    shares of the classes among training and validation labels
    D       largest distance of two empirical distribution functions (Kolmogorov-Smirnov)
    r       runs: stretches of equal neighbours in the order of the samples

Facts that `describe_data` gives (those of validation only when it is given):

    feature_count, feature_bad          columns of x; entries that are NaN or infinite
    feature_scale                       root mean square of the middle feature
    feature_ratio, feature_widest       largest spread of a feature over the middle one; its number
    feature_offset                      |mean| over spread of the middle feature
    label_bad, label_not_whole          labels that are NaN or infinite; classes that are no whole numbers
    label_min, label_max, label_classes
    label_constant                      1 when all labels are the same
    label_entropy, label_largest        of classes: entropy in nats, share of the largest class
    label_variance                      of numbers
    label_order_runs_unless_shuffled    r over what a random order has: near 0 when the samples are sorted;
                                        it only matters to a loader that does not shuffle
    label_shift, label_shift_chance     distance of training and validation labels, 0 to 1 (classes: half the
                                        sum of |p - q|; numbers: D); how often chance alone gives as much
    label_unseen                        share of validation labels whose class no training sample has
    duplicates_across_split             share of validation samples that are training samples as well
    duplicates_disagree                 share of those duplicates whose labels differ
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

MOST_ROWS = 4_096
"""Samples whose features are looked at (a standard error of 2 % of a spread is plenty)."""

MOST_ENTRIES = 4_000_000
"""Entries of x that are looked at for the same purpose."""

MOST_CHECKED = 2_000
"""Validation samples that are looked for among the training samples."""

KEY = 16
"""Columns compared before whole rows are."""


def describe_data(
    train_x: ArrayLike,
    train_y: ArrayLike,
    val_x: ArrayLike | None = None,
    val_y: ArrayLike | None = None,
    *,
    task: str,
) -> dict[str, float]:
    """Facts about the data of one training, under the names in this file's notation.

    All labels are read; of the features of many samples only some are. Raises: ValueError when inputs and
    labels are not of the same number.
    """
    x, y = _rows(train_x), _labels(train_y, task)
    _check_lengths(x, train_y)
    facts = _of_features(x) | _of_labels(y, task)
    if val_y is not None and np.size(val_y):
        facts |= _of_shift(y, _labels(val_y, task), task)
    if val_x is not None and len(np.asarray(val_x)):
        v = _rows(val_x)
        labels = (np.asarray(train_y), np.asarray(val_y)) if val_y is not None else None
        facts |= _of_duplicates(x, v, labels)
        facts["feature_bad"] += _bad(v)
    return facts


def _bad(x: NDArray[Any]) -> float:
    """Entries that are not finite: counted only when the sum, which is quick, shows that there are some."""
    with np.errstate(invalid="ignore"):  # infinities of both signs
        if x.dtype.kind != "f" or np.isfinite(np.sum(x, dtype=np.float64)):
            return 0.0
    return float(np.sum(~np.isfinite(x)))


def largest_share(entropy: float, classes: int) -> float:
    """The largest share that one of so many classes can have when their entropy in nats is this.

    It is the p that solves entropy = h(p) + (1 - p) log(classes - 1), where the others are equal.
    Source: Fano (1961), Transmission of Information.
    """
    p = np.linspace(1 / max(2, classes), 1 - 1e-9, 200)
    found = -p * np.log(p) - (1 - p) * np.log((1 - p) / max(1, classes - 1))
    return float(p[np.argmin(np.abs(found - entropy))])


def _of_features(x: NDArray[Any]) -> dict[str, float]:
    some = _some(x)
    good = np.isfinite(some)
    facts = {"feature_count": float(x.shape[1]), "feature_bad": _bad(x)}
    clean = np.where(good, some, 0.0)
    mean, spread = clean.mean(axis=0), clean.std(axis=0)
    varied = spread > np.finfo(np.float32).eps * np.maximum(np.abs(mean), 1e-30)
    if not np.any(varied):
        return facts
    middle = float(np.median(spread[varied]))
    facts["feature_scale"] = float(np.median(np.sqrt(mean[varied] ** 2 + spread[varied] ** 2)))
    facts["feature_ratio"] = float(np.max(spread)) / middle
    facts["feature_widest"] = float(np.argmax(spread))
    facts["feature_offset"] = float(np.median(np.abs(mean[varied]) / spread[varied]))
    return facts


def _of_labels(y: Numbers, task: str) -> dict[str, float]:
    good = y[np.isfinite(y)]
    facts = {"label_bad": float(len(y) - len(good))}
    if not len(good):
        return facts
    facts |= {"label_min": float(good.min()), "label_max": float(good.max())}
    facts["label_constant"] = float(facts["label_min"] == facts["label_max"])
    if task == "classification":
        facts["label_not_whole"] = float(np.sum(good != np.round(good)))
        shares = np.unique(good, return_counts=True)[1] / len(good)
        facts["label_classes"] = float(len(shares))
        facts["label_entropy"] = float(-np.sum(shares * np.log(shares))) + 0.0
        facts["label_largest"] = float(shares.max())
    else:
        facts["label_variance"] = float(np.var(good))
    facts["label_order_runs_unless_shuffled"] = _runs(good)
    return facts


def _runs(y: Numbers) -> float:
    """Runs of labels over those of a random order; numbers count as above or below their median.

    The expected number is 1 + (n - 1)(1 - sum of squared shares) for shares of classes, less a term of
    order 1. Source: Wald and Wolfowitz (1940), On a test whether two samples are from the same population.
    """
    kinds = y if len(np.unique(y)) <= max(2, len(y) // 10) else y > np.median(y)
    shares = np.unique(kinds, return_counts=True)[1] / len(kinds)
    expected = 1 + (len(kinds) - 1) * (1 - float(np.sum(shares**2)))
    return float(1 + np.sum(kinds[1:] != kinds[:-1])) / expected


def _of_shift(y: Numbers, v: Numbers, task: str) -> dict[str, float]:
    y, v = y[np.isfinite(y)], v[np.isfinite(v)]
    if not len(y) or not len(v):
        return {}
    if task != "classification":
        distance = _largest_gap(y, v)
        root = math.sqrt(len(y) * len(v) / (len(y) + len(v)))
        return {"label_shift": distance, "label_shift_chance": _kolmogorov(distance * root)}
    classes = np.unique(np.concatenate([y, v]))
    counts = np.array(
        [np.bincount(np.searchsorted(classes, part), minlength=len(classes)) for part in (y, v)]
    )
    p, q = counts[0] / len(y), counts[1] / len(v)
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / counts.sum()
    chi_square = float(np.sum((counts - expected) ** 2 / expected))
    return {
        "label_shift": float(np.sum(np.abs(p - q))) / 2,
        "label_shift_chance": _chi_square_chance(chi_square, len(classes) - 1),
        "label_unseen": float(np.sum(q[p == 0])),
    }


def _largest_gap(y: Numbers, v: Numbers) -> float:
    """D of two samples."""
    y, v = np.sort(y), np.sort(v)
    both = np.concatenate([y, v])
    below = [np.searchsorted(part, both, side="right") / len(part) for part in (y, v)]
    return float(np.max(np.abs(below[0] - below[1])))


def _kolmogorov(scaled: float) -> float:
    """How often chance gives a distance this large. Source: Smirnov (1948), Table for estimating fit."""
    if scaled < 0.2:
        return 1.0
    terms = [2 * (-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, 101)]
    return float(np.clip(sum(terms), 0, 1))


def _chi_square_chance(chi_square: float, freedom: int) -> float:
    """How often chance gives a chi-square this large. Source: Wilson and Hilferty (1931)."""
    if freedom < 1:
        return 1.0
    spread = 2 / (9 * freedom)
    z = ((chi_square / freedom) ** (1 / 3) - (1 - spread)) / math.sqrt(spread)
    return math.erfc(z / math.sqrt(2)) / 2


def _of_duplicates(
    x: NDArray[Any], v: NDArray[Any], labels: tuple[NDArray[Any], NDArray[Any]] | None
) -> dict[str, float]:
    if x.shape[1] != v.shape[1] or not x.shape[1]:
        return {}
    chosen = _evenly(len(v), MOST_CHECKED)
    checked = v[chosen]
    columns = np.argsort(_some(x).std(axis=0))[-KEY:]
    wanted = set(_keys(checked[:, columns]))
    near = [i for i, key in enumerate(_keys(x[:, columns])) if key in wanted]
    known = dict(zip(_keys(x[near]), near, strict=True))
    pairs = [(known[key], int(row)) for key, row in zip(_keys(checked), chosen, strict=True) if key in known]
    facts = {"duplicates_across_split": len(pairs) / len(checked)}
    if labels is not None and pairs:
        differ = [not np.array_equal(labels[0][i], labels[1][j]) for i, j in pairs]
        facts["duplicates_disagree"] = float(np.mean(differ))
    return facts


def _keys(rows: NDArray[Any]) -> list[bytes]:
    """Rows as bytes; -0 is brought to 0."""
    whole = np.ascontiguousarray(rows + 0 if rows.dtype.kind in "fiu" else rows)
    return [row.tobytes() for row in whole]


def _rows(x: ArrayLike) -> NDArray[Any]:
    array = np.asarray(x)
    return array.reshape(len(array), -1) if array.ndim else array.reshape(1, 1)


def _labels(y: ArrayLike, task: str) -> Numbers:
    """All labels in a row; classes given as rows with a single one become their numbers."""
    array = np.asarray(y)
    wide = array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind == "f"
    if task == "classification" and wide and _is_one_hot(array):
        array = array.argmax(axis=1)
    return np.asarray(array, dtype=np.float64).reshape(-1)


def _is_one_hot(array: NDArray[Any]) -> bool:
    return bool(np.all((array == 0) | (array == 1)) and np.all(array.sum(axis=1) == 1))


def _some(x: NDArray[Any]) -> Numbers:
    """Some samples of x, evenly chosen, as numbers."""
    most = max(1, min(MOST_ROWS, MOST_ENTRIES // max(1, x.shape[1])))
    return np.asarray(x[_evenly(len(x), most)], dtype=np.float64)


def _evenly(n: int, most: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(np.int64)) if n else np.array([], np.int64)


def _check_lengths(x: NDArray[Any], y: ArrayLike) -> None:
    if len(x) != len(np.asarray(y)):
        raise ValueError(
            f"every sample needs its label, but got {len(x)} samples and {len(np.asarray(y))} labels; pass "
            "inputs and labels of the same samples"
        )
