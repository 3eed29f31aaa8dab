"""Plots of the search as a whole: verdicts, and how the best got better."""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics import Verdict
from searcher.colours import VERDICT_COLOUR
from searcher.naming import duration
from searcher.report.pages.axes import axis, bare_axis, is_bad, label
from searcher.report.pages.blocks import Columns, Figure, Figures, Table
from searcher.report.study_report import Convergence, VerdictRow, Verdicts
from searcher.report.words import counted, number, percent

UNITS = ((3 * 3600.0, "hours", 3600.0), (180.0, "minutes", 60.0), (0.0, "seconds", 1.0))
"""From how many seconds on a time is drawn in which unit."""


def verdict_bars(verdicts: Verdicts) -> Figures:
    """How many trials got each verdict, and the device time they took."""
    rows = verdicts.rows
    trials, seconds = sum(row.trials for row in rows), sum(row.seconds for row in rows)
    unit, size = _unit(max((row.seconds for row in rows), default=0.0))
    most = max(rows, key=lambda row: row.trials)
    bad = [row for row in rows if is_bad(row.verdict)]
    caption = (
        f"The most frequent verdict is {most.verdict}: {most.trials} of {counted(trials, 'trial')} "
        f"({percent(most.trials, trials)}). "
        f"Trials that went wrong are {percent(sum(r.trials for r in bad), trials)} of all and took "
        f"{percent(sum(r.seconds for r in bad), seconds)} of the device time."
    )
    shares = [f"{row.trials} ({percent(row.trials, trials)})" for row in rows]
    times = [f"{duration(row.seconds)} ({percent(row.seconds, seconds)})" for row in rows]
    figures = (
        _bars("verdict-trials", "Trials", rows, [row.trials for row in rows], shares),
        _bars("verdict-time", f"Device time ({unit})", rows, [row.seconds / size for row in rows], times),
    )
    return Figures(caption, figures)


def _bars(
    key: str, title: str, rows: Sequence[VerdictRow], lengths: Sequence[float], labels: Sequence[str]
) -> Figure:
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [row.verdict for row in rows],
        "x": [round(length, 3) for length in lengths],
        "marker": {"color": [VERDICT_COLOUR[Verdict(row.verdict)] for row in rows]},
        "text": list(labels),
        "textposition": "outside",
        "cliponaxis": False,
        "textfont": {"color": "$ink"},
        "hovertemplate": "%{y}: %{text}<extra></extra>",
    }
    across = bare_axis(1.45 * max(lengths, default=1))
    down = axis(autorange="reversed", showgrid=False, tickfont={"color": "$ink"})
    layout = {"xaxis": across, "yaxis": down, "bargap": 0.35}
    return Figure(key, title, "", {"data": [bars], "layout": layout}, 40 + 34 * len(rows))


def course_of_search(convergence: Convergence, metric: str) -> Figures:
    """Best so far against trials and against device time."""
    unit, size = _unit(convergence.seconds[-1])
    seconds = [round(at / size, 3) for at in convergence.seconds]
    figures = (
        _steps(
            "best-trials",
            "By finished trials",
            "finished trials",
            convergence.trials,
            convergence.best,
            metric,
        ),
        _steps("best-time", "By device time", f"device time ({unit})", seconds, convergence.best, metric),
    )
    rows = [
        (str(trial), duration(at), number(best))
        for i, (trial, at, best) in enumerate(
            zip(convergence.trials, convergence.seconds, convergence.best, strict=True)
        )
        if i == 0 or best != convergence.best[i - 1]
    ]
    trial, at, best = rows[-1]
    caption = (
        f"Best {metric} so far: {best} after {counted(int(trial), 'finished trial')} and {at} of device time"
    )
    after = convergence.trials[-1] - int(trial)
    caption += f", and unchanged in the {counted(after, 'trial')} after it." if after else "."
    columns: Columns = {"finished trials": "number", "device time": "number", f"best {metric}": "number"}
    return Figures(caption, figures, table=Table("Each time the best got better", columns, tuple(rows)))


def _steps(key: str, title: str, across: str, x: Sequence[float], y: Sequence[float], metric: str) -> Figure:
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(x) == 1 else "lines",
        "x": list(x),
        "y": list(y),
        "line": {"color": "$accent", "width": 2, "shape": "hv"},
        "hovertemplate": f"%{{x}}: %{{y:.4g}}<extra>best {label(metric)}</extra>",
    }
    layout = {"xaxis": axis(across, rangemode="tozero"), "yaxis": axis(f"best {label(metric)}")}
    return Figure(key, title, "", {"data": [trace], "layout": layout}, 280)


def _unit(seconds: float) -> tuple[str, float]:
    """The unit in which a time of so many seconds is drawn, and its size."""
    return next((name, size) for least, name, size in UNITS if seconds >= least)
