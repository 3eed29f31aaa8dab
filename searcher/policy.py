"""What a report means for the trial and for the search. Pure: numbers in, decisions with reasons out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from diagnostics import Finding, Report, Severity, Verdict
from diagnostics.causes import flatten
from diagnostics.findings import Facts, first_fatal
from searcher.launchers.job import End, Ended
from searcher.spec import Objective
from searcher.trial import Outcome, TrialResult

MISTAKE = "mistake: "
"""How an attempt that ended by a mistake is noted; it does not count among the retries."""

SEEN_BY_LAUNCHER = ("out-of-memory", "timeout", "hung", "crashed")
"""Kinds of findings that no rule gives: the launcher saw them."""

BAD = (Verdict.NOT_LEARNING, Verdict.DIVERGED, Verdict.NON_FINITE, Verdict.UNSTABLE, Verdict.FAILED)
"""Verdicts after which a person asks why."""

FAR = 1e6
"""A value no metric of a training in order comes near (house rule)."""


def stop_reason(findings: Iterable[Finding]) -> str:
    """Why a training with these findings must stop, as a sentence; empty when it may go on.

    What cannot recover comes first, then what it follows from, and what to change.
    """
    fatal = first_fatal(findings)
    if fatal is None:
        return ""
    symptom = symptom_of(fatal)
    if symptom is fatal:
        return f"{_at(fatal)}; remedy: {fatal.remedy}"
    return f"{symptom.kind} at step {symptom.step}, caused by {_at(fatal)}; remedy: {fatal.remedy}"


def symptom_of(fatal: Finding) -> Finding:
    """What cannot recover: the earliest fatal one among what follows from a finding, or itself."""
    return first_fatal(flatten(fatal.consequences)) or fatal


def constraints_of(result: TrialResult) -> dict[str, float]:
    """What a sampler is told that a trial violates, above 0, or keeps: the constraints of the study file, and
    for a doomed one the name of what it died of."""
    if result.outcome is not Outcome.DOOMED:
        return dict(result.constraints)
    return {**result.constraints, doomed_by(result.report): 1.0}


def doomed_by(report: Report) -> str:
    """The kind of what a doomed trial died of."""
    return symptom_of(report.fatal).kind if report.fatal is not None else "doomed"


def first_cause(findings: Sequence[Finding]) -> Finding | None:
    """What a person should look at first: the earliest fatal finding, else the first warning, else None."""
    warnings = (finding for finding in findings if finding.severity is Severity.WARNING)
    return first_fatal(findings) or next(warnings, None)


def likely_cause(report: Report) -> Finding | None:
    """The first cause; where there is none and the verdict is bad, the first remark: it may be the cause."""
    remarks = report.findings if report.verdict in BAD else ()
    return first_cause(report.findings) or next(iter(remarks), None)


def _at(finding: Finding) -> str:
    return f"{finding.kind} at step {finding.step}: {finding.cause}"


READ_LOG = "read the traceback or the worker's log in the trial's folder"

SEEN: Mapping[End, tuple[str, str]] = {
    End.OUT_OF_MEMORY: ("out-of-memory", "use a smaller batch size or a smaller model"),
    End.DIED: ("crashed", READ_LOG),
    End.ERROR: ("crashed", READ_LOG),
    End.HUNG: ("hung", "look for a deadlock, such as in a data loader's workers; or raise hang_minutes"),
    End.TIMEOUT: ("timeout", "train fewer epochs or a smaller model; or raise timeout_minutes"),
}
"""What a launcher saw of an end -> the kind of the finding, and its remedy."""


def outcome_of(ended: Ended, report: Report, *, has_value: bool) -> Outcome:
    """What the end of a trial's stream means for the search; `has_value` when it was evaluated before.

    A trial that ran out of time would do so again: its best value so far counts, as after a pruning.
    """
    if ended.end is End.FINISHED:
        return Outcome.DOOMED if report.fatal is not None else Outcome.COMPLETED
    if ended.end is End.TIMEOUT:
        return Outcome.PRUNED if has_value else Outcome.DOOMED
    return Outcome.DOOMED if ended.end is End.OUT_OF_MEMORY else Outcome.FAILED


def finding_of(ended: Ended, step: int, *, has_value: bool) -> Finding | None:
    """What the launcher saw of a training that did not run to its end, as a finding."""
    if ended.end not in SEEN:
        return None
    kind, remedy = SEEN[ended.end]
    lesser = ended.end is End.TIMEOUT and has_value
    severity = Severity.WARNING if lesser else Severity.FATAL
    return Finding(kind, severity, step, {"step": step, **ended.numbers}, ended.cause, remedy)


def may_retry(ended: Ended, attempts: Sequence[str], retries: int) -> bool:
    """Whether a trial may be tried again: only when what failed was not the trial itself."""
    deaths = [cause for cause in attempts if not cause.startswith(MISTAKE)]
    return ended.end in (End.DIED, End.HUNG) and len(deaths) < retries


def is_shown_first(ended: Ended, attempts: Sequence[str]) -> bool:
    """Whether a mistake is new to a trial: then a person should see it before more trials are spent."""
    return ended.end is End.MISTAKE and MISTAKE + ended.cause not in attempts


def stand_in(values: Iterable[float], own: Iterable[float], facts: Facts, metric: Objective) -> float:
    """A finite value for a doomed trial: the worst that any trial, or this one, has reached.

    Samplers need a number; the violated constraint tells them that it is not one to come near. While
    no value is known it is that of the trivial predictor, from the `facts`, or a far away one.
    """
    finite = [value for value in (*values, *own) if math.isfinite(value)]
    if not finite:
        return _worst_guess(metric, facts)
    return min(finite) if metric.goal == "maximize" else max(finite)


def _worst_guess(metric: Objective, facts: Facts) -> float:
    kind = metric.name.rpartition("_")[2]
    if kind == "accuracy":
        return 0.0
    if kind in ("loss", "rmse") and "trivial_loss" in facts:
        trivial = float(facts["trivial_loss"])
        return trivial if kind == "loss" else math.sqrt(trivial)
    return FAR if metric.goal == "minimize" else -FAR


def finding_of_memory(facts: Facts) -> Finding | None:
    """What it means that the batches of a training went through the model in parts; None when they did not.

    Made of the facts that the trainer gives (`micro_batch` and those beside it). A warning where the memory
    ran out on the way and the training was repaired, a remark where it was begun in parts.
    """
    if "micro_batch" not in facts:
        return None
    at_once, batch = int(facts["micro_batch"]), int(facts.get("batch_size", 0))
    ran_out = "out_of_memory_step" in facts
    step, norms = int(facts.get("out_of_memory_step", 0)), int(facts.get("micro_batch_norms", 0))
    evidence = {"batch": batch, "micro_batch": at_once, "step": step, "norms": norms}
    why = "the memory ran out" if ran_out else "the training was begun so"
    cause = (
        f"{why} at step {step}: a batch of {batch} samples goes through the model in parts of at most "
        f"{at_once}, with the gradient of the whole batch"
    )
    if norms:
        layers = f"{norms} batch norm layer{'s' if norms > 1 else ''}"
        cause += f"; the statistics of {layers} are those of the parts, which is not the same training"
    remedy = (
        f"nothing has to be done; a batch size of at most {at_once} or a smaller model makes its steps faster"
    )
    if norms:
        remedy += ", and group or layer norm does not depend on the size of the parts"
    severity = Severity.WARNING if ran_out else Severity.INFO
    return Finding("out-of-memory", severity, step, evidence, cause, remedy)
