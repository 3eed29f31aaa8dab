"""Picking from a table by name, with an error that helps."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

from trainers.errors import SettingError

T = TypeVar("T")


def pick(table: Mapping[str, T], name: str, setting: str) -> T:
    """The entry `name` of `table`. Raises: SettingError naming `setting` and the known names."""
    if name not in table:
        raise SettingError({setting: unknown(name, table)})
    return table[name]


def unknown(name: object, known: Iterable[str]) -> str:
    """What to say about a name that is not known: the nearest known names, then all of them."""
    names = list(known)
    near = difflib.get_close_matches(str(name), names, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(repr(n) for n in near)}? " if near else ""
    return f"there is no {name!r}; {hint}known: {', '.join(names)}"
