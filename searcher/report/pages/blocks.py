"""What a page is made of: sections of paragraphs, tables, figures and code; nothing on how they look.

Every renderer walks through the same blocks, so that all of them show the same numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

Plot = Mapping[str, Any]
"""A plotly figure, its `data` and its `layout`. A text that begins with `$` names a colour of the theme."""


@dataclass(frozen=True)
class Text:
    """A paragraph. `tone`: `lead` for the first of a page, `note` for what is said aside."""

    kind: ClassVar = "text"
    text: str
    tone: Literal["plain", "lead", "note"] = "plain"


@dataclass(frozen=True)
class Tile:
    """One number to see first, what it is, and what to know about it."""

    label: str
    value: str
    detail: str = ""


@dataclass(frozen=True)
class Tiles:
    """Numbers to see first."""

    kind: ClassVar = "tiles"
    tiles: tuple[Tile, ...]


Columns = Mapping[str, Literal["text", "number", "verdict", "code"]]
"""The columns of a table: heading -> what the cells below it hold."""


@dataclass(frozen=True)
class Table:
    """Rows of cells; `caption` says what they are."""

    kind: ClassVar = "table"
    caption: str
    columns: Columns
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """A plot of `height` pixels, its title, and a sentence that says what to see in it; its numbers as a
    `table` where that is of a size to be read."""

    kind: ClassVar = "figure"
    key: str
    title: str
    caption: str
    plot: Plot
    height: int = 320
    table: Table | None = None


@dataclass(frozen=True)
class Figures:
    """Small plots side by side with one sentence on all of them; `verdicts` stand in their legend, and with a
    `fold` they are shown when asked for."""

    kind: ClassVar = "figures"
    caption: str
    figures: tuple[Figure, ...]
    table: Table | None = None
    verdicts: tuple[str, ...] = ()
    fold: str = ""


@dataclass(frozen=True)
class Card:
    """A finding with an example: what was seen in which trial, and what to do about it."""

    kind: ClassVar = "card"
    title: str
    severity: str
    lines: tuple[tuple[str, str], ...]
    figure: Figure | None


@dataclass(frozen=True)
class Cards:
    """Findings one after the other; with a `fold` they are shown when asked for."""

    kind: ClassVar = "cards"
    cards: tuple[Card, ...]
    fold: str = ""


@dataclass(frozen=True)
class Code:
    """Text to copy, such as a command or a study file."""

    kind: ClassVar = "code"
    title: str
    text: str
    language: str


@dataclass(frozen=True)
class Links:
    """Pages elsewhere, by what they show."""

    kind: ClassVar = "links"
    caption: str
    links: tuple[tuple[str, str], ...]


Block = Text | Tiles | Table | Figure | Figures | Cards | Code | Links


@dataclass(frozen=True)
class Section:
    """A numbered part of the page; `anchor` is its address."""

    anchor: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Page:
    """A whole report: its title, what is said below it, and its sections."""

    title: str
    question: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
