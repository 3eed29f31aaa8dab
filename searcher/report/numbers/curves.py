"""Section 3 of a report: the curves of all trials, of the best ones, and one for every finding.

Notation
    t       optimizer step of a row                                [n]
    x       value at that step                                     [n]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diagnostics import Finding, Series
from diagnostics.report import shown
from searcher.fronts import best_first
from searcher.report.numbers.cases import Case, SignalsOf, cases, own_signals
from searcher.report.observations import Curves, Example, Line
from searcher.report.words import significant
from searcher.spec import StudySpec
from searcher.trial import TrialResult

ALL_POINTS = 30_000
"""Points of all trials' losses together: about 0.6 MB of the page (house rule)."""

FEWEST, MOST = 12, 200
"""Points of a line: as many as show its shape, and no more than a plot is wide (house rule)."""

MOST_OF_ALL = 80
"""Points of a line that is drawn among all others: longer blocks, less noise (house rule)."""

LAST = 5
"""Rows of the last point of a line: one alone would show the noise of its batch (house rule)."""

BEST = 5
"""Trials whose training is shown against their validation."""

LOSSES = ("loss", "train_loss", "val_loss")
"""Signals that show how a training went, in the order of preference."""

PAIRS = (("train_loss", "val_loss"), ("loss", "val_loss"), ("train_accuracy", "val_accuracy"))
"""Signals of training and validation that belong together, in the order of preference."""

SHOWN_BY = {
    "bad-init-scale": ("loss",),
    "clipping-dominates": ("raw_grad_norm", "total_grad_norm"),
    "constant-predictions": ("answer_spread",),
    "dead-units": ("dead_share", "zero_share"),
    "exploding-gradients": ("total_grad_norm", "grad_norm"),
    "frozen-layers": ("update_norm",),
    "gradients-accumulate": ("total_grad_norm",),
    "label-noise": ("train_loss_split", "val_loss"),
    "learning-rate-too-high": ("loss", "overshoot"),
    "learning-rate-too-low": ("train_loss", "loss"),
    "mode-mismatch": ("eval_mode_share", "train_mode", "running_gap"),
    "norm-masks-init": ("rotation",),
    "noisy-gradients": ("grad_square",),
    "batch-too-large": ("grad_square",),
    "over-regularized": ("weight_norm", "total_weight_norm"),
    "overfitting": ("val_loss",),
    "plateau": ("loss", "train_loss"),
    "saturated-activations": ("slope_share",),
    "symmetric-units": ("row_spread", "grad_row_spread"),
    "underfitting": ("train_loss", "loss"),
    "vanishing-gradients": ("output_grad", "grad_norm", "update_norm"),
    "weight-blowup": ("weight_norm", "total_weight_norm"),
}
"""The signals in which a finding is best seen, in the order of preference; all others in the loss."""


def curves(spec: StudySpec, results: Sequence[TrialResult], signals_of: SignalsOf = own_signals) -> Curves:
    """All trials' losses, the best trials' training against validation, and an example for every finding."""
    points = min(max(ALL_POINTS // max(len(results), 1), FEWEST), MOST_OF_ALL)
    losses = [
        line
        for result in results
        if (line := _first_line(result, signals_of, (*LOSSES, spec.metric.name), points)) is not None
    ]
    best = [
        line
        for result in best_first(spec.metrics, results)[:BEST]
        for line in _pair(result, signals_of, spec.metric.name)
    ]
    examples = [_example(found[0], signals_of) for found in cases(results, wanted=lambda _: True).values()]
    return Curves(tuple(losses), tuple(best), tuple(examples), _note(results, losses))


def _note(results: Sequence[TrialResult], losses: Sequence[Line]) -> str:
    if not results:
        return "No trial has ended yet."
    missing = len(results) - len(losses)
    if not missing:
        return ""
    if not losses:
        return (
            f"None of the {len(results)} trials has left a curve: they ended before the first measurement, "
            "or their files are no longer in the folder of the study."
        )
    return f"{missing} of {len(results)} trials have left no curve."


def _first_line(
    result: TrialResult,
    signals_of: SignalsOf,
    names: Sequence[str],
    points: int,
    layers: Sequence[str] = (),
) -> Line | None:
    """The first of the signals that has anything to draw, of the first of the layers that it has."""
    for name in dict.fromkeys(names):
        series = signals_of(result, (name,)).get(name)
        line = None if series is None else _line(result, name, series, points, layers)
        if line is not None and line.steps:
            return line
    return None


def _pair(result: TrialResult, signals_of: SignalsOf, metric: str) -> list[Line]:
    """Training and validation; where they were not both measured, what there is."""
    for pair in PAIRS:
        signals = signals_of(result, pair)
        if len(signals) == len(pair):
            return [_line(result, name, signals[name], MOST) for name in pair]
    line = _first_line(result, signals_of, ("val_loss", metric, *LOSSES), MOST)
    return [] if line is None else [line]


def _example(case: Case, signals_of: SignalsOf) -> Example:
    finding = case.finding
    names = (*SHOWN_BY.get(finding.kind, ()), *LOSSES, "val_accuracy")
    return Example(
        kind=finding.kind,
        severity=finding.severity.word,
        trial=case.result.number,
        step=finding.step,
        layers=finding.layers,
        evidence=shown(finding.evidence),
        cause=finding.cause,
        remedy=finding.remedy,
        line=_first_line(case.result, signals_of, names, MOST, _columns(finding)),
    )


def _columns(finding: Finding) -> tuple[str, ...]:
    """The columns in which the finding's layers may stand: parameters by their name, layers without it."""
    modules = tuple(layer.removesuffix(".weight") for layer in finding.layers)
    return tuple(dict.fromkeys((*finding.layers, *modules, *(f"{name}.weight" for name in modules))))


def _line(result: TrialResult, name: str, series: Series, points: int, layers: Sequence[str] = ()) -> Line:
    """A series as a line; of a signal by layer the first of `layers` that it has, else its own first."""
    x, label = series.values, name
    if series.layers:
        layer = next((layer for layer in layers if layer in series.layers), series.layers[0])
        x, label = x[:, series.layers.index(layer)], f"{name} of {layer}"
    steps, values = thinned(series.steps, x, points)
    return Line(result.number, label, result.verdict.value, steps, values)


def thinned(
    t: NDArray[np.int64], x: NDArray[np.float64], points: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """At most `points` of the finite rows, to four significant digits.

    Early rows stay closer together, since most happens there: each point is the median of a block, and
    blocks are equally long in the square root of the step. The last point is how it ended, in few rows.
    """
    is_finite = np.isfinite(x)
    t, x = t[is_finite], x[is_finite]
    if len(t) > points:
        place = np.sqrt(t - t[0])
        block = np.minimum(place / (place[-1] or 1.0) * (points - 1), points - 2).astype(int)
        block[-LAST:] = points - 1  # a longer block would hide an explosion
        ends = np.flatnonzero(np.diff(block, append=points) != 0)
        begins = np.concatenate([[0], ends[:-1] + 1])
        x = np.array([np.median(x[a : b + 1]) for a, b in zip(begins, ends, strict=True)])
        t = t[ends]
    return tuple(int(step) for step in t), tuple(significant(float(value), 4) for value in x)
