"""Which stops that are due are not carried out, and why. Pure: what is known goes in, a reprieve comes out.

A trial that is among the best of its study is not stopped by what it can recover from. Of all other stops a
share is not carried out either, drawn beforehand: only so can be seen how many stops were wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from diagnostics import Finding, Severity, Signals
from diagnostics.causes import flatten
from diagnostics.rules.non_finite import WEIGHTS
from searcher.policy import stop_reason
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, Reprieve, TrialCourse, TrialResult

RECOVERABLE = ("diverging", "not-learning")
"""Kinds of fatal findings that may be withdrawn: a loss can fall again, a plateau can end. Losses that are
not finite belong to them where the weights are known to be sound."""

NON_FINITE = "non-finite"

SIBLINGS = 4
"""Trials that must have come as far before one counts as among the best of them (house rule: with fewer,
being ahead of all says little)."""

BEATEN = 0.75
"""Share of them that it must be better than: the best quarter is spared."""


def reprieve_of(
    spec: StudySpec, number: int, course: TrialCourse, results: Sequence[TrialResult]
) -> Reprieve | None:
    """Why a trial for which a stop is due trains on; None when it is stopped.

    `results` are those of the trials that have ended. A trial that was audited once trains on to its end,
    unless its weights are lost.
    """
    kinds = fatal_kinds(course.findings)
    if NON_FINITE in kinds and are_weights_lost(course.signals):
        return None
    known = next((reprieve for reprieve in course.reprieves if reprieve.why == "audited"), None)
    if known is not None:
        return known
    reason, because = stop_reason(course.findings), ""
    if can_recover(course.findings, course.signals):
        because = among_the_best(spec.metric, course, results)
    if because:
        return Reprieve("spared", course.step, course.epoch, kinds[0], reason, because)
    if is_audited(spec.search.seed, number, spec.search.audit):
        share = f"{100 * spec.search.audit:.3g} %"
        because = f"it is one of the {share} that are let run on, to see whether they come back"
        return Reprieve("audited", course.step, course.epoch, kinds[0], reason, because)
    return None


def is_audited(seed: int, number: int, share: float) -> bool:
    """Whether a stop of this trial would be audited. It hangs on the seed of the study and the trial's number
    alone; who is audited at a share is so at a larger one."""
    digest = hashlib.sha256(f"audit {seed} {number}".encode()).digest()
    return int.from_bytes(digest[:8]) < share * 2**64


def fatal_kinds(findings: Iterable[Finding]) -> list[str]:
    """The kinds of what cannot recover, the earliest first, without those that are grave only by what follows
    from them."""
    return [finding.kind for finding in sorted(_fatal(findings), key=lambda finding: finding.step)]


def can_recover(findings: Iterable[Finding], signals: Signals) -> bool:
    """Whether all that is fatal may be withdrawn, as far as anybody knows."""
    return all(
        finding.kind in RECOVERABLE
        or (finding.kind == NON_FINITE and _are_weights_sound(signals, finding.step))
        for finding in _fatal(findings)
    )


def are_weights_lost(signals: Signals) -> bool:
    """Whether weights are known to be NaN or infinite: no step of an optimizer brings them back."""
    return any(not np.all(np.isfinite(signals[name].values)) for name in WEIGHTS if name in signals)


def among_the_best(metric: Metric, course: TrialCourse, results: Iterable[TrialResult]) -> str:
    """By what a trial is one of the best of its study, as a clause; empty when it is not.

    It is, when its value is better than three quarters of those that at least four other trials had at the
    same evaluation, or than the best final one. Trials that were doomed or failed have no say.
    """
    value = course.value
    if value is None:
        return ""
    ended = [r for r in results if r.outcome in (Outcome.COMPLETED, Outcome.PRUNED)]
    finals = (r.value for r in ended if r.outcome is Outcome.COMPLETED and r.value is not None)
    best = (min if metric.goal == "minimize" else max)(finals, default=None)
    own = f"its {metric.name} of {value:.4g} is better than"
    if best is not None and metric.is_better(value, best):
        return f"{own} the best of all trials that were trained to their end, {best:.4g}"
    due = max(course.values)
    siblings = [r.values[due] for r in ended if due in r.values]
    beaten = sum(metric.is_better(course.values[due], other) for other in siblings)
    if len(siblings) < SIBLINGS or beaten < BEATEN * len(siblings):
        return ""
    return f"{own} that of {beaten} of the {len(siblings)} trials that came as far, at the same evaluation"


def _fatal(findings: Iterable[Finding]) -> Iterator[Finding]:
    for finding in findings:
        if finding.severity is Severity.FATAL:
            follows = [one for one in flatten(finding.consequences) if one.severity is Severity.FATAL]
            yield from follows or [finding]


def _are_weights_sound(signals: Signals, step: int) -> bool:
    """Whether weights were measured after a step, and never were anything but finite."""
    measured = any(signals[name].steps[-1] > step for name in WEIGHTS if name in signals)
    return measured and not are_weights_lost(signals)
