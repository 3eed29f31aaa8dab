"""Where in a TOML file a key stands, so that a mistake can be shown with its line."""

from __future__ import annotations

import re

_HEADER = re.compile(r"^\s*\[([^\[\]]+)\]")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\-\"']+)\s*=")


def lines_of(text: str) -> dict[str, int]:
    """The line (from 1) of every section and key of a TOML text, by dotted name."""
    found: dict[str, int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := _HEADER.match(line):
            section = header.group(1).strip()
            found.setdefault(section, number)
        elif key := _KEY.match(line):
            name = key.group(1).strip("\"'")
            found.setdefault(f"{section}.{name}" if section else name, number)
    return found
