"""Small pieces of text that views share."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from diagnostics.evidence.trends import Values, block_medians
from searcher.naming import figure_text, repeat_text, short_settings, short_value
from searcher.policy import likely_cause
from searcher.spec import StudySpec
from searcher.summary import sampled_of
from searcher.trial import Outcome, TrialResult
from searcher.views.reasons import LINE, at_step, kind_of, reprieves_text, short_reason

BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Values, width: int = 16) -> str:
    """A curve in at most `width` characters, low to high; `!` where it is not finite."""
    heights = block_medians(np.asarray(values, dtype=np.float64), width)
    finite = heights[np.isfinite(heights)]
    if not len(finite):
        return "!" * len(heights)
    low, span = float(finite.min()), float(np.ptp(finite)) or 1.0
    places = [round((h - low) / span * (len(BARS) - 1)) if np.isfinite(h) else -1 for h in heights]
    return "".join("!" if place < 0 else BARS[place] for place in places)


def value_text(result: TrialResult) -> str:
    """The value that a trial has reached, or all of its objectives; a dash for those that have none of their
    own."""
    if not result.has_own_value:
        return "-"
    return ", ".join(map(figure_text, result.objectives.values())) or short_value(result.value)


def numbers_text(value: float | None, objectives: Mapping[str, float]) -> str:
    """A value, or all objectives where there are several, to four digits; a dash where there is none."""
    if value is None:
        return "-"
    return ", ".join(map(figure_text, objectives.values())) or f"{value:.4g}"


def values_heading(spec: StudySpec) -> str:
    """What stands above them."""
    return ", ".join(metric.name for metric in spec.metrics)


def result_line(result: TrialResult) -> str:
    """A finished trial in one line; of one that was stopped why, of all others their settings."""
    if result.outcome in (Outcome.DOOMED, Outcome.FAILED):
        head = f"trial {result.number} {result.outcome}{at_step(result)}: "
        again = repeat_text(result.confirms, result.settings)
        let_run = "; ".join(filter(None, (again, reprieves_text(result))))
        return head + short_reason(result, LINE - len(head)) + (f" ({let_run})" if let_run else "")
    value = numbers_text(result.value, result.objectives) if result.has_own_value else "-"
    cause = likely_cause(result.report)
    was_stopped = result.reason and result.outcome is not Outcome.COMPLETED
    warned = "" if cause is None or was_stopped else f"warning: {kind_of(cause)}"
    again, why = repeat_text(result.confirms, result.settings), short_reason(result, LINE)
    why = "; ".join(filter(None, (again, warned, why, reprieves_text(result), result.extended)))
    line = f"trial {result.number} {result.outcome} {value} {result.verdict} | "
    return line + short_settings(sampled_of(result)) + (f" ({why})" if why else "")
