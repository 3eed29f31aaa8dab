"""What all plots share: how they look, axes that fit their numbers, points and lines by verdict.

A colour that begins with `$` is one of the theme's, light or dark; the page puts it in. Plots are plain data
for plotly.js; a test lets plotly itself check every one of them.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.policy import BAD
from searcher.report.observations import Value

Axis = dict[str, Any]
Trace = dict[str, Any]

THEME = (
    "ink",
    "muted",
    "grid",
    "paper",
    "card",
    "accent",
    "second",
    "low",
    "mid",
    "high",
    "cold",
    "even",
    "hot",
)
"""The colours a theme has, each `--name` in the style sheet and `$name` in a plot."""

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', sans-serif"

TEMPLATE: Mapping[str, Any] = {
    "layout": {
        "font": {"family": FONT, "size": 12, "color": "$muted"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 8, "r": 12, "t": 8, "b": 8},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "$card", "bordercolor": "$grid", "font": {"color": "$ink", "family": FONT}},
        "legend": {
            "orientation": "h",
            "x": 0,
            "y": 1.02,
            "yanchor": "bottom",
            "font": {"color": "$ink"},
            "bgcolor": "rgba(0,0,0,0)",
        },
        "colorway": ["$accent", "$second"],
    }
}
"""What every plot has unless it says otherwise."""

SYMBOL: Mapping[Verdict, str] = {
    Verdict.CONVERGED: "circle",
    Verdict.IMPROVING: "triangle-up",
    Verdict.OVERFITTING: "diamond",
    Verdict.UNSTABLE: "square",
    Verdict.NOT_LEARNING: "triangle-down",
    Verdict.DIVERGED: "x",
    Verdict.NON_FINITE: "cross",
    Verdict.FAILED: "star",
    Verdict.INCOMPLETE: "circle-open",
}
"""Marks of points, so that colour is not all that tells verdicts apart."""

GLYPH: Mapping[Verdict, str] = {
    Verdict.CONVERGED: "\u25cf",
    Verdict.IMPROVING: "\u25b2",
    Verdict.OVERFITTING: "\u25c6",
    Verdict.UNSTABLE: "\u25a0",
    Verdict.NOT_LEARNING: "\u25bc",
    Verdict.DIVERGED: "\u2716",
    Verdict.NON_FINITE: "\u271a",
    Verdict.FAILED: "\u2605",
    Verdict.INCOMPLETE: "\u25cb",
}
"""The same marks as signs, for legends and tables."""

WIDE_SPREAD = 30.0
"""Times the least value from which on values are drawn by their logarithm (house rule: one and a half
decades; on a plain axis nine tenths of it would hold few of them)."""

FEW_DECADES, MOST_TICKS = 1.8, 6
"""Decades of an axis below which 2 and 5 are named as well, and the most ticks it has (house rule: what a
small plot has room for)."""

PLAIN = (5e-5, 2e5)
"""Range of numbers that are written without a power of ten."""

NARROW = 4.0
"""Times its low end that a log axis reaches at least: on a narrower one 1, 2 and 5 need not occur at all."""

FEW_VALUES = 8
"""Different whole numbers that are set side by side like names (house rule: 16, 32, 64, 128 on a plain axis
would press the small ones together)."""

GOLDEN = 0.618034
"""Successive multiples of it spread evenly over the unit interval: neighbours in a category stay apart."""


def axis(title: str = "", **more: Any) -> Axis:
    """An axis with its title; `more` are plotly's own words."""
    base: Axis = {
        "gridcolor": "$grid",
        "linecolor": "$grid",
        "zeroline": False,
        "automargin": True,
        "ticks": "",
    }
    if title:
        base["title"] = {"text": title, "standoff": 8}
    return {**base, **more}


def bare_axis(most: float) -> Axis:
    """An axis without ticks, from 0 to `most`, for bars that say how long they are."""
    return axis(range=[0, most or 1], showgrid=False, showticklabels=False, showline=False)


def log_axis(low: float, high: float, title: str = "", **more: Any) -> Axis:
    """An axis of powers of ten for values from `low` to `high`; between them 2 and 5 where there is room."""
    decades = math.log10(high / low)
    tick = "D2" if decades < FEW_DECADES else math.ceil(decades / MOST_TICKS)
    is_plain = PLAIN[0] <= low and high <= PLAIN[1]
    words = {"tickformat": "~g"} if is_plain else {"exponentformat": "e"}
    return axis(title, type="log", dtick=tick, **words, **more)


def fitting_axis(values: Iterable[float], title: str = "") -> Axis:
    """A log axis where the values are positive and widely spread, else a plain one."""
    found = [value for value in values if math.isfinite(value)]
    low, high = min(found, default=0.0), max(found, default=0.0)
    return log_axis(low, high, title) if low > 0 and high > WIDE_SPREAD * low else axis(title)


def by_verdict(verdicts: Iterable[str]) -> dict[Verdict, list[int]]:
    """The places of every verdict, what went wrong first: what is drawn later lies above it."""
    places: dict[Verdict, list[int]] = {}
    for place, verdict in enumerate(verdicts):
        places.setdefault(Verdict(verdict), []).append(place)
    return {verdict: places[verdict] for verdict in reversed(tuple(VERDICT_COLOUR)) if verdict in places}


def marks(verdict: Verdict, size: float, opacity: float) -> dict[str, Any]:
    """How the points of a verdict look."""
    return {
        "color": VERDICT_COLOUR[verdict],
        "symbol": SYMBOL[verdict],
        "size": size,
        "opacity": opacity,
    }


def is_bad(verdict: str) -> bool:
    """Whether a trial with this verdict has no value of its own to be proud of."""
    return Verdict(verdict) in BAD


def faint(lines: int) -> float:
    """The opacity at which so many points or lines can still be told apart (house rule)."""
    return float(np.clip(6.0 / math.sqrt(max(lines, 1)), 0.18, 0.9))


class Places:
    """Where the values of a setting stand on an axis: numbers where they are, names and few whole numbers
    side by side, in order."""

    def __init__(self, values: Sequence[Value], log: bool) -> None:
        kinds = {type(value) for value in values}
        self.has_names = bool(kinds - {int, float})
        self._is_log = log
        self._numbers = [float(value) for value in values] if not self.has_names else []
        several: list[Value] = []
        if self.has_names or (kinds == {int} and len(set(values)) <= FEW_VALUES):
            apart = {_kind(value): value for value in values}.values()  # 1 is not true
            several = sorted(apart, key=str if self.has_names else None)
        self._several = [str(value) for value in several]
        self._place = {_kind(value): place for place, value in enumerate(several)}

    def of(self, value: Value, trial: int) -> float:
        """The place of a value; trials with the same name lie beside each other."""
        if not self._several:
            return float(f"{float(value):.4g}")
        return round(self._place[_kind(value)] + 0.6 * ((trial * GOLDEN) % 1 - 0.5), 3)

    def axis(self, title: str = "") -> Axis:
        """The axis of the setting."""
        if self._several:
            places = list(range(len(self._several)))
            room = [-0.5, len(places) - 0.5]
            return axis(title, tickvals=places, ticktext=[label(name) for name in self._several], range=room)
        low, high = min(self._numbers), max(self._numbers)
        is_log = self._is_log and 0 < NARROW * low < high
        return log_axis(low, high, title) if is_log else axis(title)


def _kind(value: Value) -> tuple[type, Value]:
    """What tells values apart that Python takes for equal."""
    return type(value), value


def label(text: str) -> str:
    """A name as plotly shows it: it would take `<` for the beginning of a tag."""
    return html.escape(text, quote=False)
