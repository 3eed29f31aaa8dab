"""Labels that are partly wrong, or say nothing about the inputs: learnt by heart, and of no use for others.

Notation
    R       share of the variance of the log per-sample training loss that two groups explain  [evaluations]
    upper   share of the samples in the group with the higher loss                             [evaluations]
    e, v    training and validation loss; T loss of the trivial predictor
    A, B    training and validation accuracy per evaluation                                    [n]
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.course import ENOUGH, Curve, evaluations, trend
from diagnostics.evidence.guessing import trivial_loss
from diagnostics.evidence.learning import LEARNT, standing
from diagnostics.evidence.suffering import hampered, sibling_loss, warn_if
from diagnostics.evidence.trends import SIGNIFICANT, mann_kendall, noise
from diagnostics.evidence.validation import FEWEST, SIGMAS, median_of_three, paired, rise
from diagnostics.evidence.words import short
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals

SPLIT = 0.8
"""Share of the variance above which two groups are two: one normal group split at its middle has 0.64, a
uniform one 0.75.

Source: the ratio of Otsu (1979), A threshold selection method from gray-level histograms.
"""

FEW, MANY = 0.02, 0.5
"""Shares of samples between which the upper group may be noise (house rule: fewer are hard cases)."""

REST = 0.1
"""Share of the trivial predictor's loss that must be left for groups to say anything (house rule)."""

LASTS = 3
"""Evaluations for which the groups must be apart (house rule)."""

BY_HEART = 0.8
"""Share of the trivial predictor's loss below which the training labels are being learnt (house rule)."""

LEARNS = 0.9
"""The same where training goes on to fall and validation does not (house rule)."""

DROP = 0.05
"""Validation accuracy that must be lost at least while the training accuracy rises (house rule)."""

KNOWS = 0.2
"""Share of the way from the largest class's share to 1 that an accuracy is clearly above it (house rule)."""

BETTER, MUCH_BETTER = 0.95, 0.75
"""Validation over training loss below which validation is better; and so much so that it cannot be its
samples alone (house rule: the error of a variance from 100 samples is a seventh)."""

REMEDY = (
    "look at the samples with the highest training loss and at how labels were joined to inputs; stop at "
    "the best validation (patience), use label_smoothing of about 0.1, or a model too small to learn by heart"
)


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """The first of four signs that is there."""
    for sign in (_nothing_carries_over, _validation_is_better, _late_fits_harm, _two_groups):
        found = sign(signals, facts)
        if found is not None:
            yield found
            return


def _two_groups(signals: Signals, facts: Facts) -> Finding | None:
    r, upper = paired(signals, "train_loss_split", "train_loss_upper")
    apart = (r.values > SPLIT) & (upper.values > FEW) & (upper.values < MANY)
    if len(apart) < LASTS or not np.all(apart[-LASTS:]) or not _has_rest(signals, facts):
        return None
    first = int(r.steps[np.flatnonzero(~apart)[-1] + 1]) if not np.all(apart) else int(r.steps[0])
    risen = rise(signals, trivial_loss(signals, facts))
    evidence = {"split": float(r.values[-1]), "upper_share": float(upper.values[-1])}
    cause = (
        f"the training samples fall into two groups by their loss, {100 * upper.values[-1]:.0f} % in the "
        f"upper one; two groups explain {100 * r.values[-1]:.0f} % of the differences"
    )
    if risen is not None:
        evidence["val_loss_best"], evidence["val_loss_now"] = risen.best, risen.now
        cause += f", and validation has risen from {short(risen.best)} to {short(risen.now)}"
    return Finding(
        "label-noise", warn_if(risen is not None and risen.matters), first, evidence, cause, REMEDY
    )


def _has_rest(signals: Signals, facts: Facts) -> bool:
    """Whether the training learns, and not all is learnt: else losses differ by orders and mean nothing."""
    state = standing(signals, facts)
    level = state.trivial if math.isfinite(state.trivial) else state.start
    return not (state.stuck or state.worse) and not state.now < REST * level


def _nothing_carries_over(signals: Signals, facts: Facts) -> Finding | None:
    """The training labels are learnt, and validation never becomes better than the trivial predictor."""
    trivial = trivial_loss(signals, facts)
    train, val = paired(signals, "train_loss", "val_loss")
    if len(train) < LASTS or not trivial > 0:
        return None
    now, best = float(np.median(train.values[-LASTS:])), float(np.min(val.values))
    if best < LEARNT * trivial or _validation_knows(signals, facts):
        return None
    if now > BY_HEART * trivial and not (now < LEARNS * trivial and _only_training_falls(train, val)):
        return None
    step = int(train.steps[np.flatnonzero(train.values <= LEARNT * trivial)[0]])
    evidence = {"train_loss_now": now, "val_loss_best": best, "trivial_loss": trivial}
    cause = (
        f"the training labels are learnt (loss {short(now)}), but nothing of it carries over: validation was "
        f"never better than {short(best)}, the trivial predictor has {short(trivial)}; the labels do not "
        "follow from the inputs, or the two sets have nothing in common"
    )
    return Finding("label-noise", Severity.WARNING, step, evidence, cause, REMEDY)


