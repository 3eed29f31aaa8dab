"""The types of a diagnosis: what a rule is, what it finds, and what a training was."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from diagnostics.signals import Signals

Facts = Mapping[str, float | int | str]
"""What is known of a training beside its signals, such as `trivial_loss` or `parameters`."""


UNMEASURED = "probe_error"
"""Fact with what went wrong when a training was measured: some rows are missing then."""


class Severity(IntEnum):
    """How much a finding matters; `FATAL` means that the training cannot recover."""

    INFO = 0
    WARNING = 1
    FATAL = 2

    @property
    def word(self) -> str:
        """The severity as users read it."""
        return self.name.lower()


class Verdict(StrEnum):
    """What a training was, in one word. The order is the verdict's code in the MLflow record."""

    CONVERGED = "converged"
    IMPROVING = "improving"
    OVERFITTING = "overfitting"
    NOT_LEARNING = "not-learning"
    DIVERGED = "diverged"
    NON_FINITE = "non-finite"
    UNSTABLE = "unstable"
    INCOMPLETE = "incomplete"
    FAILED = "failed"

    @property
    def code(self) -> int:
        """A number for plots: the verdict's place in the vocabulary, from 0."""
        return list(Verdict).index(self)


@dataclass(frozen=True)
class Finding:
    """One thing that was found, with its evidence.

    `step` is the optimizer step where it began; `evidence` holds the numbers it rests on; `cause`
    and `remedy` are sentences for a person; `layers` names the parameters or modules it is about;
    `consequences` are findings that follow from it.
    """

    kind: str
    severity: Severity
    step: int
    evidence: Mapping[str, float]
    cause: str
    remedy: str
    layers: tuple[str, ...] = ()
    consequences: tuple[Finding, ...] = ()


@dataclass(frozen=True)
class Rule:
    """One illness and how to recognise it.

    `needs` maps a signal to the fewest rows the rule can judge; `check` is pure and is only called
    when they are there; `source` says where the rule comes from.
    """

    name: str
    needs: Mapping[str, int]
    check: Callable[[Signals, Facts], Iterable[Finding]]
    source: str


@dataclass(frozen=True)
class Report:
    """What the numbers of one training mean.

    `statistics` are the figures the verdict rests on; `not_run` says for each rule that could not be
    run what it lacked; `errors` for each rule that raised what it said.
    """

    verdict: Verdict
    findings: tuple[Finding, ...]
    statistics: Mapping[str, float] = field(default_factory=dict)
    not_run: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, str] = field(default_factory=dict)

    @property
    def fatal(self) -> Finding | None:
        """The earliest finding from which the training cannot recover, or None."""
        return first_fatal(self.findings)


def first_fatal(findings: Iterable[Finding]) -> Finding | None:
    """The earliest of the findings from which a training cannot recover, or None."""
    fatal = [finding for finding in findings if finding.severity is Severity.FATAL]
    return min(fatal, key=lambda finding: finding.step, default=None)
