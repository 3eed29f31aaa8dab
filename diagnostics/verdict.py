"""Exactly one verdict for a training, with the figures it rests on.

Notation
    m       the curve that stands for the training (`diagnostics/evidence/course.py`)     [n]
    v       validation loss per evaluation
    T       loss of the trivial predictor
    learnt  the higher of T and the first level, less the lowest level of m
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from diagnostics.causes import flatten
from diagnostics.evidence.course import Curve, Trend, blocks_of, course, evaluations, trend
from diagnostics.evidence.forecast import foretold
from diagnostics.evidence.guessing import guesses_better
from diagnostics.evidence.improvement import Improvement, improvement, share_learnt, soon_learns
from diagnostics.evidence.learning import LEARNT, Standing, standing
from diagnostics.evidence.trends import mann_kendall, noise
from diagnostics.findings import Facts, Finding, Severity, Verdict
from diagnostics.signals import FIRST, Signals

SWING = 0.25
"""Share of what was learnt that the spread of the last half must reach to count as swinging (house rule)."""

SLOW = 2.0
"""Times the noise of the blocks of steps that their spread must be to be more than noise (house rule)."""

CLEAR = 2.33
"""Score that a trend must reach to be seen through oscillations (one-sided 1 %)."""

FATAL_MEANS: Mapping[str, Verdict] = {
    "non-finite": Verdict.NON_FINITE,
    "diverging": Verdict.DIVERGED,
    "not-learning": Verdict.NOT_LEARNING,
}
"""What a fatal finding makes of a training, the gravest first; any other fatal one means not learning."""

Statistics = dict[str, float]


@dataclass(frozen=True)
class _Judged:
    """What a verdict looks at; `grave` are the kinds found with a warning or worse."""

    curve: Curve
    gained: Improvement
    state: Standing
    grave: Mapping[str, Severity]


def judge(signals: Signals, facts: Facts, findings: Sequence[Finding]) -> tuple[Verdict, Statistics]:
    """The verdict and its statistics; see `diagnose` for the facts it reads.

    `findings` weigh most: a fatal one decides; a warning of overfitting or oscillation does when the
    curves do not speak against it. A training that still runs is judged by what is known so far.
    """
    curve, state, ended = course(signals), standing(signals, facts), facts.get("ended")
    gained = None if curve is None else improvement(signals, curve, state.trivial)
    statistics = {"steps": steps_of(signals, facts), **_statistics(signals, curve, gained, state)}
    grave = _grave(findings)
    if ended == "failed":
        return Verdict.FAILED, statistics
    fatal = {kind for kind, severity in grave.items() if severity is Severity.FATAL}
    if fatal:
        meant = (verdict for kind, verdict in FATAL_MEANS.items() if kind in fatal)
        return next(meant, Verdict.NOT_LEARNING), statistics
    if ended == "stopped" or curve is None or gained is None:
        return Verdict.INCOMPLETE, statistics
    of = _Judged(curve, gained, state, grave)
    return _of_curves(signals, facts, of), statistics


def _of_curves(signals: Signals, facts: Facts, of: _Judged) -> Verdict:
    finished = facts.get("ended") == "finished"
    if _no_better_than_guessing(signals, facts, of):
        known = math.isfinite(of.state.trivial)
        return Verdict.NOT_LEARNING if finished and known else Verdict.INCOMPLETE
    if "overfitting" in of.grave:
        return Verdict.OVERFITTING
    if (_swings(of) or "oscillating" in of.grave) and not of.gained.goes_on:
        return Verdict.UNSTABLE
    if of.gained.goes_on:
        return Verdict.IMPROVING
    rests = of.gained.tested and (of.state.learns or finished)
    return Verdict.CONVERGED if rests else Verdict.INCOMPLETE


def _no_better_than_guessing(signals: Signals, facts: Facts, of: _Judged) -> bool:
    """Whether the end is no better than the trivial predictor, or, without that, than the start."""
    state, curve = of.state, of.curve
    if soon_learns(signals, state.trivial):
        return False
    if state.known and (state.stuck or state.worse):
        return True
    if guesses_better(signals, facts, state.trivial) or of.gained.goes_on:
        return False
    known = math.isfinite(state.trivial)
    level = state.trivial if known else float(np.median(curve.values[:2]))
    return float(np.median(curve.values[-3:])) >= level - (1 - LEARNT) * abs(level)


def _swings(of: _Judged) -> bool:
    """Whether the last half swings widely, against all that was learnt, and gets nowhere.

    Losses of steps differ by their batches, so there the swings must be slower than that noise.
    """
    half = of.curve.half.values
    spread = float(np.std(half))
    if np.all(np.diff(half) < 0):
        return False  # too few for a significant trend, and no swing among them
    if of.curve.name == "loss" and spread < SLOW * noise(half):
        return False
    return spread > SWING * of.gained.learnt > 0 and mann_kendall(half) > -CLEAR


def _grave(findings: Iterable[Finding]) -> dict[str, Severity]:
    """The kinds found with a warning or worse, consequences of other findings among them.

    An overfitting that is only a gap is none of them: validation has not become worse.
    """
    grave: dict[str, Severity] = {}
    for finding in flatten(findings):
        only_a_gap = finding.kind == "overfitting" and "gap" in finding.evidence
        if finding.severity >= Severity.WARNING and not only_a_gap:
            grave[finding.kind] = max(finding.severity, grave.get(finding.kind, Severity.INFO))
    return grave


def steps_of(signals: Signals, facts: Facts) -> float:
    """How many steps there were: the number of the last one, where the first is 1."""
    return float(signals.last_step + 1) - float(facts.get(FIRST, 0))


def _statistics(
    signals: Signals, curve: Curve | None, gained: Improvement | None, state: Standing
) -> Statistics:
    found: Statistics = {}
    if math.isfinite(state.trivial):
        found["trivial_loss"] = state.trivial
    stepped = {"loss": blocks_of(signals, "loss")}
    evaluated = {name: evaluations(signals, name) for name in ("train_loss", "val_loss")}
    for name, x in {**stepped, **evaluated}.items():
        if len(x):
            found |= _of_one(name, x)
    if curve is None or gained is None:
        return found
    found["curve_places"], found["loss_now"] = float(len(curve)), gained.now
    found["share_learnt"] = share_learnt(gained.now, float(curve.values[0]), state.trivial)
    found["gain_of_last_half"], found["gain_of_last_quarter"] = gained.share, gained.late
    found["trend_of_last_half"] = gained.half.z
    for times, outlook in foretold(curve, gained.now).items():
        found[f"forecast_{times:g}x"] = outlook.loss
        found[f"forecast_{times:g}x_low"], found[f"forecast_{times:g}x_high"] = outlook.low, outlook.high
    return found


def _of_one(name: str, x: Curve) -> Statistics:
    half: Trend = trend(x.half)
    return {
        f"{name}_first": float(x.values[0]),
        f"{name}_best": float(np.min(x.values)),
        f"{name}_best_step": float(x.steps[int(np.argmin(x.values))]),
        f"{name}_last": float(x.values[-1]),
        f"{name}_noise": trend(x).s,
        f"{name}_slope": half.slope,
        f"{name}_slope_low": half.low,
        f"{name}_slope_high": half.high,
        f"{name}_trend": half.z,
        f"{name}_trend_p": half.p,
    }
