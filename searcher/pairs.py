"""`NAME=VALUE` pairs of the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Any

from searcher.errors import SearcherError


def pairs_of(pairs: Sequence[str], taker: str) -> dict[str, Any]:
    """`NAME=VALUE` pairs that `taker` was given; a value that is not TOML is taken as text."""
    settings: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise SearcherError(f"{taker} takes NAME=VALUE, such as epochs=3, but got {pair!r}")
        try:
            settings[name] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            settings[name] = value
    return settings
