"""Picking from a table by name, with an error that helps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trainers.errors import SettingError

T = TypeVar("T")

MANY = 20
"""Names from which on a list is longer than a person wants to read."""


def pick(table: Mapping[str, T], name: str, setting: str) -> T:
    """The entry `name` of `table`. Raises: SettingError naming `setting` and the known names."""
    if name not in table:
        raise SettingError({setting: unknown(name, table)})
    return table[name]


def unknown(name: object, known: Iterable[str]) -> str:
    """What to say about a name that is not known, and of those that are."""
    return f"there is no {name!r}; {choices(name, known)}"


def choices(name: object, known: Iterable[str]) -> str:
    """What there is in place of a name: the nearest known names, and all of them unless they are many and
    some are near. For a sentence that says already that there is no such name."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}?" if near else ""
    if near and len(names) > MANY:
        return hint
    return f"{hint}{' ' if hint else ''}known: {', '.join(names)}"
