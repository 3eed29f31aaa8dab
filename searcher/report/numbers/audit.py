"""Section 2 of a report, too: whether stops were right, by the trials that were let run on all the same."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.audit import LetRun, audit_line, audited, spared, stopped
from searcher.policy import doomed_by
from searcher.report.numbers.failures import wilson
from searcher.report.study_report import Audit, AuditRow, LetRunRow
from searcher.report.words import sentence_of
from searcher.spec import StudySpec
from searcher.trial import TrialResult

ALL = "all"
"""The kind of the row of all kinds together."""

JUDGED_BY = (
    "A stop was wrong when the trial that was let run on came to stand in the best quarter of those "
    "that were trained to their end."
)
UNAUDITED = "Trainings whose weights are not finite are not let run on: they cannot come back."


def audit(spec: StudySpec, results: Sequence[TrialResult]) -> Audit:
    """How many stops were wrong, of all and by kind, and what it cost to know that."""
    let_run, kept = audited(spec.metric, results), spared(spec.metric, results)
    kinds = [doomed_by(result.report) for result in stopped(results)]
    judged = [one for one in let_run if one.is_judged]
    order = sorted(dict.fromkeys([*(one.reprieve.kind for one in let_run), *kinds]))
    return Audit(
        text=sentence_of(audit_line(spec.metric, results) or _unaudited(len(kinds))),
        total=_row(ALL, len(kinds), judged) if judged else None,
        rows=tuple(
            _row(kind, kinds.count(kind), [one for one in judged if one.reprieve.kind == kind])
            for kind in order
        ),
        let_run=tuple(_let_run(one) for one in [*let_run, *kept]),
        epochs=round(sum(one.epochs for one in let_run), 6),
        seconds=round(sum(one.seconds for one in let_run), 3),
        note=_note(bool(let_run), "non-finite" in kinds),
    )


def _row(kind: str, stops: int, judged: Sequence[LetRun]) -> AuditRow:
    came_back = sum(one.place is not None for one in judged)
    wrong = sum(one.is_among_best for one in judged)
    return AuditRow(kind, stops, len(judged), came_back, wrong, *wilson(wrong, len(judged)))


def _unaudited(stops: int) -> str:
    """What is said of stops of which none was audited; nothing where there was none."""
    if not stops:
        return ""
    which = "the only doomed trial was not" if stops == 1 else f"none of {stops} doomed trials was"
    return f"{which} let run on as an audit: how many stops were wrong is not known"


def _let_run(one: LetRun) -> LetRunRow:
    said, outcome = one.reprieve, one.result.outcome.value
    return LetRunRow(one.result.number, said.why, said.step, said.kind, said.because, outcome, one.place)


def _note(is_audited: bool, lost_weights: bool) -> str:
    return " ".join([*([JUDGED_BY] if is_audited else []), *([UNAUDITED] if lost_weights else [])])
