"""Section 6 of a report: how large updates and gradients were, by layer and step.

Notation
    t       optimizer step of a row                                [rows]
    r       norm of the update over the norm of the weights        [rows, layers]
    g       norm of the gradient                                   [rows, layers]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diagnostics import Finding, Severity, Signals
from diagnostics.evidence.steps import update_ratios
from searcher.report.numbers.cases import SignalsOf, cases, own_signals
from searcher.report.observations import GRADIENT, RATIO, LayerMap
from searcher.spec import StudySpec
from searcher.trial import TrialResult, ranked

FLAGGED = 6
"""Kinds of findings of which a trial is shown (house rule: what a person looks through)."""

TRIES = 3
"""Trials that are asked for signals by layer until one has them."""

COLUMNS, ROWS = 60, 40
"""Steps and layers of a map at most (house rule: cells that can still be seen on a phone)."""

SIGNALS = ("update_norm", "weight_norm", GRADIENT)


@dataclass(frozen=True)
class _Shown:
    """A trial to show, and why."""

    result: TrialResult
    signals: Signals
    why: tuple[str, ...]


def layer_maps(
    spec: StudySpec, results: Sequence[TrialResult], signals_of: SignalsOf = own_signals
) -> tuple[LayerMap, ...]:
    """Two maps, of update ratio and gradient norm, for the best trial and for one of every kind of warning
    or fatal finding that names layers."""
    shown: dict[int, _Shown] = {}
    for result in ranked(spec.metric, results)[:1]:
        _show(shown, result, signals_of, "the best trial")
    for kind, found in list(cases(results, _is_flagged).items())[:FLAGGED]:
        for case in found[:TRIES]:
            why = f"{kind} at step {case.finding.step} in {_named(case.finding.layers)}"
            if _show(shown, case.result, signals_of, why):
                break
    return tuple(map_ for one in shown.values() for map_ in _maps(one))


def _is_flagged(finding: Finding) -> bool:
    return finding.severity >= Severity.WARNING and bool(finding.layers)


def _named(layers: Sequence[str]) -> str:
    return layers[0] + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")


def _show(shown: dict[int, _Shown], result: TrialResult, signals_of: SignalsOf, why: str) -> bool:
    """Put a trial among those that are shown; whether it has signals by layer."""
    before = shown.get(result.number)
    if before is not None:
        shown[result.number] = replace(before, why=(*before.why, why))
        return True
    signals = signals_of(result, SIGNALS)
    layered = {name: signals[name] for name in signals if signals[name].layers}
    if GRADIENT not in layered and not layered.keys() >= {"update_norm", "weight_norm"}:
        return False
    shown[result.number] = _Shown(result, Signals(layered), (why,))
    return True


def _maps(shown: _Shown) -> list[LayerMap]:
    why, ratios = "; ".join(shown.why), update_ratios(shown.signals)
    maps = []
    if len(ratios) and ratios.layers:
        maps.append(_map(shown.result.number, why, RATIO, ratios.steps, ratios.values[0], ratios.layers))
    if GRADIENT in shown.signals:
        g = shown.signals[GRADIENT]
        maps.append(_map(shown.result.number, why, GRADIENT, g.steps, g.values, g.layers))
    return maps


def _map(
    trial: int,
    why: str,
    signal: str,
    t: NDArray[np.int64],
    x: NDArray[np.float64],
    layers: tuple[str, ...],
) -> LayerMap:
    """The decimal logarithms of `x` at some of the steps and layers, input first."""
    rows, columns = _some(len(t), COLUMNS), _some(len(layers), ROWS)
    with np.errstate(divide="ignore", invalid="ignore"):
        sizes = np.log10(x[np.ix_(rows, columns)])
    values = tuple(
        tuple(round(float(size), 2) if np.isfinite(size) else None for size in column) for column in sizes.T
    )
    return LayerMap(
        trial,
        why,
        signal,
        steps=tuple(int(step) for step in t[rows]),
        layers=tuple(layers[column] for column in columns),
        values=values,
    )


def _some(there: int, most: int) -> NDArray[np.int64]:
    """At most `most` places out of so many, equally far apart, the first and the last among them."""
    return np.unique(np.linspace(0, there - 1, min(there, most)).round().astype(np.int64))
