"""A verdict in a sentence, from its statistics: for the first line of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostics.causes import flatten
from diagnostics.evidence.course import CURVES
from diagnostics.evidence.steps import short
from diagnostics.findings import Finding, Report, Verdict


def sentence(report: Report) -> str:
    """What the verdict means here, in one sentence without a full stop; it may end in a forecast."""
    words = _WORDS[report.verdict](report)
    return words + (_outlook(report.statistics) if report.verdict is Verdict.IMPROVING else "")


def _converged(report: Report) -> str:
    return f"{_reached(report.statistics)}, and is flat within its noise"


def _improving(report: Report) -> str:
    gain = report.statistics.get("gain_of_last_half", math.nan)
    late = f", {100 * gain:.0f} % of it in the last half" if math.isfinite(gain) else ""
    return f"{_reached(report.statistics)}{late}, and still falls"


def _overfitting(report: Report) -> str:
    found = _finding(report, "overfitting")
    if found is None or "val_loss_best" not in found.evidence:
        return "validation has become worse than its best and stays so"
    best, now = found.evidence["val_loss_best"], found.evidence["val_loss_now"]
    return f"the validation loss was best at step {found.step} ({short(best)}) and is {short(now)} now"


def _not_learning(report: Report) -> str:
    return _level(report.statistics) + _against(report.statistics)


def _diverged(report: Report) -> str:
    found = _finding(report, "diverging")
    return f"the loss left its level upwards{_since(found)} and did not come back"


def _non_finite(report: Report) -> str:
    return f"NaN or infinite numbers in the training{_since(_finding(report, 'non-finite'))}"


def _unstable(report: Report) -> str:
    return f"{_level(report.statistics)}, and swings without getting anywhere"


def _incomplete(report: Report) -> str:
    steps = report.statistics.get("steps", 0.0)
    return f"after {steps:.0f} steps too little is known to say how the training goes"


def _failed(report: Report) -> str:
    return "the training did not run to its end, for a reason outside the mathematics"


_WORDS = {
    Verdict.CONVERGED: _converged,
    Verdict.IMPROVING: _improving,
    Verdict.OVERFITTING: _overfitting,
    Verdict.NOT_LEARNING: _not_learning,
    Verdict.DIVERGED: _diverged,
    Verdict.NON_FINITE: _non_finite,
    Verdict.UNSTABLE: _unstable,
    Verdict.INCOMPLETE: _incomplete,
    Verdict.FAILED: _failed,
}


def _level(found: Mapping[str, float]) -> str:
    name = next((name for name in CURVES if f"{name}_last" in found), None)
    if name is None:
        return "the loss is unknown"
    return f"the {CURVES[name]} is {short(found[f'{name}_last'])} after {found.get('steps', 0.0):.0f} steps"


def _reached(found: Mapping[str, float]) -> str:
    """The level, and how much of what there was to learn that is."""
    share = found.get("share_learnt", math.nan)
    if not 0 < share <= 1:
        return _level(found)
    if "trivial_loss" in found:
        trivial = short(found["trivial_loss"])
        return f"{_level(found)}, {_percent(share)} below the trivial predictor's {trivial}"
    return f"{_level(found)}, {_percent(share)} below its start"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share < 0.99 else f"{100 * share:.3g} %"


def _against(found: Mapping[str, float]) -> str:
    if "trivial_loss" in found:
        return f", no better than the trivial predictor's {short(found['trivial_loss'])}"
    return ", no better than at its start"


def _outlook(found: Mapping[str, float]) -> str:
    if "forecast_1.5x" not in found:
        return ""
    low, high = found["forecast_1.5x_low"], found["forecast_1.5x_high"]
    return (
        f"; half as many steps again should bring it to {short(found['forecast_1.5x'])} "
        f"({short(low)} to {short(high)})"
    )


def _since(found: Finding | None) -> str:
    return "" if found is None else f" at step {found.step}"


def _finding(report: Report, kind: str) -> Finding | None:
    """The finding of this kind, also where it is another one's consequence."""
    return next((finding for finding in flatten(report.findings) if finding.kind == kind), None)
