"""A report as Markdown: the same sentences and tables; plots are their captions and numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from searcher.report.pages.blocks import (
    Block,
    Card,
    Cards,
    Code,
    Figure,
    Figures,
    Links,
    Section,
    Table,
    Text,
    Tiles,
)
from searcher.report.pages.sections import page_of
from searcher.report.study_report import StudyReport

ALIGNED = {"number": "---:"}
"""How the columns of numbers are set."""


def to_markdown(report: StudyReport) -> str:
    """The whole report."""
    page = page_of(report)
    facts = [f"- {label}: {escaped(text)}" for label, text in page.facts]
    question = [escaped(page.question)] if page.question else []
    parts = [f"# {escaped(page.title)}: convergence report", *question, "\n".join(facts)]
    for place, section in enumerate(page.sections, start=1):
        parts += _section(place, section)
    return "\n\n".join(parts) + "\n"


def escaped(text: str) -> str:
    """Text in which no sign means anything to Markdown or HTML, on one line."""
    text = re.sub(r"([\\`*<\[\]|#])", r"\\\1", " ".join(text.split()))
    return text.replace("\\<", "&lt;")


def _section(place: int, section: Section) -> Iterator[str]:
    yield f"## {place}. {section.title}"
    for block in section.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[str]:
    match block:
        case Text(text):
            yield escaped(text)
        case Tiles(tiles):
            rows = [(tile.label, tile.value, tile.detail) for tile in tiles]
            yield _rows(["what", "value", ""], ["---", "---:", "---"], rows)
        case Table():
            yield from _table(block)
        case Figure():
            yield f"**{escaped(block.title)}.** {escaped(block.caption)}"
            yield from _numbers(block.table)
        case Figures():
            title = f"**{escaped(block.fold)}.** " if block.fold else ""
            yield title + escaped(block.caption)
            yield from _numbers(block.table)
        case Cards(cards):
            yield from ([f"**{escaped(block.fold)}**"] if block.fold else [])
            yield from (_card(card) for card in cards)
        case Code(title, text, language):
            yield f"**{escaped(title)}**"
            yield _fenced(text, language)
        case Links(caption, links):
            yield escaped(caption)
            yield "\n".join(f"- [{escaped(shows)}](<{address}>)" for shows, address in links)


def _table(table: Table) -> Iterator[str]:
    yield f"**{escaped(table.caption)}**"
    marks = [ALIGNED.get(holds, "---") for holds in table.columns.values()]
    yield _rows(list(table.columns), marks, table.rows)


def _numbers(table: Table | None) -> Iterator[str]:
    if table is not None:
        yield from _table(table)


def _rows(headings: Sequence[str], marks: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [_row([escaped(heading) for heading in headings]), _row(marks)]
    return "\n".join([*lines, *(_row([escaped(text) for text in row]) for row in rows)])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _card(card: Card) -> str:
    lines = [f"- **{escaped(card.title)}** ({card.severity})"]
    return "\n".join([*lines, *(f"  - {label}: {escaped(text)}" for label, text in card.lines)])


def _fenced(text: str, language: str) -> str:
    """Text as it is, in a fence that none of its lines can close."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}"
