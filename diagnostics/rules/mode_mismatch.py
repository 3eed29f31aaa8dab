"""Trained in evaluation mode, evaluated in training mode, or with stale running statistics.

Notation
    m       1 where the forward pass of a due row ran in training mode        [n]
    share   share of an evaluation's passes that ran in evaluation mode       [evaluations]
    gap     distance of a batch norm's running mean from the batch's, in its deviations    [n, norms]
    ratio   running variance over the batch's                                 [n, norms]
    e       training loss per evaluation, in evaluation mode                  [evaluations]
    l       training loss of the last steps, in training mode
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.dropping import dropout_rate
from diagnostics.evidence.learning import standing
from diagnostics.evidence.rows import begin_of_last_run, common_rows, recent
from diagnostics.evidence.suffering import done, hampered, numbers_of, warn_if
from diagnostics.evidence.trends import Values
from diagnostics.evidence.words import listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

ROWS = 3
"""Due rows, or evaluations, in a row that must show it."""

LIKELY = 0.3
"""Rate of dropout as a function that its zeros must show from the start."""

WRONG = 0.5
"""Share of the passes of an evaluation that run in training mode from which it is evaluated wrongly."""

GAP = 2.0
"""Deviations of the batch between the running and its own mean that are stale (house rule: noise of batches
of 2 gives 0.7)."""

RATIO = 10.0
"""Factor between running and batch variance that is stale (house rule)."""

SETTLED = 50
"""Steps after which running statistics with torch's momentum of 0.1 have forgotten their start (0.9^50 =
0.005)."""

APART = 0.3
"""Share of the trivial loss by which the evaluated loss must exceed the training loss (house rule)."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """At most one finding for each of the three mistakes."""
    norms, dropouts = float(facts.get("batch_norms", 0)), dropout_rate(signals, facts, LIKELY)
    if not norms + dropouts:
        return  # no module knows of a mode; functions that depend on it leave their zeros behind
    parts = " and ".join(word for word, count in (("batch norm", norms), ("dropout", dropouts)) if count)
    trained_wrongly = list(_trained_in_evaluation_mode(signals, facts, parts))
    yield from trained_wrongly
    evaluated_wrongly = list(_evaluated_in_training_mode(signals, parts))
    yield from evaluated_wrongly
    if norms and not trained_wrongly and not evaluated_wrongly:
        yield from _stale(signals, facts)


def _trained_in_evaluation_mode(signals: Signals, facts: Facts, parts: str) -> Iterator[Finding]:
    if "train_mode" not in signals or float(facts.get("frozen", 0)) > 0:
        return  # a frozen part is put into evaluation mode on purpose
    m = signals["train_mode"]
    begin = begin_of_last_run(m.values < 0.5)
    if len(m) - begin < ROWS:
        return
    step = int(m.steps[begin])
    evidence = {"rows_in_evaluation_mode": float(len(m) - begin), "rows": float(len(m))}
    cause = f"the model trains in evaluation mode since step {step}, in which it works without {parts}"
    remedy = "call model.train() before the steps of every epoch (an evaluation leaves model.eval() behind)"
    yield Finding("mode-mismatch", warn_if(True), step, numbers_of(evidence), cause, remedy)


def _evaluated_in_training_mode(signals: Signals, parts: str) -> Iterator[Finding]:
    if "eval_mode_share" not in signals:
        return
    share = signals["eval_mode_share"]
    last = share.values[-ROWS:]
    if not float(np.median(last)) < WRONG:
        return
    step = int(share.steps[begin_of_last_run(share.values < WRONG) % len(share)])
    cause = (
        f"{100 * (1 - float(np.median(last))):.0f} % of the forward passes of an evaluation ran in "
        f"training mode: with {parts} the answers then depend on chance and on the other samples"
    )
    remedy = "call model.eval() before every evaluation and model.train() after it"
    evidence = {"eval_mode_share": float(np.median(last))}
    yield Finding("mode-mismatch", warn_if(True), step, numbers_of(evidence), cause, remedy)


def _stale(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """Running statistics that do not fit: by their own figures, or because evaluation mode does far worse."""
    if signals.last_step < SETTLED:
        return
    names, evidence = _far_off(signals)
    apart, figures = _apart(signals, facts)
    if not names and not apart:
        return
    place = standing(signals, facts)
    step = int(signals["loss"].steps[0])
    what = "evaluation mode does far worse than training mode"
    if names:
        gap, ratio = evidence["running_gap"], evidence["running_ratio"]
        what = (
            f"the running statistics of {listed(names, facts)} do not fit the batches (mean off by {gap:.2g} "
            f"deviations, variance {ratio:.2g} times theirs)"
        )
    if figures:
        what += (
            f": the training loss is {figures['loss']:.4g} in training and {figures['evaluated']:.4g} in "
            "evaluation mode"
        )
    remedy = (
        "let the statistics follow (momentum of the batch norm about 0.1, not frozen), raise batch_size to "
        "16 or more, or take norm = group or layer, which keep none"
    )
    severity = warn_if(apart or (bool(names) and not figures and hampered(place, done=done(signals, facts))))
    yield Finding(
        "mode-mismatch",
        severity,
        step,
        numbers_of({**evidence, **figures}),
        f"{what}; {outcome(place)}",
        remedy,
        names,
    )


def _far_off(signals: Signals) -> tuple[tuple[str, ...], dict[str, float]]:
    seen = common_rows(signals, "running_gap", "running_ratio")
    rows = min(5, int(np.sum(seen.steps >= SETTLED)))
    if rows < ROWS or not seen.layers:
        return (), {}
    gap, ratio = (recent(series, rows) for series in seen.series)
    off = (gap > GAP) | (ratio > RATIO) | (ratio < 1 / RATIO)
    off &= np.isfinite(gap) & np.isfinite(ratio)
    names = tuple(name for name, is_off in zip(seen.layers, off, strict=True) if is_off)
    if not names:
        return (), {}
    farthest = float(ratio[off][int(np.argmax(np.abs(np.log(_positive(ratio[off])))))])
    return names, {"running_gap": float(np.max(gap[off])), "running_ratio": farthest}


def _apart(signals: Signals, facts: Facts) -> tuple[bool, dict[str, float]]:
    """Whether the same data do far worse in evaluation mode, at each of the last evaluations."""
    if "train_loss" not in signals or len(signals["train_loss"]) < ROWS:
        return False, {}
    e, loss = signals["train_loss"], signals["loss"]
    trivial = standing(signals, facts).trivial
    before = [_loss_before(loss.values[loss.steps <= step]) for step in e.steps[-ROWS:]]
    figures = {"loss": float(np.median(before)), "evaluated": float(np.median(e.values[-ROWS:]))}
    if not math.isfinite(trivial) or not all(math.isfinite(value) for value in figures.values()):
        return False, {}
    over = e.values[-ROWS:] - np.array(before)
    return bool(np.all(over > APART * abs(trivial)) and figures["evaluated"] > 2 * figures["loss"]), figures


def _loss_before(values: Values) -> float:
    last = values[-max(3, len(values) // 10) :]
    return float(np.mean(last)) if len(last) else math.nan


def _positive(values: Values) -> Values:
    return np.maximum(values, np.finfo(float).tiny)


RULE = Rule(
    name="mode-mismatch",
    needs={"loss": ROWS},
    check=check,
    source=(
        "Ioffe and Szegedy (2015), Batch normalization: two modes of one layer; the limits are house rules"
    ),
)
