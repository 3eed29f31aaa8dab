"""From signals to a report: every rule that has its data is run, then one verdict is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from diagnostics.causes import attach
from diagnostics.findings import UNMEASURED, Facts, Finding, Report, Rule, Verdict
from diagnostics.rules import RULES
from diagnostics.signals import Signals
from diagnostics.verdict import judge


def diagnose(signals: Signals, facts: Facts | None = None, rules: Sequence[Rule] = RULES) -> Report:
    """What the signals of one training mean.

    `facts` are things known beside the signals and their own facts: `trivial_loss` (the loss of the
    best constant prediction), `ended` (`finished`, `stopped` or `failed`; left out while it is
    running). A rule that raises is listed in `Report.errors`, one that lacks data in `Report.not_run`.
    """
    known = {**signals.facts, **(facts or {})}
    findings, not_run, errors = run_rules(signals, known, rules)
    verdict, statistics, error = give_verdict(signals, known, findings)
    return Report(verdict, findings, statistics, not_run, errors | ({"verdict": error} if error else {}))


def give_verdict(
    signals: Signals, facts: Facts, findings: Sequence[Finding]
) -> tuple[Verdict, Mapping[str, float], str]:
    """The verdict with its statistics, and how judging broke: what was found stands all the same."""
    try:
        with np.errstate(all="ignore"):
            return *judge(signals, facts, tuple(findings)), ""
    except Exception as error:  # a broken verdict must be seen, but must not stop a training
        return Verdict.INCOMPLETE, {}, f"{type(error).__name__}: {error}"


def run_rules(
    signals: Signals, facts: Facts, rules: Sequence[Rule] = RULES
) -> tuple[tuple[Finding, ...], dict[str, str], dict[str, str]]:
    """What the rules find: the cause of it all first, what follows from each attached to it; then, by
    rule, what it lacked to run and how it broke.
    """
    known = {**signals.facts, **facts}
    findings: list[Finding] = []
    not_run: dict[str, str] = {}
    errors = {"monitor": str(known[UNMEASURED])} if UNMEASURED in known else {}
    for rule in rules:
        missing = _missing(rule, signals)
        if missing:
            not_run[rule.name] = missing
            continue
        try:
            with np.errstate(all="ignore"):  # rules meet infinities, and look at what comes of them
                findings.extend(rule.check(signals, known))
        except Exception as error:  # a broken rule must be seen, but must not stop a training
            errors[rule.name] = f"{type(error).__name__}: {error}"
    return attach(findings), not_run, errors


def _missing(rule: Rule, signals: Signals) -> str:
    lacks = [
        f"{rows} rows of {name!r} (there are {len(signals[name]) if name in signals else 0})"
        for name, rows in rule.needs.items()
        if name not in signals or len(signals[name]) < rows
    ]
    return "needs " + " and ".join(lacks) if lacks else ""
