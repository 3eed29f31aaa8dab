"""Trials by several objectives: the Pareto front drawn and as a table."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.colours import VERDICT_COLOUR
from searcher.report.pages.axes import Trace, by_verdict, faint, fitting_axis, label, marks
from searcher.report.pages.blocks import Figure, Figures, Table
from searcher.report.study_report import Aim, OfFront, Pareto
from searcher.report.words import counted, number, settings_text, significant

DRAWN = 600
"""Trials beside the front that are drawn (house rule: more marks cover each other)."""


def front_figures(pareto: Pareto) -> Figures:
    """The first objective against each of the others, the front in front of all other trials."""
    first, *further = pareto.aims
    figures = tuple(_figure(first, other, pareto, len(further) == 1) for other in further)
    better = ", ".join(f"{aim.name} {'up' if aim.goal == 'maximize' else 'down'}" for aim in pareto.aims)
    caption = (
        f"Every trial that was trained to its end; better is {better}. The "
        f"{counted(len(pareto.front), 'trial')} of the front are ringed: no other is as good in every "
        "metric and better in one."
    )
    if len(pareto.others) > DRAWN:
        caption += f" Of the others {DRAWN} are drawn, the best in {first.name}."
    verdicts = {one.verdict for one in (*pareto.front, *pareto.others)}
    return Figures(caption, figures, verdicts=tuple(v.value for v in VERDICT_COLOUR if v.value in verdicts))


def front_table(pareto: Pareto) -> Table:
    """Every trial of the front with its objectives and settings."""
    names = [aim.name for aim in pareto.aims]
    rows = [
        (str(one.trial), *(number(one.objectives[name]) for name in names), settings_text(one.settings))
        for one in pareto.front
    ]
    columns = {"trial": "number", **dict.fromkeys(names, "number"), "settings": "text"}
    return Table("The Pareto front", columns, tuple(rows))  # type: ignore[arg-type]


def _figure(down: Aim, across: Aim, pareto: Pareto, with_line: bool) -> Figure:
    front = sorted(pareto.front, key=lambda one: one.objectives[across.name])
    drawn = [*front, *pareto.others[:DRAWN]]
    traces: list[Trace] = []
    if with_line:
        traces.append({**_line(front, down, across), "hoverinfo": "skip"})
    for verdict, at in by_verdict(one.verdict for one in drawn).items():
        traces.append(
            {
                **_places([drawn[place] for place in at], down, across),
                "mode": "markers",
                "marker": marks(verdict, size=7, opacity=max(faint(len(drawn)), 0.45)),
                "hoverinfo": "skip",
            }
        )
    ring = {"size": 13, "symbol": "circle-open", "color": "$ink", "line": {"width": 1.5}}
    traces.append({**_places(front, down, across), "mode": "markers", "marker": ring, "hoverinfo": "skip"})
    traces.append(
        {
            **_places(drawn, down, across),
            "mode": "markers",
            "marker": {"size": 14, "opacity": 0},
            "text": [f"trial {one.trial}<br>{label(settings_text(one.settings))}" for one in drawn],
            "hovertemplate": "%{text}<br>%{x}, %{y}<extra></extra>",
        }
    )
    layout = {
        "xaxis": fitting_axis([one.objectives[across.name] for one in drawn], _title(across)),
        "yaxis": fitting_axis([one.objectives[down.name] for one in drawn], _title(down)),
    }
    title = f"{down.name} against {across.name}"
    return Figure(f"front-{across.name}", title, "", {"data": traces, "layout": layout}, 380)


def _title(aim: Aim) -> str:
    return f"{label(aim.name)} ({'more' if aim.goal == 'maximize' else 'less'} is better)"


def _line(front: Sequence[OfFront], down: Aim, across: Aim) -> Trace:
    """What is reached at least at every place across: steps."""
    shape = "hv" if across.goal == "minimize" else "vh"
    line = {"color": "$accent", "width": 2, "shape": shape}
    return {**_places(front, down, across), "mode": "lines", "line": line}


def _places(of: Sequence[OfFront], down: Aim, across: Aim) -> Trace:
    return {
        "type": "scatter",
        "x": [significant(one.objectives[across.name], 6) for one in of],
        "y": [significant(one.objectives[down.name], 6) for one in of],
    }
