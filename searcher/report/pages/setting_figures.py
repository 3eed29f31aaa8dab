"""Plots over the settings: where failures live, what matters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.report.observations import Bin, FailureMap, Importance, Interaction, Point, Rates, Slice
from searcher.report.pages.axes import (
    Axis,
    Places,
    Trace,
    axis,
    bare_axis,
    by_verdict,
    faint,
    is_bad,
    label,
    marks,
)
from searcher.report.pages.blocks import Columns, Figure, Figures, Table
from searcher.report.words import counted, number, percent, significant, value_text

ANY = "any failure"
"""The kind under which all failures are counted."""

INTERVALS = "Bars are 95 % intervals (Wilson)."

FENCE = 1.5
"""Spreads of the middle half beyond which an objective is drawn at the edge of its plot: a few bad ones would
press all others flat. Source: Tukey (1977), Exploratory Data Analysis, the fences of a box plot."""

ENOUGH = 5
"""Trained trials from which on there are quartiles to speak of (house rule)."""

DRAWN = 600
"""Trials that are drawn in a plot of one setting (house rule: more marks cover each other)."""

TRAINED = (Verdict.CONVERGED, Verdict.IMPROVING, Verdict.OVERFITTING)
"""Verdicts of trials that set the range of the objective."""


def failure_rates(failures: FailureMap) -> list[Figures]:
    """For each kind of finding its rate over every setting; all failures first, the others folded."""
    kinds = list(dict.fromkeys(rates.kind for rates in failures.rates))
    kinds.sort(key=lambda kind: kind != ANY)
    found = []
    for kind in kinds:
        of_kind = [rates for rates in failures.rates if rates.kind == kind and rates.bins]
        if of_kind:
            found.append(_rates_of(kind, of_kind, fold=len(kinds) > 1 and kind != kinds[0]))
    return found


def _rates_of(kind: str, of_kind: Sequence[Rates], fold: bool) -> Figures:
    figures = tuple(_rate_figure(rates) for rates in of_kind)
    whole = of_kind[0].bins
    failed, trials = sum(b.failed for b in whole), sum(b.trials for b in whole)
    had = "failed" if kind == ANY else f"had {kind}"
    caption = f"{failed} of {counted(trials, 'trial')} {had}. {_steepest(of_kind)} {INTERVALS}"
    rows = [
        (rates.setting, b.label, f"{b.failed} of {b.trials}", percent(b.rate), _interval(b))
        for rates in of_kind
        for b in rates.bins
        if b.trials
    ]
    columns: Columns = {
        "setting": "code",
        "range or choice": "text",
        kind: "number",
        "rate": "number",
        "95 % interval": "number",
    }
    title = f"{kind}: {failed} of {counted(trials, 'trial')}"
    table = Table(f"How often trials {had}", columns, tuple(rows))
    return Figures(caption, figures, table, fold=title if fold else "")


def _steepest(of_kind: Sequence[Rates]) -> str:
    """Over which setting the rate differs most, in a sentence."""
    ends = [(max(r.bins, key=lambda b: b.rate_low), min(r.bins, key=lambda b: b.rate_high)) for r in of_kind]
    apart = [high.rate_low - low.rate_high for high, low in ends]
    place = apart.index(max(apart))
    if apart[place] <= 0:
        return "The rate does not clearly differ over any one setting: all intervals overlap."
    (high, low), setting = ends[place], of_kind[place].setting
    return (
        f"The rate differs most over {setting}: {high.failed} of {high.trials} at {high.label} against "
        f"{low.failed} of {low.trials} at {low.label}."
    )


def _interval(b: Bin) -> str:
    return f"{100 * b.rate_low:.0f} to {100 * b.rate_high:.0f} %"


def _rate_figure(rates: Rates) -> Figure:
    bins = [b for b in rates.bins if b.trials]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [round(b.rate, 4) for b in bins],
        "y": [label(b.label) for b in bins],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [round(b.rate_high - b.rate, 4) for b in bins],
            "arrayminus": [round(b.rate - b.rate_low, 4) for b in bins],
            "color": "$muted",
            "thickness": 1.5,
            "width": 3,
        },
        "marker": {"color": "$hot", "size": 9},
        "text": [f"{b.failed} of {b.trials}" for b in bins],
        "hovertemplate": f"{label(rates.setting)} %{{y}}: %{{text}}, %{{x:.0%}}<extra></extra>",
    }
    across = axis(range=[-0.04, 1.04], tickformat=".0%", nticks=4)
    layout = {"xaxis": across, "yaxis": axis(type="category", tickfont={"color": "$ink"})}
    key = f"rate-{rates.kind}-{rates.setting}"
    return Figure(key, rates.setting, "", {"data": [trace], "layout": layout}, 60 + 26 * len(bins))


def importances(importance: Sequence[Importance]) -> Figure:
    """How much each setting moves the objective."""
    rows = sorted(importance, key=lambda entry: -entry.share)
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [label(entry.setting) for entry in rows],
        "x": [round(entry.share, 4) for entry in rows],
        "marker": {"color": "$accent"},
        "text": [percent(entry.share) for entry in rows],
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"color": "$ink"},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    layout = {
        "xaxis": bare_axis(1.2 * rows[0].share),
        "yaxis": axis(autorange="reversed", showgrid=False, tickfont={"color": "$ink"}),
        "bargap": 0.35,
    }
    first = rows[0]
    caption = f"{first.setting} moves the objective most, with {percent(first.share)} of the whole"
    if len(rows) > 1:
        caption += f"; then {rows[1].setting} with {percent(rows[1].share)}"
    table = Table(
        "Share of what moves the objective",
        {"setting": "code", "share": "number"},
        tuple((entry.setting, percent(entry.share)) for entry in rows),
    )
    plot = {"data": [bars], "layout": layout}
    return Figure("importance", "Importance", f"{caption}.", plot, 40 + 28 * len(rows), table)


def slices(of: Sequence[Slice], metric: str, goal: str) -> Figures:
    """The objective against every setting."""
    points = [point for one in of for point in one.points]
    low, high = objective_range(points)
    figures = tuple(_slice_figure(one, metric, low, high) for one in of if one.points)
    trained = [point for point in points if not is_bad(point.verdict)]
    better = max if goal == "maximize" else min
    caption = f"The {metric} of every trial against each setting."
    if trained:
        best = better(trained, key=lambda point: point.objective)
        values = [(one.setting, p) for one in of for p in one.points if p.trial == best.trial]
        where = ", ".join(f"{setting} {value_text(point.value)}" for setting, point in values[:3])
        caption += f" The best, {number(best.objective)}, is trial {best.trial} with {where}."
    at_edge = {point.trial for point in points if not low <= point.objective <= high}
    if at_edge:
        lie = "trial lies" if len(at_edge) == 1 else "trials lie"
        caption += f" {len(at_edge)} {lie} beyond the range and on its edge."
    if any(len(one.points) > DRAWN for one in of):
        caption += f" Of many trials {DRAWN} are drawn, evenly from the worst to the best."
    verdicts = tuple(v.value for v in VERDICT_COLOUR if any(p.verdict == v for p in points))
    return Figures(caption, figures, verdicts=verdicts)


def _some(points: Sequence[Point]) -> list[Point]:
    """At most so many points as are drawn, evenly from the worst to the best."""
    ordered = sorted(points, key=lambda point: point.objective)
    kept = np.linspace(0, len(ordered) - 1, min(len(ordered), DRAWN)).round().astype(int)
    return [ordered[place] for place in kept]


def objective_range(points: Sequence[Point]) -> tuple[float, float]:
    """The range in which objectives are drawn, set by the trials that were trained."""
    values = [point.objective for point in points if point.verdict in TRAINED]
    if len(values) < ENOUGH:
        values = [point.objective for point in points]
    low, high = (float(edge) for edge in np.percentile(values, (25, 75)))
    room = FENCE * (high - low) if high > low else math.inf
    return max(min(values), low - room), min(max(values), high + room)


def _slice_figure(one: Slice, metric: str, low: float, high: float) -> Figure:
    """One setting: its values to the right, but names, which may be long, downwards."""
    points = _some(one.points)
    places = Places([point.value for point in points], one.log)
    value, objective = ("y", "x") if places.has_names else ("x", "y")
    traces: list[Trace] = []
    for verdict, at in by_verdict(point.verdict for point in points).items():
        chosen = [points[place] for place in at]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                value: [places.of(point.value, point.trial) for point in chosen],
                objective: [significant(float(np.clip(point.objective, low, high)), 4) for point in chosen],
                "text": [f"{point.trial}: {number(point.objective)}" for point in chosen],
                "marker": marks(verdict, size=6, opacity=faint(len(points))),
                "hovertemplate": f"{verdict}<br>trial %{{text}}<extra></extra>",
            }
        )
    pad = 0.06 * (high - low) or 0.1
    along = axis(label(metric), range=[low - pad, high + pad], nticks=5)
    layout = {f"{value}axis": places.axis(), f"{objective}axis": along}
    return Figure(f"slice-{one.setting}", one.setting, "", {"data": traces, "layout": layout}, 240)


def interaction_figure(interaction: Interaction, of: Sequence[Slice], metric: str, goal: str) -> Figure:
    """The two settings that matter most; the objective as colour, a cross where a trial went wrong."""
    verdicts = {point.trial: point.verdict for one in of for point in one.points}
    points = interaction.points
    low, high = objective_range(
        [
            Point(trial, first, objective, verdicts.get(trial, "converged"))
            for trial, first, _, objective in points
        ]
    )
    across = Places([point[1] for point in points], interaction.first_log)
    down = Places([point[2] for point in points], interaction.second_log)
    traces: list[dict[str, Any]] = []
    for wrong, symbol in ((True, "x-thin-open"), (False, "circle")):
        chosen = [point for point in points if is_bad(verdicts.get(point[0], "converged")) is wrong]
        colour: Any = [float(np.clip(point[3], low, high)) for point in chosen]
        marker = {"symbol": symbol, "size": 8, "opacity": max(faint(len(points)), 0.5)}
        marker |= {"color": "$muted"} if wrong else _scale(colour, low, high, metric, goal)
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [across.of(point[1], point[0]) for point in chosen],
                "y": [down.of(point[2], point[0]) for point in chosen],
                "text": [f"trial {point[0]}: {number(point[3])}" for point in chosen],
                "marker": marker,
                "hovertemplate": "%{text}<extra></extra>",
            }
        )
    layout = {"xaxis": across.axis(label(interaction.first)), "yaxis": down.axis(label(interaction.second))}
    title = f"{interaction.first} and {interaction.second}"
    return Figure("interaction", title, interaction.text, {"data": traces, "layout": layout}, 400)


def _scale(colours: Sequence[float], low: float, high: float, metric: str, goal: str) -> Axis:
    """Marks coloured by the objective: strong where it is good."""
    names = ("$low", "$mid", "$high") if goal == "maximize" else ("$high", "$mid", "$low")
    return {
        "color": list(colours),
        "cmin": low,
        "cmax": high if high > low else low + 1,
        "colorscale": [[at, name] for at, name in zip((0, 0.5, 1), names, strict=True)],
        "showscale": True,
        "colorbar": {
            "title": {"text": label(metric), "side": "right"},
            "thickness": 10,
            "outlinewidth": 0,
            "nticks": 5,
        },
        "line": {"width": 0.5, "color": "$muted"},
    }
