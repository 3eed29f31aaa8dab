"""A verdict in a sentence, from its statistics: for the first line of a report."""

from __future__ import annotations

import math
from collections.abc import Mapping

from diagnostics.causes import flatten
from diagnostics.evidence.course import CURVES, ENOUGH
from diagnostics.evidence.improvement import GAIN, slows_down
from diagnostics.evidence.trends import SIGNIFICANT
from diagnostics.evidence.words import short
from diagnostics.findings import Finding, Report, Severity, Verdict

WELL = 0.5
"""Share of what there was to learn below which a training with a warning has done poorly (house rule, as in
`diagnostics/evidence/suffering.py`)."""

NAMED_AFTER = {
    Verdict.OVERFITTING: "overfitting",
    Verdict.NOT_LEARNING: "not-learning",
    Verdict.DIVERGED: "diverging",
    Verdict.NON_FINITE: "non-finite",
    Verdict.UNSTABLE: "oscillating",
}
"""The finding that says no more than the verdict does."""


def sentence(report: Report) -> str:
    """What the verdict means here, in one sentence without a full stop; it may end in a forecast."""
    words = _WORDS[report.verdict](report)
    words += _outlook(report.statistics) if report.verdict is Verdict.IMPROVING else ""
    grave = _grave(report)
    return words if grave is None else f"{words}; see {grave.kind} below"


def _grave(report: Report) -> Finding | None:
    """The finding at the top, where it is a warning or worse, unless the verdict is named after it."""
    top = report.findings[0] if report.findings else None
    named = top is not None and top.kind == NAMED_AFTER.get(report.verdict)
    return None if top is None or named or top.severity < Severity.WARNING else top


def _converged(report: Report) -> str:
    poorly = _grave(report) is not None and report.statistics.get("share_learnt", math.nan) < WELL
    return f"{_reached(report.statistics, 'only ' if poorly else '')}{_rest(report.statistics)}"


def _rest(found: Mapping[str, float]) -> str:
    """How a curve that has come to rest ends, as far as that was tested."""
    z, gain = found.get("trend_of_last_half", math.nan), found.get("gain_of_last_half", math.nan)
    if math.isnan(z) or math.isnan(gain):
        return "; its end was not tested for a trend"
    if z >= -SIGNIFICANT:
        return ", and is flat within its noise"
    if gain <= GAIN:
        return ", and hardly falls any more"
    if slows_down(gain, found.get("gain_of_last_quarter", -math.inf)):
        return ", and falls ever more slowly"
    return ", and still falls, but validation no longer gains by it"


def _improving(report: Report) -> str:
    gain = report.statistics.get("gain_of_last_half", math.nan)
    if not math.isfinite(gain):
        return f"{_reached(report.statistics)}, and still falls"
    late = f"the last half of the training brought {_percent(gain)} of what was learnt"
    return f"{_reached(report.statistics)}, and still falls: {late}"


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


HARDLY = 0.1
"""Share learnt that the noise of a flat curve may look like (house rule)."""


def _incomplete(report: Report) -> str:
    steps = report.statistics.get("steps", 0.0)
    share = report.statistics.get("share_learnt", math.nan)
    rests = report.statistics.get("curve_places", 0.0) >= ENOUGH
    if rests and share < HARDLY and "trivial_loss" not in report.statistics:
        return (
            f"{_level(report.statistics)}, no better than at its start; without the loss of guessing "
            "(--outputs or --trivial-loss) nobody can say whether it has learnt"
        )
    if share > 0 and report.statistics.get("curve_places", math.inf) < ENOUGH:
        return f"{_reached(report.statistics)}; too few evaluations to say whether it has come to rest"
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
    now = short(found.get("loss_now", found[f"{name}_last"]))
    return f"the {CURVES[name]} is {now} after {found.get('steps', 0.0):.0f} steps"


def _reached(found: Mapping[str, float], only: str = "") -> str:
    """The level, and how much of what there was to learn that is; `only` stands before the share."""
    share = found.get("share_learnt", math.nan)
    if not 0 < share <= 1:
        return _level(found)
    if "trivial_loss" in found:
        trivial = short(found["trivial_loss"])
        return f"{_level(found)}, {only}{_percent(share)} below the trivial predictor's {trivial}"
    return f"{_level(found)}, {only}{_percent(share)} below its start"


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
