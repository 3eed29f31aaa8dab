"""Something is wrong with the data: with labels, inputs, their order, or the split.

Notation
    h       entropy of the classes within a batch, per due row           [n]
    s, m    spread and mean of the numbers to predict within a batch     [n]
    V       variance of all numbers to predict
    B       samples in a batch
The facts are those of `diagnostics/data.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.data import largest_share
from diagnostics.evidence.guessing import guessing_loss, trivial_loss
from diagnostics.evidence.relation import unrelated
from diagnostics.evidence.rows import batch_size, finite_values
from diagnostics.evidence.suffering import numbers_of, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import listed
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

KIND = "data-fault"

ENOUGH = 4000
"""Samples of batches whose labels must all be the same before a word is said, where the rest of the data is
unknown (house rule: a class with a share of 0.2 % is missed by a chance of 0.03 %; samples in the order of
their labels begin with as many of one class)."""

ROWS = 5
"""Due rows before anything is said about the order of the samples."""

MIXED = 0.3
"""Share of the variety that a batch of shuffled samples has, below which the samples came in order."""

VARIETY = 0.1
"""Entropy in nats below which the classes are too uneven to say so."""

SMALLEST = 4
"""Samples in a batch for the same."""

GOOD = 0.5
"""Share of the trivial loss below which validation does well, whatever the order of the samples."""

SHIFT, LARGE_SHIFT = 0.1, 0.25
"""Distance of training and validation labels worth a word, and a warning (house rule: a quarter of the
validation labels would have to be others)."""

CHANCE = 1e-4
"""How rarely chance alone may give such a distance."""

FEW_COPIES = 0.01
"""Share of copies, and of copies with two labels, that is worth a word (house rule)."""

COPIES = 0.5
"""Share of validation samples that are training samples too from which validation says little (a warning)."""

WIDE = 4
"""Columns of x below which samples are equal by nature."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """One finding for each thing that is wrong with the data."""
    yield from _not_finite(signals, facts)
    constant = list(_constant_labels(signals, facts))
    yield from constant
    yield from _out_of_range(signals, facts)
    if not constant:
        yield from _in_order(signals, facts)
        yield from _unrelated(signals, facts)
    yield from _split(facts)


def _not_finite(signals: Signals, facts: Facts) -> Iterator[Finding]:
    for name, known, what in (("y_bad", "label_bad", "labels"), ("x_bad", "feature_bad", "input entries")):
        bad = np.flatnonzero(signals[name].values > 0) if name in signals else np.array([], dtype=int)
        number = float(facts.get(known, 0.0))
        if not len(bad) and not number > 0:
            continue
        step = int(signals[name].steps[bad[0]]) if len(bad) else 0
        seen = float(signals[name].values[bad[0]]) if len(bad) else number
        where = f"in the batch of step {step}" if len(bad) else "in the data"
        count = "some" if len(bad) and name == "x_bad" else f"{seen:.0f}"  # `x_bad` is 1 or 0
        cause = f"{count} {what} {where} are NaN or infinite{_columns(signals, name)}"
        remedy = "drop these samples, or fill the gaps (with the feature's median) before training"
        yield Finding(KIND, Severity.WARNING, step, numbers_of({name: seen}), cause, remedy)


def _columns(signals: Signals, name: str) -> str:
    """The features whose mean is not finite, as the end of a sentence."""
    if name != "x_bad" or "feature_mean" not in signals:
        return ""
    means = signals["feature_mean"]
    bad = [means.layers[i] for i in np.flatnonzero(~np.all(np.isfinite(means.values), axis=0))]
    return f" ({listed(bad, {})})" if bad else ""


def _constant_labels(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Labels without any variety: fatal where that is known of all the data, else a warning at most."""
    low, high = _range(signals, facts)
    number, value = _samples_seen(signals, facts), f" ({low:.4g})" if low == high else ""
    remedy = "check how the labels are read: the column, the folder names, what a missing label becomes"
    if _are_all_the_same(facts):
        cause = f"all labels are the same{value}: there is nothing to learn"
        yield Finding(KIND, Severity.FATAL, 0, {"samples_seen": number}, cause, remedy)
    elif low == high and number >= ENOUGH and _may_be_all_the_same(signals, facts):
        cause = (
            f"all labels of the {number:.0f} samples looked at so far are the same{value}: there is nothing "
            "to learn from them, unless the samples come in the order of their labels and others are to come"
        )
        remedy += "; if others are to come, shuffle the samples (DataLoader(..., shuffle=True))"
        yield Finding(KIND, Severity.WARNING, 0, {"samples_seen": number}, cause, remedy)


