"""What the numbers of a training mean. Works alone, in anybody's loop; loading it loads no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from diagnostics.diagnose import diagnose
from diagnostics.findings import Facts, Finding, Report, Rule, Severity, Verdict
from diagnostics.rules import RULES
from diagnostics.signals import Series, Signals

if TYPE_CHECKING:
    from diagnostics.monitor import Monitor

__all__ = [
    "RULES",
    "Facts",
    "Finding",
    "Monitor",
    "Report",
    "Rule",
    "Series",
    "Severity",
    "Signals",
    "Verdict",
    "diagnose",
]


def __getattr__(name: str) -> Any:
    """`Monitor` needs torch, so it is loaded when somebody asks for it."""
    if name == "Monitor":
        from diagnostics.monitor import Monitor

        return Monitor
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