def _only_training_falls(train: Curve, val: Curve) -> bool:
    """Whether the last half of many evaluations brings training something, and validation nothing."""
    return len(train) >= ENOUGH and trend(train.half).falls and not trend(val.half).falls


def _validation_knows(signals: Signals, facts: Facts) -> bool:
    """Whether the validation accuracy is clearly above the share of the largest class."""
    accuracy = evaluations(signals, "val_accuracy").values
    classes = max(2.0, float(facts.get("outputs", 2)))
    largest = float(facts.get("label_largest", 1 / classes))
    return len(accuracy) > 0 and float(np.max(accuracy)) > largest + KNOWS * (1 - largest)


def _validation_is_better(signals: Signals, facts: Facts) -> Finding | None:
    """Other samples are answered better than those that were trained on, the more so the more is learnt."""
    state = standing(signals, facts)
    train, val = paired(signals, "train_loss", "val_loss")
    if len(train) < FEWEST or not state.learns or _may_be_in_training_mode(signals, facts):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = val.values / train.values
    half = ratio[len(ratio) // 2 :]
    if not (np.all(np.isfinite(ratio)) and np.all(train.values > 0) and float(np.max(half)) < BETTER):
        return None
    if float(np.median(half)) > MUCH_BETTER and not _accuracy_leads(signals):
        return None
    e, v = (float(np.median(x.values[-LASTS:])) for x in (train, val))
    evidence = {"train_loss_now": e, "val_loss_now": v, "ratio": float(np.median(half))}
    cause = (
        f"the samples that were trained on are answered worse (loss {short(e)}) than those of validation "
        f"({short(v)}): their labels are wrong more often, unless they are augmented or harder"
    )
    severity = warn_if(hampered(state, sibling_loss(facts)))
    begin = (
        int(val.steps[np.flatnonzero(ratio >= BETTER)[-1] + 1])
        if np.any(ratio >= BETTER)
        else int(val.steps[0])
    )
    return Finding("label-noise", severity, begin, evidence, cause, REMEDY)


def _may_be_in_training_mode(signals: Signals, facts: Facts) -> bool:
    """Whether dropout may have been on while the training loss was evaluated."""
    shares = evaluations(signals, "eval_mode_share").values
    return float(np.min(shares)) < 1 if len(shares) else float(facts.get("dropout", 0.0)) > 0


def _accuracy_leads(signals: Signals) -> bool:
    """Whether validation accuracy leads: by much, or by more than at first, as learning helps others more."""
    train, val = paired(signals, "train_accuracy", "val_accuracy")
    if len(val) < FEWEST:
        return False
    lead = val.values - train.values
    least = float(np.min(lead[-LASTS:]))
    return least > 3 * DROP or (least > DROP and float(np.median(lead[-LASTS:])) > float(lead[0]) + DROP / 2)


def _late_fits_harm(signals: Signals, facts: Facts) -> Finding | None:
    """Training accuracy keeps rising after validation accuracy was best, and the latter falls to stay."""
    train, val = paired(signals, "train_accuracy", "val_accuracy")
    if len(val) < FEWEST:
        return None
    m = median_of_three(val.values)
    best = int(np.argmax(m))
    after = val.values[best + 1 :]
    s = max(noise(val.values), 1e-3)
    if len(after) < max(LASTS, len(m) // 5) or mann_kendall(val.values[best:]) > -SIGNIFICANT:
        return None
    lost = float(m[best] - np.median(after[-LASTS:]))
    gained = float(np.median(train.values[-LASTS:]) - train.values[best])
    tail = after[-max(LASTS, len(after) // 2) :]
    if lost < DROP or gained < lost / 2 or float(np.max(tail)) > m[best] - SIGMAS * s:
        return None
    evidence = {
        "val_accuracy_best": float(m[best]),
        "val_accuracy_now": float(m[best]) - lost,
        "train_accuracy_then": float(train.values[best]),
        "train_accuracy_now": float(train.values[best]) + gained,
    }
    if _rose_before(signals, int(val.steps[best])):
        return None
    cause = (
        f"validation accuracy was best at step {int(val.steps[best])} ({100 * m[best]:.1f} %, training "
        f"{100 * train.values[best]:.1f} %) and fell by {100 * lost:.1f} points while the training accuracy "
        f"rose by {100 * gained:.1f}: what is fitted late is wrong for others"
    )
    return Finding("label-noise", Severity.WARNING, int(val.steps[best]), evidence, cause, REMEDY)


def _rose_before(signals: Signals, step: int) -> bool:
    """Whether the training loss was rising after that step: then the training broke, not the labels."""
    curve = evaluations(signals, "train_loss")
    later = curve.values[curve.steps >= step]
    return len(later) >= LASTS and mann_kendall(later) > SIGNIFICANT and math.isfinite(later[-1])


RULE = Rule(
    name="label-noise",
    needs={},
    check=check,
    source="Zhang et al. (2017), Understanding deep learning requires rethinking generalization; "
    "Arpit et al. (2017), A closer look at memorization: clean samples are fitted first",
)
