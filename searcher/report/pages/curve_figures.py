"""Plots of curves: of all trials, of the best, and of one trial for every finding."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.report.observations import Curves, Example, Line
from searcher.report.pages.axes import Trace, axis, by_verdict, fitting_axis, label
from searcher.report.pages.blocks import Figure, Figures
from searcher.report.words import counted, number

LEAVES = 20.0
"""Times the loss the middle trial began with, above which curves leave the plot: what explodes would
otherwise press all others flat (house rule)."""

DRAWN = 300
"""Curves that are drawn together (house rule: more of them are one dark mass)."""


def all_losses(curves: Curves) -> Figure:
    """Every trial's loss, coloured by verdict."""
    lines = [line for line in curves.losses if line.steps]
    traces: list[Trace] = []
    of_all = {
        verdict: [lines[place] for place in places]
        for verdict, places in by_verdict(line.verdict for line in lines).items()
    }
    share = min(1.0, DRAWN / len(lines))
    for verdict, of_verdict in sorted(of_all.items(), key=lambda entry: -len(entry[1])):  # rare ones on top
        traces += _lines_of(verdict, of_verdict, share)
    began = float(np.median([line.values[0] for line in lines]))
    down, gone = _down(lines, began, _names(lines))
    leaving = f" {_curves(gone)} the plot at {number(LEAVES * began, 2)}." if gone else ""
    some = f" (about {DRAWN} of them drawn)" if share < 1 else ""
    what = f"{_names(lines).capitalize()} of {counted(len(lines), 'trial')}{some} by step, a dot at the end: "
    caption = f"{what}{_course(lines, began)}.{leaving}"
    layout = {
        "xaxis": axis("optimizer step", rangemode="tozero"),
        "yaxis": down,
        "showlegend": True,
        "legend": {"itemsizing": "constant"},
    }
    return Figure("losses", "All trials", caption, {"data": traces, "layout": layout}, 440)


def _course(lines: Sequence[Line], began: float) -> str:
    """How the curves went, as a clause."""
    if len(lines) == 1:
        return f"it began at {number(began, 3)} and ended at {number(lines[0].values[-1], 3)}"
    above = sum(line.values[-1] > began for line in lines)
    return f"the middle one began at {number(began, 3)}, and {above} ended above that"


def _curves(gone: int) -> str:
    return "One curve leaves" if gone == 1 else f"{gone} curves leave"


def _names(lines: Sequence[Line]) -> str:
    """What the lines show, in words."""
    return " and ".join(dict.fromkeys(_in_words(line.signal) for line in lines))


def _in_words(signal: str) -> str:
    words = {"loss": "training loss", "train_loss": "training loss", "val_loss": "validation loss"}
    return words.get(signal, signal)


def _down(lines: Sequence[Line], began: float, title: str) -> tuple[dict[str, Any], int]:
    """The axis of the losses, and how many curves leave it."""
    values = [value for line in lines for value in line.values]
    least, most = min(values), max(values)
    gone = sum(max(line.values) > LEAVES * began for line in lines) if began > 0 else 0
    if 2 * gone > len(lines):
        gone = 0  # what most of them do is what there is to see
    top = LEAVES * began if gone else most
    down = fitting_axis([least, top], label(title))
    if gone:
        is_log = down.get("type") == "log"
        down["range"] = [float(np.log10(least)) - 0.05, float(np.log10(top))] if is_log else [least, top]
    return down, gone


def _lines_of(verdict: Verdict, of_verdict: Sequence[Line], share: float) -> list[Trace]:
    """A share of the curves of one verdict, from low to high, as one trace with gaps; a dot at their ends."""
    ordered = sorted(of_verdict, key=lambda line: line.values[-1])
    kept = np.linspace(0, len(ordered) - 1, math.ceil(share * len(ordered))).round().astype(int)
    lines = [ordered[place] for place in kept]
    x: list[int | None] = []
    y: list[float | None] = []
    names: list[int | None] = []
    for line in lines:
        x += [*line.steps, None]
        y += [*line.values, None]
        names += [*[line.trial] * len(line.steps), None]
    common = {"type": "scatter", "legendgroup": verdict.value}
    hover = f"trial %{{text}}, {verdict}<br>step %{{x}}: %{{y:.4g}}<extra></extra>"
    colour = VERDICT_COLOUR[verdict]
    curve = {
        **common,
        "mode": "lines",
        "showlegend": False,
        "x": x[:-1],
        "y": y[:-1],
        "text": names[:-1],
        "line": {"color": colour, "width": 1.3},
        "opacity": 0.75,
        "hovertemplate": hover,
    }
    ends = {
        **common,
        "mode": "markers",
        "name": f"{verdict} ({len(of_verdict)})",
        "x": [line.steps[-1] for line in lines],
        "y": [line.values[-1] for line in lines],
        "text": [line.trial for line in lines],
        "marker": {"color": colour, "size": 5},
        "hovertemplate": hover,
    }
    return [curve, ends]


