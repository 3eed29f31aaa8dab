"""Small pieces of text that views share."""

from __future__ import annotations

import numpy as np

from diagnostics.evidence.trends import Values, block_medians
from searcher.naming import short_settings
from searcher.summary import cause_of, sampled_of
from searcher.trial import Outcome, TrialResult

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


def duration(seconds: float) -> str:
    """Seconds for people: `7 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def result_line(result: TrialResult) -> str:
    """A finished trial in one line."""
    value = (
        f"{result.value:.4g}" if result.value is not None and result.outcome is not Outcome.FAILED else "-"
    )
    if result.outcome is Outcome.DOOMED:
        value = "-"
    cause = cause_of(result)
    why = result.reason.splitlines()[0] if result.reason else f"warning: {cause}" if cause else ""
    line = f"trial {result.number} {result.outcome} {value} {result.verdict} | "
    return line + short_settings(sampled_of(result)) + (f" ({why})" if why else "")
