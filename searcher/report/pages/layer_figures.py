"""Maps of update ratio and gradient size, by layer and step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from searcher.report.observations import GRADIENT, RATIO, Example, LayerMap
from searcher.report.pages.axes import axis, label
from searcher.report.pages.blocks import Columns, Figure, Figures, Table
from searcher.report.words import number

HEALTHY = -3.0
"""Decimal logarithm of an update ratio that is usual: the middle of the scale.

Source: Karpathy's rule of thumb of 1e-3."""

DECADES = 3.0
"""Decades to both sides of it that the scale shows (house rule: 1e-6 is rest, 1 is no rest)."""

TITLES = {RATIO: "Update over weight", GRADIENT: "Gradient norm"}

NAME = 22
"""Characters of a layer's name that are shown: its end, which tells layers apart, on a phone too."""

TICKS = 6
"""Steps that are named below a map."""


def layer_figures(maps: Sequence[LayerMap], examples: Sequence[Example]) -> list[Figures]:
    """The maps of every trial side by side."""
    found = []
    for trial, group in groupby(maps, key=lambda one: one.trial):
        of_trial = [one for one in group if one.steps and one.layers]
        marked = [e for e in examples if e.trial == trial and any(e.kind in one.why for one in of_trial)]
        if of_trial:
            figures = tuple(_heat(one, marked) for one in of_trial)
            found.append(Figures(_caption(trial, of_trial), figures, _table(of_trial)))
    return found


def _caption(trial: int, maps: Sequence[LayerMap]) -> str:
    one = maps[0]
    last = [(layer, values[-1]) for layer, values in zip(one.layers, one.values, strict=True)]
    sizes = [(layer, size) for layer, size in last if size is not None]
    caption = f"Trial {trial}: {one.why}."
    if sizes:
        (least_layer, least), (most_layer, most) = min(sizes, key=_size), max(sizes, key=_size)
        what = TITLES.get(one.signal, one.signal).lower()
        where = f"in {most_layer}"
        if least_layer != most_layer:
            where = f"from {_plain(least)} in {least_layer} to {_plain(most)} {where}"
        else:
            where = f"{_plain(most)} {where}"
        caption += f" At step {one.steps[-1]} {what} is {where}."
    return caption


def _size(entry: tuple[str, float]) -> float:
    return entry[1]


def _plain(size: float) -> str:
    return number(10.0**size, 2)


def _heat(one: LayerMap, marked: Sequence[Example]) -> Figure:
    known = np.array([size for row in one.values for size in row if size is not None])
    is_ratio = one.signal == RATIO
    low, high = (HEALTHY - DECADES, HEALTHY + DECADES) if is_ratio else _range(known)
    names = [label(_short(layer)) for layer in one.layers]
    places = sorted({round(place) for place in np.linspace(0, len(one.steps) - 1, TICKS)})
    trace = {
        "type": "heatmap",
        "z": [list(row) for row in one.values],
        "x": list(range(len(one.steps))),
        "y": list(range(len(names))),
        "customdata": [list(one.steps)] * len(names),
        "text": [[label(name)] * len(one.steps) for name in one.layers],
        "zmin": low,
        "zmax": high,
        "colorscale": _scale(is_ratio),
        "xgap": 1,
        "ygap": 1,
        "colorbar": _colourbar(low, high),
        "hovertemplate": "%{text}, step %{customdata}: 10^%{z:.2f}<extra></extra>",
    }
    across = axis("step", tickvals=places, ticktext=[str(one.steps[p]) for p in places], showgrid=False)
    down = axis(
        tickvals=list(range(len(names))), ticktext=names, autorange="reversed", showgrid=False,
        tickfont={"size": 11, "color": "$ink"},
    )  # fmt: skip
    layout: dict[str, Any] = {"xaxis": across, "yaxis": down, **_marks(one, marked)}
    title = TITLES.get(one.signal, one.signal)
    key = f"layers-{one.trial}-{one.signal}"
    return Figure(
        key, title, "", {"data": [trace], "layout": layout}, 130 + max(16, 32 - len(names)) * len(names)
    )


def _marks(one: LayerMap, marked: Sequence[Example]) -> dict[str, Any]:
    """A dotted line where each finding began."""
    at = sorted({_place(one.steps, example.step) for example in marked})
    line = {"color": "$ink", "width": 1.5, "dash": "dot"}
    shapes = [{"type": "line", "x0": x, "x1": x, "yref": "paper", "y0": 0, "y1": 1, "line": line} for x in at]
    return {"shapes": shapes} if shapes else {}


def _place(steps: Sequence[int], step: int) -> float:
    """The left edge of the column in which a step lies."""
    return int(np.searchsorted(steps, step)) - 0.5


def _short(layer: str) -> str:
    name = layer.removesuffix(".weight")
    return name if len(name) <= NAME else "\u2026" + name[1 - NAME :]


def _range(known: NDArray[np.float64]) -> tuple[float, float]:
    """Where nearly all sizes lie, at least a decade."""
    if not len(known):
        return -1.0, 0.0
    low, high = (float(edge) for edge in np.percentile(known, (2, 98)))
    room = max(0.0, (1.0 - (high - low)) / 2)
    return round(low - room, 2), round(high + room, 2)


def _scale(is_ratio: bool) -> list[list[Any]]:
    names = ("$cold", "$even", "$hot") if is_ratio else ("$low", "$mid", "$high")
    return [[at, name] for at, name in zip((0, 0.5, 1), names, strict=True)]


def _colourbar(low: float, high: float) -> dict[str, Any]:
    whole = list(range(int(np.ceil(low)), int(np.floor(high)) + 1))
    whole = whole[:: max(1, -(-len(whole) // TICKS))]
    ticks = whole if len(whole) > 1 else [low, high]
    names = [f"10<sup>{tick}</sup>" if isinstance(tick, int) else _plain(tick) for tick in ticks]
    return {"thickness": 8, "outlinewidth": 0, "tickvals": ticks, "ticktext": names}


def _table(maps: Sequence[LayerMap]) -> Table:
    """The median of every layer, and how it began and ended."""
    rows = []
    for one in maps:
        for layer, values in zip(one.layers, one.values, strict=True):
            known = [value for value in values if value is not None]
            sizes = (known[0], float(np.median(known)), known[-1]) if known else ()
            cells = tuple(_plain(size) for size in sizes) or ("-", "-", "-")
            rows.append((layer, TITLES.get(one.signal, one.signal).lower(), *cells))
    columns: Columns = {
        "layer": "code",
        "what": "text",
        "first": "number",
        "middle": "number",
        "last": "number",
    }
    return Table(f"Sizes by layer, trial {maps[0].trial}", columns, tuple(rows))
