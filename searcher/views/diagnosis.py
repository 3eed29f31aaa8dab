"""What `searcher diagnose` says: of one training everything, of a study's trials a line each."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from diagnostics import Finding, Report, Severity
from diagnostics.causes import flatten
from diagnostics.report import shown, to_dict, to_text
from diagnostics.signals import COUNTED
from searcher.naming import short_settings, short_value
from searcher.policy import first_cause, likely_cause
from searcher.summary import sampled_of
from searcher.tracking import RunCurves
from searcher.trial import Outcome, TrialResult
from searcher.views.fitting import clauses
from searcher.views.reasons import REMEDY, at_step, kind_of, stopped_by
from trainers.tabulated import REPLAYED

WIDE, WIDEST = 110, 180
"""Columns of a terminal from which on there is room for what to change, and for what follows from a cause."""


def trial_text(result: TrialResult, report: Report, width: int) -> str:
    """All that is known of why a trial went as it did."""
    head = f"trial {result.number} {result.outcome} after {result.epochs:.3g} epochs"
    lines = [f"{head}: {short_settings(sampled_of(result))}"]
    if REPLAYED in result.facts:
        lines.append(textwrap.fill(f"replayed: {result.facts[REPLAYED]}", width, subsequent_indent="  "))
    if ended := _ended(result, report):
        lines.append(textwrap.fill(f"ended: {ended}", width, subsequent_indent="  "))
    lines += [textwrap.fill(one.text, width, subsequent_indent="  ") for one in result.reprieves]
    return "\n".join([*lines, "", report_text(report, width, str(result.facts.get(COUNTED, "step")))])


def _ended(result: TrialResult, report: Report) -> str:
    """What ended a trial before its time, as far as the report does not say it."""
    fatal, reason = result.report.fatal, (result.reason.splitlines() or [""])[0]
    if result.outcome is Outcome.DOOMED and fatal is not None:
        return f"stopped{at_step(result)}: {stopped_by(fatal)}"
    return "" if reason in {finding.cause for finding in report.findings} else reason


def report_text(report: Report, width: int, unit: str = "step") -> str:
    """The report with the statistics its verdict rests on; `unit` is what its steps are, such as `epoch`."""
    numbers = shown(report.statistics)
    lines = [f"  {name.replace('step', unit):<24} {short_value(x)}" for name, x in numbers.items()]
    return "\n".join([to_text(report, width, unit), *(["", "statistics:", *lines] if lines else [])])


def causes_table(judged: Sequence[tuple[TrialResult, Report]], width: int) -> RenderableType:
    """Every trial with its verdict and its first cause; then how often each cause came first."""
    headings = ["trial", "outcome", "verdict", "first cause", "step", "layer"]
    headings += ["what to change"] if width >= WIDE else []
    headings += ["what follows"] if width >= WIDEST else []
    table = _table(*headings)
    for result, report in judged:
        cause = likely_cause(report)
        cells = () if cause is None else _cells(cause)
        row = (str(result.number), str(result.outcome), str(report.verdict), *cells)
        table.add_row(*row[: len(headings)])
    causes = [cause for _, report in judged if (cause := first_cause(report.findings)) is not None]
    if not causes:
        return Group(table, Text(), Text(f"no warning in any of {len(judged)} trials"))
    counts = _table("first cause", "trials", "of them stopped or failed")
    fatal = Counter(cause.kind for cause in causes if cause.severity is Severity.FATAL)
    for kind, count in Counter(cause.kind for cause in causes).most_common():
        counts.add_row(kind, str(count), str(fatal[kind]))
    return Group(table, Text(), counts)


def trial_data(result: TrialResult, report: Report) -> dict[str, Any]:
    """A trial's diagnosis as JSON data."""
    cause = first_cause(report.findings)
    return {
        "trial": result.number,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "reprieves": [asdict(reprieve) for reprieve in result.reprieves],
        "sampled": sampled_of(result),
        "first_cause": None if cause is None else cause.kind,
        "report": to_dict(report),
    }


def run_head(run: RunCurves) -> str:
    """What the diagnosis of an MLflow run rests on."""
    if run.whole:
        return f"run {run.name}, by its signals.npz"
    read = [key if key == signal else f"{key} as {signal}" for signal, key in run.metrics.items()]
    by_epoch = f", one value each {run.unit}" if run.unit != "step" else ""
    return f"run {run.name}, by the metrics {', '.join(read)}{by_epoch}"


def _table(*headings: str) -> Table:
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim")
    for heading in headings:
        long = heading in ("layer", "what to change", "what follows")
        number = heading in ("trial", "step", "trials")
        table.add_column(heading, justify="right" if number else "left", no_wrap=not long, overflow="fold")
    return table


def _cells(cause: Finding) -> tuple[str, ...]:
    more = len(cause.layers) - 1
    layers = "".join(cause.layers[:1]).removesuffix(".weight") + (f" +{more}" if more > 0 else "")
    follows = ", ".join(dict.fromkeys(found.kind for found in flatten(cause.consequences)))
    return kind_of(cause), str(cause.step), layers, clauses(cause.remedy, REMEDY), follows
