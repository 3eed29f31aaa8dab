"""What pydantic finds wrong with a study file, as mistakes with their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from searcher.errors import Mistake
from searcher.toml_lines import line_of
from trainers.choices import unknown

_SCALARS = ("str", "bool", "int", "float")
_NUMBERS = ("low", "high", "step")
_NEEDS = {
    "model_type": "a table, or for a sampler or pruner its name",
    "dict_type": "a table",
    "string_pattern_mismatch": "letters, digits, dots, dashes or underscores, a letter or digit first",
}


def mistake_of(error: Any, lines: Mapping[str, int], known: Callable[[list[str]], list[str]]) -> Mistake:
    """One of pydantic's errors in our own words; `known` gives the keys that a section has."""
    parts = [
        str(part) for part in error["loc"] if not str(part).startswith(("function-", "Range", "Choices"))
    ]
    kind, got = error["type"], error.get("input")
    is_scalar = len(parts) > 3 and parts[-1] in _SCALARS  # one of several types it could have had
    parts = parts[:-1] if is_scalar else parts
    place = ".".join(parts) or "study"
    line = line_of(place, lines)
    if is_scalar:
        what = "a finite number" if parts[-1] in _NUMBERS else "a text, a finite number, true or false"
        message = f"needs {what}, but got {got!r}"
    elif kind in _NEEDS:
        message = f"needs {_NEEDS[kind]}, but got {got!r}"
    elif kind == "missing":
        message = "is missing"
    elif kind == "extra_forbidden":
        message = unknown(parts[-1], known(parts[:-1]))
    elif kind == "value_error":
        message = str(error["ctx"]["error"])
    else:
        message = f"{error['msg'][0].lower()}{error['msg'][1:]}, but got {got!r}"
    return Mistake(place, message, line)
