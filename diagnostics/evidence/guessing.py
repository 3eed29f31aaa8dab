"""The loss of guessing, of the best answer that looks at no input; and whether a training is better than it.

Notation
    T       trivial loss: that of guessing
    e, v    training and validation loss per evaluation            [evaluations]
    x       training loss of every row                             [n]
"""

from __future__ import annotations

import math

import numpy as np

from diagnostics.data import largest_share
from diagnostics.evidence.rows import batch_size, finite_values
from diagnostics.evidence.trends import SIGNIFICANT, Values, mann_kendall
from diagnostics.findings import Facts
from diagnostics.signals import Signals

COMPARABLE = ("cross", "nll", "mse", "bce", "l2")
"""Parts of the names of losses that the trivial predictor's loss is comparable with."""

SAME = 0.02
"""Share by which losses of the same answers may differ and still be the same loss (house rule: half precision
and penalties of the usual size)."""

UNLIKE = 0.2
"""Share of the due rows that may differ more: batches of another size under a sum (house rule)."""

LABEL_FACTS = {"classification": ("label_entropy",), "regression": ("label_variance",)}
"""Facts of `diagnostics/data.py` that are the trivial loss of a task."""

KNOWS = 0.2
"""Share of the way from the largest class's share to 1 that an accuracy is clearly above it (house rule)."""

HAIR = 0.003
"""Share of the trivial loss by which a loss must be below it at least to be more than rounding, or an odd
choice of samples (house rule)."""

LASTS = 3
"""Evaluations on end that must be below it."""

SURE = 3.0
"""Standard errors by which the mean of the last losses must be: those of small batches are skewed."""

ROWS = 20
"""Rows that such a mean takes at least (house rule)."""

ERRORS = 2.0
"""Standard errors by which a trivial loss that was reckoned from a few labels may be too high."""

UNKNOWN = 0.5
"""Share of the trivial loss by which nothing but learning brings a validation loss below it (house rule)."""


def trivial_loss(signals: Signals, facts: Facts) -> float:
    """The loss of the best answer that looks at no input, as this training's loss counts it; NaN where it is
    unknown or not comparable.
    """
    name = str(facts.get("loss_name", "")).lower()
    if name and not any(part in name for part in COMPARABLE):
        return math.nan
    scale = 1.0 if "trivial_loss" in facts else loss_scale(signals)
    return guessing_loss(signals, facts) * scale + 0.0


def guessing_loss(signals: Signals, facts: Facts) -> float:
    """The same of the plain loss: the entropy of the classes, or the variance of the targets."""
    for known in ("trivial_loss", *LABEL_FACTS.get(str(facts.get("task")), ())):
        if known in facts:
            return float(facts[known])
    if "trivial_loss" in signals and len(signals["trivial_loss"]):
        return float(signals["trivial_loss"].values[-1])
    if facts.get("task") == "classification" and float(facts.get("outputs", 0)) > 1:
        return math.log(float(facts["outputs"]))
    return math.nan


def loss_scale(signals: Signals) -> float:
    """What the loss is of the plain one: 1, or another constant for a sum or a share of a batch.

    NaN for any other loss, whose trivial level nobody knows: weighted, smoothed, of another kind; and
    where a monitor saw no targets to compare with. Curves without a monitor are taken at their word.
    """
    if "loss_ratio" not in signals:
        watched = "train_mode" in signals and "batch_size" not in signals
        return math.nan if watched else 1.0
    ratios = signals["loss_ratio"].values
    ratios = ratios[np.isfinite(ratios) & (ratios > 0)]
    if not len(ratios):
        return math.nan
    middle = float(np.median(ratios))
    if float(np.mean(np.abs(ratios / middle - 1) > SAME)) > UNLIKE:
        return math.nan
    if abs(middle - 1) <= SAME:
        return 1.0
    return math.nan if "train_loss" in signals else middle  # evaluations may be of another scale


def guesses_better(signals: Signals, facts: Facts, trivial: float) -> bool:
    """Whether the training accuracy is one that no constant answer can have: clearly above the largest share
    that a class can have."""
    outputs = int(facts.get("outputs", 0))
    if "train_accuracy" not in signals or outputs < 2 or not math.isfinite(trivial):
        return False
    accuracy = float(np.median(signals["train_accuracy"].values[-3:]))
    share = largest_share(trivial, outputs)
    return accuracy > share + KNOWS * (1 - share)


def beats_guessing(signals: Signals, facts: Facts, trivial: float) -> bool:
    """Whether a loss is below that of guessing by more than chance, if only by a little.

    No constant answer is, on the same samples. Evaluations show it without the noise of batches; the steps
    count where there are none. Validation has other samples, so it must have fallen by as much too.
    """
    if not math.isfinite(trivial):
        return False
    bar = (1 - HAIR) * trivial - ERRORS * abs(trivial) / math.sqrt(labels_behind(signals, facts))
    e, v = finite_values(signals, "train_loss"), finite_values(signals, "val_loss")
    highest = float(np.max(e[-LASTS:])) if len(e) >= LASTS else _highest_mean(finite_values(signals, "loss"))
    late = v[len(v) // 3 :]
    fallen = len(late) > LASTS and late[0] - np.max(late[-LASTS:]) > trivial - bar
    validates = fallen and mann_kendall(late) < -SIGNIFICANT and np.max(late[-LASTS:]) < bar
    return bool(highest < bar or validates)


def has_validated(signals: Signals, facts: Facts, trivial: float) -> bool:
    """Whether a validation loss was once so far below that of guessing that the model must have learnt.

    The validation samples may be easier to guess than the training samples: by the standard error of a
    variance (of normal numbers), which is more than that of an entropy; without their number by half.
    """
    v = finite_values(signals, "val_loss")
    if not len(v) or not trivial > 0:
        return False
    samples = float(facts.get("validation_samples", 0))
    doubt = min(ERRORS * math.sqrt(2 / samples), UNKNOWN) if samples >= 1 else UNKNOWN
    return float(np.min(v)) < (1 - doubt) * trivial


def _highest_mean(x: Values) -> float:
    """What the mean of the last third of the losses `x` [n] may be at most; infinite for too few."""
    late = x[-(len(x) // 3) :]
    return (
        float(np.mean(late) + SURE * np.std(late) / math.sqrt(len(late))) if len(late) >= ROWS else math.inf
    )


def labels_behind(signals: Signals, facts: Facts) -> float:
    """Labels that a trivial loss was reckoned from; infinite where it is known of all the data."""
    known = {"trivial_loss", *LABEL_FACTS.get(str(facts.get("task")), ())} & facts.keys()
    if known or "trivial_loss" not in signals:
        return math.inf
    size = batch_size(signals, facts)
    return len(signals["trivial_loss"]) * (size if size > 1 else 1.0)
