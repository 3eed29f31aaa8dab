"""What the check on planted faults found, as tables: how many were caught, named, and called early.

Notation
    recall        share of the trainings that truly failed with a warning or worse, or a failing verdict
    alarms        share of the healthy trainings with a warning or worse
    named first   share of those that failed whose first finding is an accepted cause
    named         the same for any finding that is a warning or worse
    early         median share of the budget at which a fatal finding stood, where the fault is fatal and
                  nothing was learnt (called / all such)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import median

FAILING = ("overfitting", "not-learning", "diverged", "non-finite", "unstable", "failed")
"""Verdicts that say that something is wrong."""

WARNING = 1
"""The severity from which a finding is an alarm."""

Table = list[list[str]]


@dataclass(frozen=True)
class Said:
    """What a tool said of one training: (kind, severity) of its findings, the first one first."""

    findings: tuple[tuple[str, int], ...]
    verdict: str = ""
    stopped_at: float | None = None

    @property
    def alarms(self) -> tuple[str, ...]:
        """The kinds of findings that are a warning or worse."""
        return tuple(kind for kind, severity in self.findings if severity >= WARNING)

    @property
    def caught(self) -> bool:
        """Whether it says that something is wrong."""
        return bool(self.alarms) or self.verdict in FAILING

    @property
    def first(self) -> str:
        """What it says first, or what else it says."""
        if not self.findings:
            return f"({self.verdict})" if self.verdict in FAILING else "-"
        kind, severity = self.findings[0]
        return kind if severity >= WARNING else f"info {kind}"


@dataclass(frozen=True)
class Seen:
    """One training of the check. `truth` is `fails`, `works` or `between`; `dead`: nothing was learnt."""

    variant: str
    program: str
    seed: int
    held_out: bool
    is_faulty: bool
    truth: str
    dead: bool
    causes: tuple[str, ...]
    fatal: bool
    ours: Said
    other: Said | None = None

    @property
    def name(self) -> str:
        """Where its record lies."""
        return f"{self.variant}/{self.program}-{self.seed}"


Pick = Callable[[Seen], Said | None]


def ours(seen: Seen) -> Said | None:
    """What the product said."""
    return seen.ours


def other(seen: Seen) -> Said | None:
    """What the other tool said, where it was asked."""
    return seen.other


def summary(seen: Sequence[Seen]) -> Table:
    """One line per split, and one for the other tool on all cases."""
    head = ["", "failing", "recall", "named first", "named", "early", "healthy", "alarms", "verdicts"]
    parts: list[tuple[str, list[Seen], Pick]] = [
        ("calibration", [s for s in seen if not s.held_out], ours),
        ("held out", [s for s in seen if s.held_out], ours),
        ("all", list(seen), ours),
        ("torchmortem, calibration", [s for s in seen if not s.held_out], other),
        ("torchmortem, held out", [s for s in seen if s.held_out], other),
        ("torchmortem, all", list(seen), other),
    ]
    return [head, *(_summary_line(*part) for part in parts if any(part[2](s) for s in part[1]))]


def counts(seen: Sequence[Seen]) -> str:
    """How many trainings there were, and which were left out of the shares and why."""
    faulty = Counter(s.truth for s in seen if s.is_faulty)
    healthy = Counter(s.truth for s in seen if not s.is_faulty)
    works, fails, between = (healthy[truth] for truth in ("works", "fails", "between"))
    return (
        f"{faulty.total()} faulty trainings: {faulty['fails']} truly fail, {faulty['works']} work all the "
        f"same, {faulty['between']} lie between. {healthy.total()} meant to be healthy: {works} are, "
        f"{fails} fail and {between} lie between (both left out)."
    )


def per_variant(seen: Sequence[Seen], is_faulty: bool) -> Table:
    """One line per fault, or per oddity."""
    head = ["", "runs", "fail", "recall", "first", "named", "early", "other recall", "other named"]
    if not is_faulty:
        head = ["", "runs", "healthy", "alarms", "verdicts", "other alarms"]
    chosen: dict[str, list[Seen]] = {}
    for entry in seen:
        if entry.is_faulty == is_faulty:
            chosen.setdefault(entry.variant, []).append(entry)
    line = _fault_line if is_faulty else _oddity_line
    return [head, *(line(name, entries) for name, entries in chosen.items())]


def confusion(seen: Sequence[Seen]) -> Iterable[str]:
    """Fault by fault, what was said first, the most frequent first."""
    rows: dict[str, Counter[str]] = {}
    for entry in seen:
        if (entry.truth == "fails") if entry.is_faulty else (entry.truth == "works"):
            rows.setdefault(entry.variant, Counter())[entry.ours.first] += 1
    for name, said in rows.items():
        yield f"{name}: " + ", ".join(f"{kind} {count}" for kind, count in said.most_common())


def aligned(table: Table) -> list[str]:
    """A table as lines of text."""
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    return [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in table
    ]


def markdown(table: Table) -> list[str]:
    """A table as lines of Markdown."""
    rule = "|---|" + "--:|" * (len(table[0]) - 1)
    lines = ["| " + " | ".join(row) + " |" for row in table]
    return [lines[0], rule, *lines[1:]]


def section(seen: Sequence[Seen]) -> str:
    """All of it as a section of a document."""
    lines = [
        "## Diagnosis: planted faults and odd healthy trainings",
        "",
        counts(seen),
        "",
        *markdown(summary(seen)),
    ]
    lines += ["", "Fault by fault:", "", *markdown(per_variant(seen, True))]
    lines += ["", "Healthy, oddity by oddity:", "", *markdown(per_variant(seen, False))]
    lines += ["", "Said first:", "", *(f"- {line}" for line in confusion(seen))]
    return "\n".join(lines) + "\n"


def _summary_line(name: str, seen: list[Seen], pick: Pick) -> list[str]:
    failing = [s for s in seen if s.is_faulty and s.truth == "fails" and pick(s)]
    healthy = [s for s in seen if not s.is_faulty and s.truth == "works" and pick(s)]
    return [
        name,
        str(len(failing)),
        *_failing_cells(failing, pick),
        _early(failing, pick),
        str(len(healthy)),
        _share(bool(said.alarms) for s in healthy if (said := pick(s))),
        _share(said.verdict in FAILING for s in healthy if (said := pick(s))),
    ]


def _failing_cells(failing: list[Seen], pick: Pick) -> list[str]:
    asked = [(s, said) for s in failing if (said := pick(s))]
    return [
        _share(said.caught for _, said in asked),
        _share(bool(said.findings) and said.findings[0][0] in s.causes for s, said in asked),
        _share(bool(set(said.alarms) & set(s.causes)) for s, said in asked),
    ]


def _early(failing: list[Seen], pick: Pick) -> str:
    """Median share at which those that must stop were called; one never called counts as 1."""
    dead = [said for s in failing if s.dead and s.fatal and (said := pick(s))]
    called = [said.stopped_at for said in dead if said.stopped_at is not None]
    if not called:
        return ""
    return f"{median([*called, *[1.0] * (len(dead) - len(called))]):.0%} ({len(called)}/{len(dead)})"


def _fault_line(name: str, seen: list[Seen]) -> list[str]:
    failing = [s for s in seen if s.truth == "fails"]
    theirs = _failing_cells(failing, other)
    cells = [*_failing_cells(failing, ours), _early(failing, ours), theirs[0], theirs[2]]
    return [name, str(len(seen)), str(len(failing)), *cells]


def _oddity_line(name: str, seen: list[Seen]) -> list[str]:
    healthy = [s for s in seen if s.truth == "works"]
    return [
        name,
        str(len(seen)),
        str(len(healthy)),
        _share(bool(s.ours.alarms) for s in healthy),
        _share(s.ours.verdict in FAILING for s in healthy),
        _share(bool(s.other.alarms) for s in healthy if s.other),
    ]


def _share(hits: Iterable[bool]) -> str:
    found = list(hits)
    return f"{sum(found) / len(found):.1%}" if found else ""
