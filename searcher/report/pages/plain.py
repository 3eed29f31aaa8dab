"""Plain data as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from searcher.report.study_report import StudyReport

NAMED = "its name"
"""Stands for a number that JSON lacks: `nan`, `inf` or `-inf`."""


def to_json(report: StudyReport) -> str:
    """All numbers of a report; those that JSON lacks become their names."""
    return json.dumps(plain(report.to_dict()), allow_nan=False) + "\n"


def plain(part: Any, lacking: str | None = NAMED) -> Any:
    """The same with nothing but what JSON knows; a number it lacks becomes its name, or `lacking`."""
    if isinstance(part, float):
        return part if math.isfinite(part) else str(part) if lacking == NAMED else lacking
    if part is None or isinstance(part, str | int):
        return part
    if isinstance(part, Mapping):
        return {str(name): plain(value, lacking) for name, value in part.items()}
    return [plain(value, lacking) for value in part]
