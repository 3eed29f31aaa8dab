"""A report as text, Markdown or plain data. Every function returns; none prints."""

from __future__ import annotations

import math
from typing import Any

from diagnostics.findings import Finding, Report, Severity, Verdict


def to_text(report: Report) -> str:
    """The report for a terminal: the verdict, then each finding with its cause and remedy."""
    lines = [f"verdict: {report.verdict}"]
    for finding in report.findings:
        lines += [
            f"{finding.severity.word}: {finding.kind} at step {finding.step}{_where(finding)}",
            f"  cause:  {finding.cause}",
            f"  remedy: {finding.remedy}",
        ]
    lines += [f"not run: {name} {why}" for name, why in report.not_run.items()]
    lines += [f"rule broken: {name}: {what}" for name, what in report.errors.items()]
    return "\n".join(lines)


def to_markdown(report: Report) -> str:
    """The report as the note of a run."""
    lines = [f"**{report.verdict}**", ""]
    for finding in report.findings:
        lines += [
            f"- **{finding.kind}** ({finding.severity.word}, step {finding.step}{_where(finding)}): "
            f"{finding.cause}. *Remedy:* {finding.remedy}.",
        ]
    lines += [f"- `{name}` was not run: {why}" for name, why in report.not_run.items()]
    lines += [f"- rule `{name}` is broken: {what}" for name, what in report.errors.items()]
    return "\n".join(lines)


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
    """What `to_dict` gave, as a report again."""
    return Report(
        Verdict(data["verdict"]),
        tuple(_finding_from_dict(entry) for entry in data["findings"]),
        {name: float(value) for name, value in data["statistics"].items()},
        data["not_run"],
        data["errors"],
    )


def _finding_to_dict(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "severity": finding.severity.word,
        "step": finding.step,
        "layers": list(finding.layers),
        "evidence": {name: _plain(value) for name, value in finding.evidence.items()},
        "cause": finding.cause,
        "remedy": finding.remedy,
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
    )


def _plain(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _where(finding: Finding) -> str:
    return f" in {', '.join(finding.layers)}" if finding.layers else ""
