"""Tables on a terminal: a study's space, its trials, what it came to."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from searcher.naming import repeat_text, short_settings, short_value
from searcher.spec import Choices, StudySpec
from searcher.summary import (
    Failure,
    audit_text,
    best_line,
    best_result,
    best_results,
    best_value,
    best_word,
    confirm_line,
    failures,
    front_rows,
    outcome_counts,
    sampled_of,
    verdict_counts,
)
from searcher.trial import TrialResult, searched
from searcher.views.fitting import Trimmed
from searcher.views.reasons import cause_cell, reprieves_text, untold_reason
from searcher.views.text import value_text, values_heading

INDENT = "    "
"""Before settings that stand below their trial."""

NARROWEST = 24
"""Characters a column of sentences has at least: a few words side by side."""


def space_table(spec: StudySpec) -> Table:
    """Every searched setting with its range or choices."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("setting", "range or choices", "when"):
        table.add_column(heading)
    for name, setting in spec.space.items():
        if isinstance(setting, Choices):
            values = ", ".join(map(str, setting.choices))
        else:
            values = f"{setting.low:g} to {setting.high:g}" + (", log" if setting.log else "")
        when = " and ".join(f"{other} in {', '.join(map(str, v))}" for other, v in setting.when.items())
        table.add_row(name, values, when)
    return table


def trials_table(spec: StudySpec, results: Sequence[TrialResult], width: int) -> Text:
    """Every trial in a line: what became of it, what it suffered from, and its settings; where there is no
    room for these, they get a line of their own."""
    headings = ("trial", "outcome", values_heading(spec), "verdict", "cause @step")
    rows = [
        (str(r.number), str(r.outcome), value_text(r), str(r.verdict), cause_cell(r.report)) for r in results
    ]
    settings = [short_settings(sampled_of(result)) for result in results]
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    is_wide = 2 * len(widths) + sum(widths) + max(map(len, settings), default=0) <= width
    best = {result.number for result in best_results(spec, results)}
    text = Text()
    text.append(_row(headings, widths, "settings" if is_wide else ""), style="dim")
    for result, row, line in zip(results, rows, settings, strict=True):
        shown = _row(row, widths, line if is_wide else "")
        room = width - len(INDENT)
        again = repeat_text(result.confirms, result.settings)
        said = [again, untold_reason(result, 2 * room), reprieves_text(result), result.extended]
        lines = [*said, "" if is_wide else line]
        below = "\n".join(textwrap.indent(_wrapped(each, room), INDENT) for each in lines if each)
        is_best = result.number in best
        text.append("\n" + shown, style="bold green" if is_best else "")
        text.append("\n" + below if below else "", style="" if is_best else "dim")
    return text


def _row(cells: Sequence[str], widths: Sequence[int], last: str) -> str:
    filled = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
    return "  ".join([*filled, last]).rstrip()


def _wrapped(line: str, width: int) -> str:
    return textwrap.fill(line, max(width, 1), break_on_hyphens=False)


def end_of_study(spec: StudySpec, results: Sequence[TrialResult]) -> RenderableType:
    """The best settings, and how many trials ended how."""
    best = best_result(spec, results)
    first = best_value(spec, best, results) if best and not spec.is_several else best_line(spec, results)
    parts: list[RenderableType] = [Text(), Text(f"{best_word(spec)}: {first}", style="bold")]
    if line := confirm_line(spec, results):
        parts.append(Text(f"confirmed: {line}"))
    if spec.is_several and best is not None:
        parts.append(front_table(spec, results))
    elif best is not None:
        settings = Table.grid(padding=(0, 2))
        for name, value in sampled_of(best).items():
            settings.add_row(f"  {name}", short_value(value))
        parts.append(settings)
    search = searched(results)
    if search:
        counts = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in ("verdict", "trials", "how they ended"):
            counts.add_column(heading, justify="right" if heading == "trials" else "left")
        for verdict, count in verdict_counts(search).items():
            of_verdict = [result for result in search if result.verdict is verdict]
            ended = ", ".join(f"{n} {outcome}" for outcome, n in outcome_counts(of_verdict).items())
            counts.add_row(str(verdict), str(count), ended)
        parts += [Text(), counts]
        if failed := failures(search):
            parts += [Text(), failures_table(failed)]
        if line := audit_text(spec, search):
            parts += [Text(), Text(f"audit: {line}")]
        parts.append(Text())
    return Trimmed(Group(*parts))


def front_table(spec: StudySpec, results: Sequence[TrialResult], most: int | None = None) -> Table:
    """The trials of the Pareto front with their objectives and settings, or the first ones of them."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("trial", *(metric.name for metric in spec.metrics)):
        table.add_column(heading, justify="right", no_wrap=True)
    one_line = most is not None
    table.add_column("settings", no_wrap=one_line, overflow="ellipsis" if one_line else "fold")
    rows = front_rows(spec, results)
    for row in rows[:most]:
        table.add_row(*row)
    if most is not None and len(rows) > most:
        table.add_row("...", *("" for _ in spec.metrics), f"and {len(rows) - most} more")
    return table


def failures_table(failed: Sequence[Failure]) -> Table:
    """Why trials failed, how many, and what to change."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("why trials failed", "trials", "what to change, as said of the first"):
        table.add_column(heading, justify="right" if heading == "trials" else "left", overflow="fold")
    for failure in failed:
        advice = f"trial {failure.trials[0]}: {failure.remedy}" if failure.remedy else ""
        table.add_row(failure.cause, str(len(failure.trials)), advice)
    return table


def next_looks(commands: Sequence[tuple[str, str]], width: int) -> RenderableType:
    """Where to look next: commands, and beside them what they show; below them where that would be narrow."""
    longest = max(len(command) for command, _ in commands)
    if width - longest - len(INDENT) < NARROWEST:
        return Text("\n".join(f"  {command}\n{INDENT * 2}{what}" for command, what in commands))
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True, overflow="fold")
    table.add_column(overflow="fold")
    for command, what in commands:
        table.add_row(Text(f"  {command}"), Text(what))
    return Trimmed(table)