def _are_all_the_same(facts: Facts) -> bool:
    """Whether facts about all of the data say that no label differs."""
    no_loss = facts.get("trivial_loss") == 0 and facts.get("task") != "other"
    return facts.get("label_constant") == 1 or no_loss


def _may_be_all_the_same(signals: Signals, facts: Facts) -> bool:
    """Whether nothing says that there are other labels: no fact, no first epoch that goes on, no NaN."""
    differ = facts.get("label_constant") == 0 or float(facts.get("trivial_loss", 0.0)) > 0
    bad = bool(np.any(finite_values(signals, "y_bad") > 0))
    return not (differ or bad) and signals.last_step + 1 >= float(facts.get("steps_per_epoch", 0))


def _out_of_range(signals: Signals, facts: Facts) -> Iterator[Finding]:
    if facts.get("task") != "classification":
        return
    _, high = _range(signals, facts)
    outputs = max(2.0, float(facts.get("outputs", _last(signals, "answer_width"))))
    if math.isfinite(outputs) and math.isfinite(high) and high >= outputs:
        cause = f"the labels go up to {high:.0f}, but the model has answers for 0 to {outputs - 1:.0f} only"
        remedy = f"count the classes from 0, or give the model {high + 1:.0f} outputs"
        evidence = {"largest_label": high, "outputs": outputs}
        yield Finding(KIND, Severity.WARNING, _first_above(signals, outputs), evidence, cause, remedy)


def _first_above(signals: Signals, outputs: float) -> int:
    if "y_max" not in signals:
        return 0
    over = np.flatnonzero(signals["y_max"].values >= outputs)
    return int(signals["y_max"].steps[over[0]]) if len(over) else 0


