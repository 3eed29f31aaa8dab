"""Which trial shows a finding best, and where the signals of a trial come from."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from diagnostics import Finding, Severity, Signals
from diagnostics.causes import flatten
from searcher.policy import first_cause
from searcher.records import SIGNALS, trial_folder
from searcher.trial import TrialResult

UNREADABLE = (OSError, EOFError, ValueError, KeyError, RuntimeError, BadZipFile, zlib.error)
"""What reading a file comes to that was cut short or written over."""

SignalsOf = Callable[[TrialResult, Collection[str]], Signals]
"""Gives signals of a trial by name, as far as they are there. They are large: a report asks for those of one
trial at a time, and only for what it draws."""


def own_signals(result: TrialResult, names: Collection[str]) -> Signals:
    """What a result brings along."""
    return Signals({name: result.signals[name] for name in names if name in result.signals})


def recorded_signals(runs: Path) -> SignalsOf:
    """What a result brings along, else what lies in its trial's folder; nothing where there is none, or where
    its file is broken off: one trial without curves is no reason to have no report."""

    def signals_of(result: TrialResult, names: Collection[str]) -> Signals:
        file = trial_folder(runs, result.number) / SIGNALS
        if result.signals or not file.exists():
            return own_signals(result, names)
        try:
            return Signals.load(file, names)
        except UNREADABLE:
            return own_signals(result, names)

    return signals_of


@dataclass(frozen=True)
class Case:
    """A finding, and the trial in which it was made."""

    result: TrialResult
    finding: Finding


def cases(results: Iterable[TrialResult], wanted: Callable[[Finding], bool]) -> dict[str, list[Case]]:
    """All `wanted` findings by kind, with what follows from them: the gravest and most frequent kind first,
    and of each kind the clearest case first: grave, the trial's first cause, an early trial."""
    found: dict[str, list[Case]] = {}
    for result in results:
        by_kind: dict[str, Case] = {}
        for finding in flatten(result.report.findings):
            known = by_kind.get(finding.kind)
            if wanted(finding) and (known is None or finding.severity > known.finding.severity):
                by_kind[finding.kind] = Case(result, finding)
        for kind, case in by_kind.items():
            found.setdefault(kind, []).append(case)
    for cases_of_kind in found.values():
        cases_of_kind.sort(key=_clearest_first)
    kinds = sorted(found, key=lambda kind: (-_gravest(found[kind]), -len(found[kind]), kind))
    return {kind: found[kind] for kind in kinds}


def _gravest(cases_of_kind: list[Case]) -> Severity:
    return max(case.finding.severity for case in cases_of_kind)


def _clearest_first(case: Case) -> tuple[int, bool, int]:
    cause = first_cause(case.result.report.findings)
    is_cause = cause is not None and cause.kind == case.finding.kind
    return -case.finding.severity, not is_cause, case.result.number
