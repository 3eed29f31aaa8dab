"""A report as one HTML file that needs nothing beside it: plots, style and script are inside."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from typing import Any

from jinja2 import Environment

from searcher.colours import VERDICT_COLOUR
from searcher.report.pages.axes import GLYPH, TEMPLATE, THEME
from searcher.report.pages.blocks import Block, Cards, Figure, Figures, Table
from searcher.report.pages.plain import plain
from searcher.report.pages.sections import page_of
from searcher.report.study_report import StudyReport

SENTENCE = 40
"""Characters from which on a cell does not fit beside others on a phone (house rule)."""


def to_html(report: StudyReport) -> str:
    """The whole page."""
    page = page_of(report)
    plots = {
        figure.key: figure.plot
        for section in page.sections
        for block in section.blocks
        for figure in _figures(block)
    }
    environment = Environment(autoescape=True, trim_blocks=True)
    environment.filters |= {"zip": zip, "anchor": _anchor, "is_wordy": _is_wordy}
    return environment.from_string(_part("page.html")).render(
        page=page,
        style=_part("style.css"),
        script=_part("page.js"),
        plotly=_plotly(),
        plots=_json({"plots": plots, "template": TEMPLATE, "theme": THEME}),
        marks=[(verdict.value, colour, GLYPH[verdict]) for verdict, colour in VERDICT_COLOUR.items()],
        version=_version(),
    )


def _figures(block: Block) -> Iterator[Figure]:
    """Every figure of a block."""
    if isinstance(block, Figure):
        yield block
    elif isinstance(block, Figures):
        yield from block.figures
    elif isinstance(block, Cards):
        yield from (card.figure for card in block.cards if card.figure is not None)


def _part(name: str) -> str:
    return (files("searcher.report.pages") / name).read_text(encoding="utf-8")


def _plotly() -> str:
    """The plotting library itself; a text that would end its element is written in another way."""
    script = (files("plotly") / "package_data" / "plotly.min.js").read_text(encoding="utf-8")
    return script.replace("</script", "<\\/script")


def _json(data: Any) -> str:
    """Data as JSON that may stand inside a script element; numbers that JSON lacks are left out."""
    text = json.dumps(plain(data, lacking=None), separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")


def _is_wordy(table: Table) -> bool:
    """Whether a table has sentences in it: on a phone its cells then stand below each other."""
    return any(len(cell) > SENTENCE for row in table.rows for cell in row)


def _anchor(key: str) -> str:
    """A key as an address in the page."""
    return "plot-" + re.sub(r"[^A-Za-z0-9]+", "-", key)


def _version() -> str:
    try:
        return version("searcher")
    except PackageNotFoundError:
        return ""
