"""The tables of a report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from diagnostics import Verdict
from searcher.naming import duration
from searcher.report.observations import Region
from searcher.report.pages.blocks import Table
from searcher.report.study_report import AtBound, Best, Change, Longer, Reproduction, Trouble, VerdictRow
from searcher.report.words import listed, number, percent, sentence_of, settings_text, value_text

MEANING: Mapping[Verdict, str] = {
    Verdict.CONVERGED: "better than guessing, and the loss is at rest",
    Verdict.IMPROVING: "still getting better when it ended",
    Verdict.OVERFITTING: "the validation got worse again, and stayed so",
    Verdict.NOT_LEARNING: "no better than guessing",
    Verdict.DIVERGED: "the loss rose and did not come back",
    Verdict.NON_FINITE: "numbers left the range of a computer",
    Verdict.UNSTABLE: "went up and down without getting on",
    Verdict.INCOMPLETE: "stopped before anything could be said",
    Verdict.FAILED: "ended for a reason outside the mathematics",
}
"""Verdicts for somebody who reads a report for the first time."""


def troubles_table(troubles: Sequence[Trouble]) -> Table:
    """What went wrong, with which trials, and what to change."""
    rows = [(t.kind, str(len(t.trials)), listed(t.trials), sentence_of(t.remedy)) for t in troubles]
    return Table(
        "What went wrong, and what to change",
        {"what went wrong": "code", "trials": "number", "which": "text", "what to change": "text"},
        tuple(rows),
    )


def settings_table(best: Best) -> Table:
    """The settings of the best trial."""
    rows = tuple((name, value_text(value)) for name, value in best.settings.items())
    return Table(f"The best settings: trial {best.trial}", {"setting": "code", "value": "number"}, rows)


def verdicts_table(verdicts: Sequence[VerdictRow]) -> Table:
    """Every verdict with what it means, its trials and their time."""
    trials = sum(row.trials for row in verdicts)
    rows = [
        (
            row.verdict,
            str(row.trials),
            percent(row.trials, trials),
            duration(row.seconds),
            MEANING[Verdict(row.verdict)],
        )
        for row in verdicts
    ]
    return Table(
        "What the verdicts mean",
        {
            "verdict": "verdict",
            "trials": "number",
            "share": "number",
            "device time": "number",
            "meaning": "text",
        },
        tuple(rows),
    )


def regions_table(regions: Sequence[Region]) -> Table:
    """The simplest rule for each finding, and how well it holds."""
    rows = []
    for region in regions:
        cells = ("-", "-", "-")
        if region.conditions:
            inside = f"{region.failed_inside} of {region.trials_inside}"
            outside = f"{region.failed_outside} of {region.trials_outside}"
            cells = (inside, outside, f"{region.support:.2f}")
        rows.append((region.kind, sentence_of(region.text), *cells))
    return Table(
        "The simplest rule that tells sick from healthy trials",
        {
            "finding": "code",
            "rule": "text",
            "failed inside": "number",
            "elsewhere": "number",
            "support": "number",
        },
        tuple(rows),
    )


def bounds_table(at_bounds: Sequence[AtBound]) -> Table:
    """Settings whose best value lies on a bound of their range."""
    rows = tuple((at.setting, number(at.value), at.bound) for at in at_bounds)
    return Table(
        "The best lies on a bound of its range",
        {"setting": "code", "best value": "number", "bound": "text"},
        rows,
    )


def changes_table(changes: Sequence[Change]) -> Table:
    """What changes in the next study file."""
    rows = tuple((c.setting, c.before, c.after, sentence_of(c.reason)) for c in changes)
    return Table(
        "What changes, and why",
        {"setting": "code", "before": "code", "next": "code", "why": "text"},
        rows,
    )


def longer_table(longer: Sequence[Longer]) -> Table:
    """Trials that were still improving."""
    rows = tuple((str(one.trial), settings_text(one.settings), sentence_of(one.reason)) for one in longer)
    return Table(
        "Trials that deserve a longer budget",
        {"trial": "number", "settings": "text", "why": "text"},
        rows,
    )


def made_with_table(again: Reproduction) -> Table:
    """What a study was made with, as far as it is known."""
    given = (
        ("seed", str(again.seed)),
        ("sampler", again.sampler),
        ("device", again.device),
        ("data digest", again.data_digest),
        ("git commit", again.git_commit),
        *again.versions.items(),
    )
    rows = tuple((name, value) for name, value in given if value)
    return Table("What it was made with", {"what": "text", "value": "code"}, rows)
