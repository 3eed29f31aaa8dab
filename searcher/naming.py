"""Short texts for people: a trial's settings, a run's name, a time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

SHORT = {"learning_rate": "lr", "batch_size": "bs", "dropout": "drop", "weight_decay": "wd"}
"""Settings that have a customary short name; others go by their own."""


def short_value(value: Any) -> str:
    """A value in few characters: three significant digits for numbers."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return f"{value:.3g}".replace("e-0", "e-").replace("e+0", "e+")


def figure_text(value: float) -> str:
    """An objective in few characters: `0.9731`, `1702`, `2.916e+06`; a dash for one that is not known."""
    if math.isnan(value):
        return "-"
    is_whole = float(value).is_integer() and abs(value) < 1e6
    return str(int(value)) if is_whole else f"{value:.4g}"


def short_settings(sampled: Mapping[str, Any]) -> str:
    """The sampled settings in a line: `lr=0.0003 bs=64 batch relu`. Names speak for themselves."""
    parts = []
    for name, value in sampled.items():
        if isinstance(value, str) and value != "none":
            parts.append(value)
        else:
            parts.append(f"{SHORT.get(name, name)}={short_value(value)}")
    return " ".join(parts)


def repeat_text(of: int | None, settings: Mapping[str, Any]) -> str:
    """Which trial one with these settings repeats, and with which seed; empty for a trial of the search."""
    return "" if of is None else f"repeats trial {of} with seed {settings.get('seed')}"


def run_name(number: int, sampled: Mapping[str, Any]) -> str:
    """The name of a trial's run, such that names sort by number."""
    return f"t{number:04d} {short_settings(sampled)}"[:250]


def chance_text(share: float) -> str:
    """A chance from 0 to 1 in whole per cent; what was drawn is never certain: `87 %`, `> 99 %`."""
    return "> 99 %" if share >= 0.995 else "< 1 %" if share < 0.005 else f"{100 * share:.0f} %"


def duration(seconds: float) -> str:
    """Seconds for people: `7 s`, `3 min 20 s`, `2 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
