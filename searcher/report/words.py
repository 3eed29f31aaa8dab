"""Numbers and names as they stand in a report."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from searcher.report.observations import Value

NAMED = 8
"""Trials that are named one by one before the others are counted (house rule: a line)."""

MANTISSA = 1e6
"""A number from here on is written with a power of ten."""


def number(value: float, digits: int = 4) -> str:
    """A number to so many significant digits: `0.9731`, `3.2e-5`, `12000`."""
    if not math.isfinite(value):
        return str(value)
    if float(value).is_integer() and abs(value) < MANTISSA:
        return str(int(value))
    text = f"{value:.{digits}g}"
    return text.replace("e-0", "e-").replace("e+0", "e+")


def significant(value: float, digits: int) -> float:
    """A number to so many significant digits."""
    return float(f"{value:.{digits}g}") if math.isfinite(value) else value


def value_text(value: Value) -> str:
    """The value of a setting."""
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def percent(part: float, whole: float = 1.0) -> str:
    """A share in whole per cent: `68 %`; the least that is not nothing is `< 1 %`."""
    if not whole or not part:
        return "0 %"
    share = 100 * part / whole
    return "< 1 %" if share < 1 else "> 99 %" if 99.5 <= share < 100 else f"{share:.0f} %"


def counted(n: int, noun: str) -> str:
    """`1 trial`, `12 trials`."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def listed(trials: Sequence[int]) -> str:
    """The numbers of trials: `3, 7, 12 and 30 more`."""
    named, more = ", ".join(map(str, trials[:NAMED])), len(trials) - NAMED
    return f"{named} and {more} more" if more > 0 else named


def settings_text(settings: Mapping[str, Value]) -> str:
    """Settings in a line: `learning_rate = 0.003, norm = batch`."""
    return ", ".join(f"{name} = {value_text(value)}" for name, value in settings.items())


def day(seconds: float) -> str:
    """A moment, in seconds since 1970, as people write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def sentence_of(text: str) -> str:
    """A clause as a sentence: with a capital letter, unless it begins with a name, and a full stop."""
    text = text.strip()
    if not text:
        return ""
    is_word = text.split()[0].rstrip(",;:").isalpha()
    return (text[0].upper() + text[1:] if is_word else text) + ("" if text[-1] in ".!?:" else ".")
