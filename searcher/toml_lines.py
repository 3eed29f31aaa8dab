"""Where in a TOML file a key stands, so that a mistake can be shown with its line."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]")
_ENTRY = re.compile(r"^\s*\[\[([^\[\]]+)\]\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\-\"']+)\s*=")


def lines_of(text: str) -> dict[str, int]:
    """The line (from 1) of every section and key of a TOML text, by dotted name.

    The tables of a list, `[[enqueue]]`, are named by their place in it: `enqueue.0`, `enqueue.1`.
    """
    found: dict[str, int] = {}
    entries: Counter[str] = Counter()
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header.group(1).strip()
            found.setdefault(section, number)
        elif entry := _ENTRY.match(line):
            name = entry.group(1).strip()
            section = f"{name}.{entries[name]}"
            entries[name] += 1
            found.setdefault(section, number)
            found.setdefault(name, number)
        elif key := _KEY.match(line):
            name = key.group(1).strip("\"'")
            found.setdefault(f"{section}.{name}" if section else name, number)
    return found


def line_of(place: str, lines: Mapping[str, int]) -> int:
    """The line of a place, or of the nearest that it lies in; 0 where none is known."""
    while place:
        if place in lines:
            return lines[place]
        place = place.rpartition(".")[0]
    return 0
