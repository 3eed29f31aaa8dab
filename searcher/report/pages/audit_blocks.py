"""Whether the stops were right, as blocks of a page."""

from __future__ import annotations

from collections.abc import Sequence

from searcher.naming import duration
from searcher.report.pages.blocks import Block, Table, Text
from searcher.report.study_report import Audit, AuditRow, LetRunRow
from searcher.report.words import number, percent, sentence_of


def audit_blocks(audit: Audit) -> list[Block]:
    """What the audit has shown and cost; nothing where nothing was to be stopped."""
    blocks: list[Block] = [Text(audit.text)] if audit.text else []
    if audit.total is not None:
        cost = f"{number(audit.epochs, 3)} epochs, {duration(audit.seconds)} of device time"
        blocks.append(Text(f"{_sure(audit.total)} To know it cost {cost}."))
        blocks.append(_by_kind(audit.rows))
    if audit.let_run:
        blocks.append(_let_run(audit.let_run))
    return [*blocks, *([Text(audit.note, "note")] if audit.note else [])]


def _sure(total: AuditRow) -> str:
    share = f"{total.wrong} of {total.judged}"
    return f"Wrong stops: {share}, so between {percent(total.low)} and {percent(total.high)} of all (95 %)."


def _by_kind(rows: Sequence[AuditRow]) -> Table:
    cells = [
        (
            row.kind,
            str(row.stopped),
            str(row.judged),
            str(row.came_back),
            str(row.wrong),
            f"{percent(row.low)} to {percent(row.high)}" if row.judged else "not known",
        )
        for row in rows
    ]
    return Table(
        "Were the stops right?",
        {
            "because of": "code",
            "stopped": "number",
            "let run on": "number",
            "came back": "number",
            "to the best quarter": "number",
            "wrong stops": "text",
        },
        tuple(cells),
    )


def _let_run(rows: Sequence[LetRunRow]) -> Table:
    cells = []
    for row in rows:
        end = row.outcome if row.place is None else f"{row.outcome}, number {row.place} of them"
        because = sentence_of(row.because)
        cells.append((str(row.trial), row.why, row.kind, str(row.step), end, because))
    return Table(
        "Trials that trained on after a stop was due",
        {
            "trial": "number",
            "": "text",
            "because of": "code",
            "at step": "number",
            "ended": "text",
            "why it was let run": "text",
        },
        tuple(cells),
    )
