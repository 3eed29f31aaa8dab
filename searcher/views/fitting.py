"""Making text fit: cut between words, nothing behind the last one."""

from __future__ import annotations

import os
import sys

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

PIPED = 200
"""Columns where nobody's terminal is written to: a line per trial is worth more there than a narrow page."""

LEFT_OUT = "..."
"""Stands for the words that found no room."""


def roomy_console() -> Console:
    """The terminal as wide as it is; a pipe or a file wide enough for a line per trial."""
    is_set = sys.stdout.isatty() or "COLUMNS" in os.environ
    return Console() if is_set else Console(width=PIPED)


def clip(text: str, width: int) -> str:
    """As many whole words as fit into `width`; a first word that is too long is cut."""
    if len(text) <= width:
        return text
    kept = text[: max(0, width - len(LEFT_OUT) - 1)]
    if not text[len(kept)].isspace() and " " in kept:
        kept = kept.rpartition(" ")[0]
    return f"{kept.rstrip()} {LEFT_OUT}".lstrip()[:width]


def clauses(text: str, room: int) -> str:
    """As many whole clauses of a sentence as fit into `room` characters, else as many words."""
    depth, ends = 0, []
    for at, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign in ",;:" and depth == 0 and text[at + 1 : at + 2] == " ":
            ends.append(at)
    fitting = [end for end in (*ends, len(text)) if end <= room]
    return text[: fitting[-1]] if fitting else clip(text, room)


class Clipped:
    """A text on one line that is cut between words where its cell ends."""

    def __init__(self, text: str, least: int = 8) -> None:
        self._text = text
        self._least = least

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The words that fit."""
        yield Text(clip(self._text, options.max_width), no_wrap=True)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """From a few words to the whole text."""
        return Measurement(min(self._least, len(self._text)), len(self._text)).with_maximum(options.max_width)


class Trimmed:
    """Anything, without the spaces that fill its lines up to the right."""

    def __init__(self, inner: RenderableType) -> None:
        self._inner = inner

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Its lines, each up to its last word."""
        for line in console.render_lines(self._inner, options, pad=False):
            kept = list(line)
            while kept and not kept[-1].text.strip():
                kept.pop()
            yield from kept[:-1]
            if kept:
                yield Segment(kept[-1].text.rstrip(), kept[-1].style, kept[-1].control)
            yield Segment.line()
