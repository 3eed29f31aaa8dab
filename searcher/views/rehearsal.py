"""What `searcher rehearse` says: tables of settings, and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from searcher.naming import duration
from searcher.rehearsal.compare import Rehearsal, Row
from searcher.rehearsal.figures import Figures, quartiles
from searcher.rehearsal.words import aim_text, by_epochs, caveats, conclusion, recorded_text
from searcher.report.words import counted, number
from searcher.views.fitting import Trimmed

NEVER = "never"
"""Stands for what was not found."""


def rehearsal_view(rehearsal: Rehearsal) -> RenderableType:
    """All of it, as it is read from above."""
    own = sorted((row for row in rehearsal.rows if row.sampler is None), key=by_epochs)
    sampled = sorted((row for row in rehearsal.rows if row.sampler is not None), key=by_epochs)
    parts: list[RenderableType] = [Text(aim_text(rehearsal)), Text(recorded_text(rehearsal))]
    if own:
        parts += [Text(), Text("the study's points in their order", style="bold"), _pruners(rehearsal, own)]
    if sampled:
        seeds = len(sampled[0].runs)
        heading = f"points that a sampler asks for, with {sampled[0].pruner}; {counted(seeds, 'seed')}"
        heading += ": median (quartiles)" if seeds > 1 else ""
        parts += [Text(), Text(heading, style="bold"), _samplers(sampled)]
    if not rehearsal.is_comparison:
        parts += [Text(), _so_far(rehearsal, rehearsal.rows[0])]
    parts += [Text(), *(Text(sentence, style="bold") for sentence in conclusion(rehearsal))]
    said = caveats(rehearsal)
    parts += [Text(), *(Text(f"- {line}", style="dim") for line in said)] if said else []
    return Trimmed(Group(*parts))


def _pruners(rehearsal: Rehearsal, rows: Sequence[Row]) -> Table:
    """One rehearsal a row."""
    top = f"best {len(rehearsal.aim.top)} given up"
    table = _table(
        "pruner", "epochs to the best", "epochs in all", "device time", "best", "given up", top, "not known"
    )
    for row in rows:
        run = row.runs[0]
        table.add_row(
            row.pruner,
            NEVER if run.reached is None else _span(run.reached, run.reached_most),
            _span(run.epochs, run.most),
            duration(run.seconds),
            "-" if run.best is None else number(run.best),
            str(run.pruned),
            str(len(run.lost)),
            str(run.unknown),
        )
    return table


def _samplers(rows: Sequence[Row]) -> Table:
    """Several rehearsals a row."""
    table = _table("sampler", "epochs to the best", "at most", "epochs in all", "best", "not known")
    for row in rows:
        table.add_row(
            row.sampler or "",
            _quartiles(row.runs, lambda run: run.reached, 3),
            _middle(row.runs, lambda run: run.reached_most, 3),
            _quartiles(row.runs, lambda run: run.epochs, 3),
            _middle(row.runs, lambda run: run.best, 4),
            _middle(row.runs, lambda run: float(run.unknown), 3),
        )
    return table


def _so_far(rehearsal: Rehearsal, row: Row) -> Table:
    """The best value after so many epochs, as it was and as it would have been."""
    table = _table("epochs", "best so far, as it was run", "rehearsed")
    for place, mark in enumerate(rehearsal.marks):
        before = rehearsal.recorded.so_far[place]
        now = quartiles([run.so_far[place] for run in row.runs])[1]
        table.add_row(number(mark, 3), _text(before, 4, "-"), _text(now, 4, "-"))
    return table


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    for heading in headings:
        is_name = heading in ("pruner", "sampler")
        table.add_column(heading, justify="left" if is_name else "right", no_wrap=is_name, overflow="fold")
    return table


def _span(least: float, most: float | None) -> str:
    same = most is None or round(most, 6) == round(least, 6)
    return number(least, 3) if same or most is None else f"{number(least, 3)} to {number(most, 3)}"


def _quartiles(runs: Sequence[Figures], figure: Callable[[Figures], float | None], digits: int) -> str:
    low, middle, high = (_text(value, digits) for value in quartiles(map(figure, runs)))
    return middle if len(runs) == 1 else f"{middle} ({low} to {high})"


def _middle(runs: Sequence[Figures], figure: Callable[[Figures], float | None], digits: int) -> str:
    return _text(quartiles(map(figure, runs))[1], digits)


def _text(value: float | None, digits: int, none: str = NEVER) -> str:
    return none if value is None else number(value, digits)
