"""How sure it is which trial is the best, as blocks of a page."""

from __future__ import annotations

from searcher.naming import chance_text, duration
from searcher.report.pages.blocks import Block, Table, Text
from searcher.report.study_report import Repeated, Sureness
from searcher.report.words import number, sentence_of


def sureness_blocks(sureness: Sureness, metric: str) -> list[Block]:
    """What the repeats have shown and cost; nothing where there were none."""
    blocks: list[Block] = [Text(sentence_of(sureness.text))] if sureness.text else []
    if not sureness.rows:
        return blocks
    cost = f"The repeats took {duration(sureness.seconds)} of device time."
    rows = tuple(_row(row) for row in sureness.rows)
    return [
        *blocks,
        Table(
            "Trained again with other seeds",
            {
                "trial": "number",
                "first value": "number",
                f"mean {metric}": "number",
                "of": "text",
                "did not hold": "number",
                "chance to be the best": "number",
            },
            rows,
        ),
        Text(f"{sureness.note} {cost}", "note"),
    ]


def _row(row: Repeated) -> tuple[str, ...]:
    error = "" if row.error is None else f" \u00b1 {number(row.error, 2)}"
    mean = "-" if row.mean is None else f"{number(row.mean)}{error}"
    lost = f"{len(row.lost)} of {len(row.values) + len(row.lost)}" if row.lost else "0"
    values = ", ".join(number(value) for value in row.values) or "-"
    chance = "not known" if row.chance is None else chance_text(row.chance)
    return str(row.trial), number(row.first), mean, values, lost, chance
