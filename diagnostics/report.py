"""A report as text, Markdown or plain data. Every function returns; none prints."""

from __future__ import annotations

import math
import re
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diagnostics.evidence.words import layer_words, short
from diagnostics.findings import Finding, Report, Severity, Verdict
from diagnostics.wording import sentence

WIDTH = 80
"""Columns of a terminal."""

GLUE = "\u00a0"
"""Keeps a name and its number on one line until all lines are made."""

NAMED = 4
"""Layers, or rules, that are named before the others are counted."""

LIMITS = ("_low", "_high")
"""How the names of confidence limits end; an infinite one says nothing and is not shown."""

MONITORED = ("weight_norm", "total_grad_norm", "answer_spread")
"""Signals that every monitor records: a training that has none of them had none."""

CURVES = ("loss", "train_loss", "val_loss")
"""Signals that a file of plain curves can hold."""

OPTIONAL = ("rotation", "slope_share")
"""Signals of parts that a model need not have: a norm, an activation that saturates. A rule that lacks them
in a monitored training does not apply there."""


def to_text(report: Report, width: int = WIDTH, unit: str = "step") -> str:
    """The report for a terminal: the verdict in a sentence, then the findings, the gravest first.

    What follows from a finding stands indented below it; what could not be judged, in the last lines.
    `unit` is what the steps of the signals are, such as `epoch`.
    """
    lines = [_Paragraph(f"verdict: {report.verdict}: ", sentence(report), 2)]
    for finding in report.findings:
        lines += [BLANK, *_text_of(finding, 0)]
    rest = [f"rule broken: {name}: {what}" for name, what in report.errors.items()]
    lacking = _lacking(report)
    if lacking:
        rest.append(f"not judged: {lacking}")
    if rest:
        lines.append(BLANK)
    lines += [_Paragraph("", line, 2) for line in rest]
    wrapped = [line for paragraph in lines for line in paragraph.counted(unit).wrapped(width)]
    return "\n".join(wrapped).replace(GLUE, " ")


def to_markdown(report: Report) -> str:
    """The report as the note of a run."""
    lines = [f"**{report.verdict}**: {sentence(report)}.", ""]
    for finding in report.findings:
        lines += _markdown_of(finding, 0)
    lines += [f"- rule `{name}` is broken: {what}" for name, what in report.errors.items()]
    lacking = _lacking(report)
    if lacking:
        lines.append(f"- *Not judged:* {lacking}")
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


def shown(numbers: Mapping[str, float]) -> dict[str, float]:
    """The numbers for a person: without confidence limits that are infinite."""
    return {
        name: value for name, value in numbers.items() if not (name.endswith(LIMITS) and math.isinf(value))
    }


@dataclass(frozen=True)
class _Paragraph:
    """Text after its prefix; lines after the first begin `hang` columns after the prefix's indent."""

    prefix: str
    text: str
    hang: int

    def counted(self, unit: str) -> _Paragraph:
        """The same, counted in another unit than steps."""
        words = {
            "a step": f"an {unit}" if unit[:1] in "aeiou" else f"a {unit}",
            "step": unit,
            "steps": f"{unit}s",
        }
        text = re.sub(r"\b(a step|steps?)\b", lambda found: words[found.group()], self.text)
        text = re.sub(rf"(?<![\d.,])1 {unit}s\b", f"1 {unit}", text)
        return _Paragraph(self.prefix, text, self.hang)

    def wrapped(self, width: int) -> list[str]:
        indent = len(self.prefix) - len(self.prefix.lstrip(" "))
        lines = textwrap.wrap(
            self.prefix.lstrip(" ") + self.text,
            max(width, 40),
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent + self.hang),
            break_long_words=False,
            break_on_hyphens=False,
        )
        return lines or [""]


BLANK = _Paragraph("", "", 0)


def _text_of(finding: Finding, depth: int) -> list[_Paragraph]:
    pad = "    " * depth
    head = f"{finding.severity.word}: {finding.kind} at step {finding.step}"
    lines = [_Paragraph(pad, head + _where(finding), 2)]
    parts = [("cause", finding.cause), ("remedy", finding.remedy), ("evidence", _numbers(finding.evidence))]
    lines += [_Paragraph(f"{pad}  {label + ':':<10}", text, 10) for label, text in parts if text]
    if finding.consequences:
        lines.append(_Paragraph(pad + "  ", "it follows:", 2))
    for consequence in finding.consequences:
        lines += _text_of(consequence, depth + 1)
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


def _numbers(evidence: Mapping[str, float]) -> str:
    return ", ".join(f"{name}{GLUE}{short(value)}" for name, value in shown(evidence).items())


@dataclass(frozen=True)
class _Lack:
    """What a rule lacked to run: signals without any row, signals with too few, or something else."""

    absent: tuple[str, ...]
    short: tuple[str, ...]
    why: str

    @classmethod
    def of(cls, why: str) -> _Lack:
        """From the sentence of `diagnose`."""
        found = re.findall(r"rows of '([^']+)' \(there are (\d+)\)", why)
        absent = tuple(name for name, rows in found if rows == "0")
        return cls(absent, tuple(name for name, rows in found if rows != "0"), why)


def _lacking(report: Report) -> str:
    """What could not be judged, in few words; empty when there is nothing to be told."""
    lacks = {name: _Lack.of(why) for name, why in report.not_run.items()}
    absent = {name for lack in lacks.values() for name in lack.absent}
    if absent.issuperset(MONITORED):
        return _needed(list(lacks.values()))
    return _folded({name: lack for name, lack in lacks.items() if not set(OPTIONAL) & set(lack.absent)})


def _needed(lacks: Sequence[_Lack]) -> str:
    """How many rules need what, of a training that had no monitor."""
    curves = [lack for lack in lacks if set(lack.absent) <= set(CURVES)]
    needs = Counter(
        ", ".join(lack.absent) or (f"more rows of {', '.join(lack.short)}" if lack.short else lack.why)
        for lack in curves
    )
    monitor = len(lacks) - len(curves)
    parts = [f"{monitor} rules need a Monitor in the loop (see docs/own-code.md)"]
    return ", ".join([*parts, *(f"{n} need{'s' if n == 1 else ''} {what}" for what, n in needs.items())])


def _folded(lacks: Mapping[str, _Lack]) -> str:
    """The rules, folded by the signals they lacked; those that only came too early are one fold."""
    early = {lack.short for lack in lacks.values() if not lack.absent and lack.short}
    few = f"too little {', '.join(next(iter(early)))}" if len(early) == 1 else "too few rows"
    folds: dict[str, list[str]] = {}
    for name, lack in lacks.items():
        what = f"no {', '.join(lack.absent)}" if lack.absent else (few if lack.short else lack.why)
        folds.setdefault(what, []).append(name)
    return "; ".join(f"{_some(names)} ({what})" for what, names in folds.items())


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


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
    return f" in {_some([layer_words(name, {}) for name in finding.layers])}"
