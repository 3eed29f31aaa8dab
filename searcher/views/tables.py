"""Tables on a terminal: a study's space, its trials, what it came to."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from searcher.naming import short_settings, short_value
from searcher.spec import Choices, StudySpec
from searcher.summary import (
    Failure,
    best_line,
    best_result,
    failures,
    outcome_counts,
    sampled_of,
    verdict_counts,
)
from searcher.trial import Outcome, TrialResult


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


def trials_table(spec: StudySpec, results: Sequence[TrialResult]) -> Table:
    """Every trial with its outcome, value, verdict and settings, and why it ended before its time."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for heading in ("trial", "outcome", spec.metric.name, "verdict", "settings"):
        table.add_column(heading, no_wrap=heading != "settings", overflow="fold")
    best = best_result(spec, results)
    for result in results:
        shown = result.outcome in (Outcome.COMPLETED, Outcome.PRUNED) and result.value is not None
        settings = Text(short_settings(sampled_of(result)))
        if result.reason:
            settings.append("\n" + result.reason.splitlines()[0], style="dim")
        table.add_row(
            str(result.number),
            str(result.outcome),
            short_value(result.value) if shown else "-",
            str(result.verdict),
            settings,
            style="bold green" if best is not None and result.number == best.number else "",
        )
    return table


def end_of_study(spec: StudySpec, results: Sequence[TrialResult]) -> RenderableType:
    """The best settings, and how many trials ended how."""
    parts: list[RenderableType] = [Text(), Text("best: " + best_line(spec, results), style="bold")]
    best = best_result(spec, results)
    if best is not None:
        settings = Table.grid(padding=(0, 2))
        for name, value in sampled_of(best).items():
            settings.add_row(f"  {name}", short_value(value))
        parts.append(settings)
    if results:
        counts = Table(box=None, padding=(0, 2), header_style="dim")
        for heading in ("verdict", "trials", "how they ended"):
            counts.add_column(heading, justify="right" if heading == "trials" else "left")
        for verdict, count in verdict_counts(results).items():
            of_verdict = [result for result in results if result.verdict is verdict]
            ended = ", ".join(f"{n} {outcome}" for outcome, n in outcome_counts(of_verdict).items())
            counts.add_row(str(verdict), str(count), ended)
        parts += [Text(), counts]
        if failed := failures(results):
            parts += [Text(), failures_table(failed)]
        parts.append(Text())
    return Group(*parts)


def failures_table(failed: Sequence[Failure]) -> Table:
    """Why trials failed, how many, and what to change."""
    table = Table(box=None, padding=(0, 2), header_style="dim")
    for heading in ("why trials failed", "trials", "what to change, as said of the first"):
        table.add_column(heading, justify="right" if heading == "trials" else "left", overflow="fold")
    for failure in failed:
        advice = f"trial {failure.trials[0]}: {failure.remedy}" if failure.remedy else ""
        table.add_row(failure.cause, str(len(failure.trials)), advice)
    return table