def _in_order(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Batches with far less variety than shuffled ones would have."""
    size, total = batch_size(signals, facts), guessing_loss(signals, facts)
    if not (size >= SMALLEST and total > 0):
        return
    of_task = _variety_of_numbers if facts.get("task") == "regression" else _variety_of_classes
    variety, single, sure = of_task(signals, facts, size, total)
    if len(variety) < ROWS or not sure or float(np.mean(variety)) >= MIXED:
        return
    evidence = {
        "variety_in_batches": float(np.mean(variety)),
        "single_class_batches": single,
        "batch_size": size,
    }
    cause = (
        f"the batches hold {100 * float(np.mean(variety)):.0f} % of the variety of labels that shuffled ones "
        "would"
        f"{f', and {100 * single:.0f} % of them a single class' if single > 0 else ''}: the samples come in "
        "the order of their labels"
    )
    remedy = "shuffle the training samples before every epoch (DataLoader(..., shuffle=True))"
    step = int(signals["loss"].steps[0])
    kept = numbers_of(evidence)
    yield Finding(KIND, warn_if(not _validates_well(signals, facts)), step, kept, cause, remedy)


def _variety_of_classes(
    signals: Signals, facts: Facts, size: float, total: float
) -> tuple[Values, float, bool]:
    """Entropy of each batch over that of shuffled ones; share of single-class batches; whether no chance
    gives so many.
    m samples of a shuffled batch are not of the largest class, so that a batch has a single class in exp(-m)
    of cases."""
    if "y_entropy" not in signals or total <= VARIETY:
        return np.array([]), math.nan, False
    h = finite_values(signals, "y_entropy")
    single = float(np.mean(h < 1e-9)) if len(h) else math.nan
    m = size * (1 - largest_share(total, int(facts.get("outputs", 2))))
    return h / min(total, math.log(size)), single, single * len(h) * m > -math.log(CHANCE)


def _variety_of_numbers(
    signals: Signals, facts: Facts, size: float, total: float
) -> tuple[Values, float, bool]:
    """Variance of each batch over that of all numbers; whether the batches' means vary with them."""
    s, m = finite_values(signals, "y_spread"), finite_values(signals, "y_mean")
    return s**2 / total, math.nan, len(m) > 1 and float(np.var(m)) > total / 2


def _validates_well(signals: Signals, facts: Facts) -> bool:
    v, total = finite_values(signals, "val_loss"), trivial_loss(signals, facts)
    return bool(len(v) and math.isfinite(total) and float(np.median(v[-3:])) < GOOD * total)


def _unrelated(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """What is learnt by heart has no rule; where nothing is learnt, that is a guess, and a remark."""
    found = unrelated(signals, facts)
    if found is None:
        return
    doing = "the training loss fell to" if found.learnt else "the training loss stays at"
    rest = "but the" if found.learnt else "steps have their usual size, and the"
    cause = (
        f"the labels look unrelated to the inputs: {doing} {found.train:.4g}, {rest} validation loss was "
        f"never below {found.best_val:.4g}, and guessing has {found.trivial:.4g}"
    )
    remedy = (
        "check that every label belongs to its input (an index shuffled for one and not for the other), "
        "and that validation data are prepared like training data"
    )
    evidence = {"train_loss": found.train, "best_val_loss": found.best_val, "trivial_loss": found.trivial}
    yield Finding(KIND, warn_if(found.learnt), found.step, evidence, cause, remedy)


def _split(facts: Facts) -> Iterator[Finding]:
    shift = float(facts.get("label_shift", 0.0))
    if shift > SHIFT and float(facts.get("label_shift_chance", 1.0)) < CHANCE:
        unseen = float(facts.get("label_unseen", 0.0))
        more = (
            f"; {100 * unseen:.0f} % of the validation labels are of classes without a training sample"
            if unseen
            else ""
        )
        cause = f"training and validation labels differ in distribution by {100 * shift:.0f} %{more}"
        remedy = "split at random, with equal shares of each class (stratified)"
        evidence = {"label_shift": shift, "label_unseen": unseen}
        yield Finding(KIND, warn_if(shift > LARGE_SHIFT), 0, numbers_of(evidence), cause, remedy)
    yield from _copies(facts)


def _copies(facts: Facts) -> Iterator[Finding]:
    """Validation samples that are training samples too; of classes, some may have two different labels."""
    copies = float(facts.get("duplicates_across_split", 0.0))
    if copies <= FEW_COPIES or float(facts.get("feature_count", 0)) < WIDE:
        return
    cause = f"{100 * copies:.1f} % of the validation samples are among the training samples"
    evidence = {"duplicates_across_split": copies}
    remedy = "drop duplicates before splitting, or split by group"
    disagree = float(facts.get("duplicates_disagree", 0.0)) if facts.get("task") == "classification" else 0.0
    if disagree > FEW_COPIES:
        cause += f", {100 * disagree:.0f} % of these with another label there: some labels are wrong"
        remedy += ", and look at those that have two labels"
        evidence["duplicates_disagree"] = disagree
    else:
        cause += ": validation flatters"
    yield Finding(KIND, warn_if(copies > COPIES), 0, evidence, cause, remedy)


def _range(signals: Signals, facts: Facts) -> tuple[float, float]:
    """The least and the largest label that is known; NaN where none is."""
    low = np.append(finite_values(signals, "y_min"), float(facts.get("label_min", math.nan)))
    high = np.append(finite_values(signals, "y_max"), float(facts.get("label_max", math.nan)))
    return float(np.fmin.reduce(low)) + 0.0, float(np.fmax.reduce(high)) + 0.0  # a zero without its sign


def _samples_seen(signals: Signals, facts: Facts) -> float:
    if "batch_size" in signals:
        return float(np.sum(finite_values(signals, "batch_size")))
    rows = len(signals["y_min"]) if "y_min" in signals else 0
    return rows * float(facts.get("batch_size", 1))


def _last(signals: Signals, name: str) -> float:
    return float(signals[name].values[-1]) if name in signals else math.nan


RULE = Rule(
    name=KIND,
    needs={"loss": 1},
    check=check,
    source="house rules; order: a batch of shuffled samples has nearly the entropy of all",
)
