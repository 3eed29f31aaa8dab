"""What a report means: reasons to stop, outcomes, retries, stand-ins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diagnostics import Finding, Report, Severity, Verdict
from searcher.launchers.job import End, Ended
from searcher.policy import (
    BAD,
    MISTAKE,
    SEEN_BY_LAUNCHER,
    finding_of,
    first_cause,
    is_shown_first,
    likely_cause,
    may_retry,
    outcome_of,
    stand_in,
    stop_reason,
    symptom_of,
)
from searcher.spec import Metric
from searcher.trial import Outcome


def finding(severity: Severity, step: int, kind: str = "diverging") -> Finding:
    return Finding(kind, severity, step, {"loss": 9.0}, f"the loss left at {step}", "a smaller step")


def report(*findings: Finding) -> Report:
    return Report(Verdict.INCOMPLETE, findings)


WELL = report(finding(Severity.WARNING, 3), finding(Severity.INFO, 1))
FATAL = report(finding(Severity.WARNING, 1), finding(Severity.FATAL, 9, "late"), finding(Severity.FATAL, 7))


def test_only_a_fatal_finding_stops_and_the_earliest_one_is_the_reason() -> None:
    assert stop_reason(WELL.findings) == ""
    assert stop_reason(FATAL.findings) == "diverging at step 7: the loss left at 7; remedy: a smaller step"


def test_a_stop_names_what_cannot_recover_and_what_it_follows_from() -> None:
    """A cause that is no stop by itself has become as grave as what follows from it."""
    later = finding(Severity.FATAL, 40, "non-finite")
    cause = replace(
        finding(Severity.FATAL, 3, "learning-rate-too-high"),
        cause="updates were 0.8 of the weights",
        remedy="lower it to 3e-4",
        consequences=(finding(Severity.WARNING, 2, "weight-blowup"), later, finding(Severity.FATAL, 30)),
    )
    assert symptom_of(cause).kind == "diverging", "the earliest fatal one"
    assert stop_reason((cause,)) == (
        "diverging at step 30, caused by learning-rate-too-high at step 3: updates were 0.8 of the weights; "
        "remedy: lower it to 3e-4"
    )
    assert symptom_of(later) is later


def test_the_first_cause_is_the_fatal_one_else_the_first_warning() -> None:
    first = first_cause(FATAL.findings)
    assert first is not None and (first.severity, first.step) == (Severity.FATAL, 7)
    first = first_cause(WELL.findings)
    assert first is not None and first.severity is Severity.WARNING
    assert first_cause((finding(Severity.INFO, 1),)) is None, "a remark is no cause"


@pytest.mark.parametrize("verdict", Verdict)
def test_after_a_bad_verdict_a_remark_may_be_the_cause(verdict: Verdict) -> None:
    remark, warning = finding(Severity.INFO, 5, "norm-masks-init"), finding(Severity.WARNING, 9)
    assert likely_cause(Report(verdict, (warning, remark))) is warning
    assert likely_cause(Report(verdict, (remark,))) is (remark if verdict in BAD else None)
    assert likely_cause(Report(verdict, ())) is None
    assert not {Verdict.CONVERGED, Verdict.IMPROVING, Verdict.INCOMPLETE} & set(BAD)


@pytest.mark.parametrize(
    ("end", "healthy", "fatal"),
    [
        (End.FINISHED, Outcome.COMPLETED, Outcome.DOOMED),
        (End.OUT_OF_MEMORY, Outcome.DOOMED, Outcome.DOOMED),
        (End.ERROR, Outcome.FAILED, Outcome.FAILED),
        (End.MISTAKE, Outcome.FAILED, Outcome.FAILED),
        (End.DIED, Outcome.FAILED, Outcome.FAILED),
        (End.HUNG, Outcome.FAILED, Outcome.FAILED),
    ],
)
@pytest.mark.parametrize("has_value", [True, False])
def test_outcomes(end: End, healthy: Outcome, fatal: Outcome, has_value: bool) -> None:
    assert outcome_of(Ended(end), WELL, has_value=has_value) is healthy
    assert outcome_of(Ended(end), FATAL, has_value=has_value) is fatal


def test_what_a_trial_reached_before_its_time_was_up_counts() -> None:
    late = Ended(End.TIMEOUT, "it took too long", numbers={"seconds": 61.0, "limit": 60.0})
    assert outcome_of(late, WELL, has_value=True) is Outcome.PRUNED
    assert outcome_of(late, WELL, has_value=False) is Outcome.DOOMED
    found, worse = (finding_of(late, 3, has_value=has_value) for has_value in (True, False))
    assert found is not None and (found.severity, found.kind) == (Severity.WARNING, "timeout")
    assert worse is not None and worse.severity is Severity.FATAL
    assert found.evidence == {"step": 3, "seconds": 61.0, "limit": 60.0}
    assert not may_retry(late, (), 5), "it would be too late again"


def test_every_end_is_judged() -> None:
    assert {outcome_of(Ended(end), WELL, has_value=True) for end in End} <= set(Outcome)


@pytest.mark.parametrize(
    ("end", "kind"),
    [
        (End.OUT_OF_MEMORY, "out-of-memory"),
        (End.DIED, "crashed"),
        (End.ERROR, "crashed"),
        (End.HUNG, "hung"),
        (End.FINISHED, None),
        (End.MISTAKE, None),
    ],
)
def test_findings_of_the_launcher(end: End, kind: str | None) -> None:
    found = finding_of(Ended(end, "its worker was killed"), 12, has_value=True)
    assert (None if found is None else found.kind) == kind
    if found is not None:
        assert found.kind in SEEN_BY_LAUNCHER
        assert (found.severity, found.step, found.cause) == (Severity.FATAL, 12, "its worker was killed")
        assert found.remedy and found.evidence


def test_only_a_dead_or_hanging_worker_is_retried_and_not_for_ever() -> None:
    assert [end for end in End if may_retry(Ended(end), (), 1)] == [End.DIED, End.HUNG]
    assert may_retry(Ended(End.DIED), ("once",), 2)
    assert not may_retry(Ended(End.DIED), ("once", "twice"), 2)
    assert not may_retry(Ended(End.DIED), (), 0)
    assert may_retry(Ended(End.DIED), (MISTAKE + "no such column",), 1), "a mistake is no death"


def test_a_mistake_is_shown_once() -> None:
    ended = Ended(End.MISTAKE, "no such column")
    assert is_shown_first(ended, ()) and is_shown_first(ended, (MISTAKE + "another", "no such column"))
    assert not is_shown_first(ended, (MISTAKE + "no such column",))
    assert not is_shown_first(Ended(End.ERROR, "no such column"), ())


@pytest.mark.parametrize("goal", ["minimize", "maximize"])
def test_a_stand_in_is_finite_and_no_better_than_anything_known(goal: str, rng: np.random.Generator) -> None:
    metric = Metric(goal="maximize" if goal == "maximize" else "minimize")
    known, own = rng.normal(0, 100, 5).tolist(), rng.normal(0, 100, 2).tolist()
    value = stand_in([*known, float("nan"), float("inf"), -float("inf")], [*own, float("nan")], {}, metric)
    assert value in [*known, *own]
    assert not any(metric.is_better(value, other) for other in [*known, *own])


def test_a_stand_in_when_nothing_is_known() -> None:
    accuracy, loss = Metric(name="val_accuracy", goal="maximize"), Metric(name="val_loss")
    assert stand_in([], [float("nan")], {}, accuracy) == 0.0
    assert stand_in([float("inf")], [], {"trivial_loss": 2.25}, loss) == 2.25
    assert stand_in([], [], {"trivial_loss": 2.25}, Metric(name="val_rmse")) == 1.5
    assert stand_in([], [], {}, loss) == 1e6
    assert stand_in([], [], {}, Metric(name="val_r2", goal="maximize")) == -1e6
