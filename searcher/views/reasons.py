"""Why a trial ended as it did: in a word, in a clause, in a line. The whole of it is `diagnose`'s to say."""

from __future__ import annotations

from diagnostics import Finding, Report, Severity
from searcher.feasibility import violated
from searcher.policy import SEEN_BY_LAUNCHER, likely_cause, symptom_of
from searcher.trial import Outcome, TrialResult
from searcher.views.fitting import clauses

LINE = 200
"""Characters of the line of a trial that was stopped (house rule: two and a half lines of a terminal)."""

REMEDY = 70
"""Characters of it for what to change, which matters most."""

LEAST = 30
"""Characters that a clause gets, however little room there is."""


def kind_of(cause: Finding) -> str:
    """The kind of a cause; of what is no more than a remark, that it is likely only."""
    return cause.kind + (" (likely)" if cause.severity is Severity.INFO else "")


def cause_cell(report: Report) -> str:
    """What a trial suffered from and since which step, in a word; empty when all was well."""
    cause = likely_cause(report)
    return "" if cause is None else f"{kind_of(cause)} @{cause.step}"


def cause_word(result: TrialResult) -> str:
    """What a trial suffered from, or the constraints that it violates; empty when all was well."""
    if broken := violated(result):
        return ", ".join(broken)
    cause = likely_cause(result.report)
    return "" if cause is None else kind_of(cause)


def short_reason(result: TrialResult, room: int) -> str:
    """Why a trial ended before its time: what could not recover, its cause, and what to change."""
    fatal = result.report.fatal
    if result.outcome is not Outcome.DOOMED or fatal is None:
        return clauses((result.reason.splitlines() or [""])[0], room)
    head, remedy = stopped_by(fatal), clauses(fatal.remedy, REMEDY)
    left = max(LEAST, room - len(head) - len(remedy) - len(": ; "))
    return f"{head}: {clauses(fatal.cause, left)}" + (f"; {remedy}" if remedy else "")


def untold_reason(result: TrialResult, room: int) -> str:
    """The reason of an end that no cause among the findings tells: a crash, a pruner, no usable value."""
    fatal = result.report.fatal
    by_findings = fatal is not None and fatal.kind not in SEEN_BY_LAUNCHER
    return "" if by_findings or not result.reason else short_reason(result, room)


def stopped_by(fatal: Finding) -> str:
    """What could not recover, and what it follows from."""
    symptom = symptom_of(fatal)
    return fatal.kind if symptom is fatal else f"{symptom.kind}, caused by {fatal.kind}"


def at_step(result: TrialResult) -> str:
    """After how many steps a trial ended, where that is known."""
    steps = result.report.statistics.get("steps")
    return "" if steps is None else f" at step {float(steps):.0f}"


def reprieves_text(result: TrialResult) -> str:
    """The stops that were due and not carried out, in clauses."""
    return "; ".join(reprieve.short for reprieve in result.reprieves)
