"""A report as text, Markdown or plain data. Every function returns; none prints."""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from diagnostics.evidence.steps import short
from diagnostics.findings import Finding, Report, Severity, Verdict
from diagnostics.wording import sentence

WIDTH = 80
"""Columns of a terminal."""

GLUE = "\u00a0"
"""Keeps a name and its number on one line until all lines are made."""

NAMED = 4
"""Layers that are named before the others are counted."""


def to_text(report: Report, width: int = WIDTH) -> str:
    """The report for a terminal: the verdict in a sentence, then the findings, the gravest first.

    What follows from a finding stands indented below it; what could not be judged, in the last lines.
    """
    lines = _wrapped(f"verdict: {report.verdict}: ", sentence(report), width, hang=2)
    for finding in report.findings:
        lines += ["", *_text_of(finding, width, 0)]
    rest = [f"rule broken: {name}: {what}" for name, what in report.errors.items()]
    if report.not_run:
        rest.append(f"not judged: {_lacking(report)}")
    if rest:
        lines.append("")
    for line in rest:
        lines += _wrapped("", line, width, hang=2)
    return "\n".join(lines).replace(GLUE, " ")


def to_markdown(report: Report) -> str:
    """The report as the note of a run."""
    lines = [f"**{report.verdict}**: {sentence(report)}.", ""]
    for finding in report.findings:
        lines += _markdown_of(finding, 0)
    lines += [f"- rule `{name}` is broken: {what}" for name, what in report.errors.items()]
    if report.not_run:
        lines.append(f"- *Not judged:* {_lacking(report)}")
    return "\n".join(lines).replace(GLUE, " ")


def to_dict(report: Report) -> dict[str, Any]:
    """The report as JSON data: numbers that JSON lacks (NaN, infinity) become their names."""
    return {
        "verdict": report.verdict.value,
        "findings": [_finding_to_dict(finding) for finding in report.findings],
        "statistics": {name: _plain(value) for name, value in report.statistics.items()},
        "not_run": dict(report.not_run),
        "errors": dict(report.errors),
    }


def from_dict(data: dict[str, Any]) -> Report:
    """What `to_dict` gave, as a report again; also what it gave before findings had consequences."""
    return Report(
        Verdict(data["verdict"]),
        tuple(_finding_from_dict(entry) for entry in data["findings"]),
        {name: float(value) for name, value in data["statistics"].items()},
        data["not_run"],
        data["errors"],
    )


def _text_of(finding: Finding, width: int, depth: int) -> list[str]:
    pad = "    " * depth
    head = f"{finding.severity.word}: {finding.kind} at step {finding.step}"
    lines = _wrapped(pad, head + _where(finding), width, hang=2)
    parts = [("cause", finding.cause), ("remedy", finding.remedy), ("evidence", _numbers(finding.evidence))]
    for label, text in parts:
        if text:
            lines += _wrapped(f"{pad}  {label + ':':<10}", text, width, hang=10)
    if finding.consequences:
        lines.append(f"{pad}  it follows:")
    for consequence in finding.consequences:
        lines += _text_of(consequence, width, depth + 1)
    return lines


def _markdown_of(finding: Finding, depth: int) -> list[str]:
    pad = "  " * depth
    head = f"{finding.severity.word}, step {finding.step}{_where(finding)}"
    remedy = f" *Remedy:* {finding.remedy}." if finding.remedy else ""
    lines = [f"{pad}- **{finding.kind}** ({head}): {finding.cause}.{remedy}"]
    if finding.evidence:
        lines.append(f"{pad}  <br>*Evidence:* {_numbers(finding.evidence)}")
    for consequence in finding.consequences:
        lines += _markdown_of(consequence, depth + 1)
    return lines


def _wrapped(prefix: str, text: str, width: int, hang: int) -> list[str]:
    """The text after its prefix, in lines of `width`; later ones begin `hang` columns after the indent."""
    indent = len(prefix) - len(prefix.lstrip(" "))
    return textwrap.wrap(
        prefix.lstrip(" ") + text,
        max(width, 40),
        initial_indent=" " * indent,
        subsequent_indent=" " * (indent + hang),
        break_long_words=False,
        break_on_hyphens=False,
    )


def _numbers(evidence: Mapping[str, float]) -> str:
    return ", ".join(f"{name}{GLUE}{short(value)}" for name, value in evidence.items())


def _lacking(report: Report) -> str:
    """The rules that could not be run, folded by the signals they lacked."""
    folded: dict[str, list[str]] = {}
    for name, why in report.not_run.items():
        folded.setdefault(_lack(why), []).append(name)
    return "; ".join(
        f"{', '.join(rules)} (no {what})".replace("(no more ", "(too little ")
        for what, rules in folded.items()
    )


def _lack(why: str) -> str:
    """The signals that are missing or too short, from the sentence of `diagnose`."""
    found = re.findall(r"rows of '([^']+)' \(there are (\d+)\)", why)
    absent = [name for name, rows in found if rows == "0"]
    return ", ".join(absent) or ", ".join(f"more {name}" for name, _ in found) or why


def _finding_to_dict(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity.word,
        "step": finding.step,
        "layers": list(finding.layers),
        "evidence": {name: _plain(value) for name, value in finding.evidence.items()},
        "cause": finding.cause,
        "remedy": finding.remedy,
        "consequences": [_finding_to_dict(consequence) for consequence in finding.consequences],
    }


def _finding_from_dict(data: dict[str, Any]) -> Finding:
    return Finding(
        data["kind"],
        Severity[data["severity"].upper()],
        data["step"],
        {name: float(value) for name, value in data["evidence"].items()},
        data["cause"],
        data["remedy"],
        tuple(data["layers"]),
        tuple(_finding_from_dict(entry) for entry in data.get("consequences", ())),
    )


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _where(finding: Finding) -> str:
    if not finding.layers:
        return ""
    more = len(finding.layers) - NAMED
    return f" in {', '.join(finding.layers[:NAMED])}" + (f" and {more} more" if more > 0 else "")