def best_curves(curves: Curves) -> Figures:
    """The best trials, training against validation."""
    trials = [list(group) for _, group in groupby(curves.best, key=lambda line: line.trial)]
    values = [value for line in curves.best for value in line.values]
    first = trials[0]
    figures = tuple(
        _training_and_validation(lines, values, "" if _signals(lines) == _signals(first) else _signals(lines))
        for lines in trials
    )
    caption = (
        f"The best {'trial' if len(trials) == 1 else counted(len(trials), 'trial')}, the best one first."
    )
    if len(first) > 1 and all(line.values for line in first):
        train, validation = first
        caption += (
            f" Training is drawn solid, validation dashed: trial {train.trial} ended with a "
            f"{_in_words(train.signal)} of {number(train.values[-1], 3)} against "
            f"{number(validation.values[-1], 3)} in validation."
        )
    return Figures(caption, figures)


def _signals(lines: Sequence[Line]) -> str:
    return " against ".join(line.signal for line in lines)


def _training_and_validation(lines: Sequence[Line], values: Sequence[float], caption: str) -> Figure:
    looks = [{"color": "$accent", "width": 2}, {"color": "$second", "width": 2, "dash": "4px,3px"}]
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers" if len(line.steps) == 1 else "lines",
            "name": label(line.signal),
            "x": list(line.steps),
            "y": list(line.values),
            "line": look,
            "hovertemplate": f"{label(line.signal)}, step %{{x}}: %{{y:.4g}}<extra></extra>",
        }
        for line, look in zip(lines, looks, strict=False)
    ]
    down = fitting_axis(values)
    spread = (
        [float(np.log10(v)) for v in (min(values), max(values))]
        if "type" in down
        else [min(values), max(values)]
    )
    pad = 0.06 * (spread[1] - spread[0]) or 0.1
    down["range"] = [spread[0] - pad, spread[1] + pad]
    trial = lines[0].trial
    layout = {"xaxis": axis("step", nticks=5, rangemode="tozero"), "yaxis": {**down, "nticks": 5}}
    return Figure(f"best-{trial}", f"Trial {trial}", caption, {"data": traces, "layout": layout}, 220)


def example_figure(example: Example) -> Figure | None:
    """The curve of an example with a line where the finding began; None when there is no curve."""
    line = example.line
    if line is None or not line.steps:
        return None
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(line.steps) < 25 else "lines",
        "x": list(line.steps),
        "y": list(line.values),
        "line": {"color": VERDICT_COLOUR[Verdict(line.verdict)], "width": 2},
        "marker": {"size": 5},
        "hovertemplate": "step %{x}: %{y:.4g}<extra></extra>",
    }
    at = {"type": "line", "x0": example.step, "x1": example.step, "yref": "paper", "y0": 0, "y1": 1}
    is_late = example.step > (line.steps[0] + line.steps[-1]) / 2
    label = {
        "x": example.step,
        "yref": "paper",
        "y": 1,
        "yanchor": "bottom",
        "xanchor": "right" if is_late else "left",
        "text": f"step {example.step}",
        "showarrow": False,
        "font": {"color": "$ink"},
    }
    layout = {
        "xaxis": axis("step", nticks=6),
        "yaxis": {**fitting_axis(line.values), "nticks": 5},
        "shapes": [{**at, "line": {"color": "$ink", "width": 1.5, "dash": "dot"}}],
        "annotations": [label],
        "margin": {"l": 8, "r": 12, "t": 24, "b": 8},
    }
    caption = f"Trial {line.trial}, {line.signal}; the dotted line marks step {example.step}."
    return Figure(f"example-{example.kind}", "", caption, {"data": [trace], "layout": layout}, 220)
