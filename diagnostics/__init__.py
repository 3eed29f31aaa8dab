"""What the numbers of a training mean. Works alone, in anybody's loop; loading it loads no torch."""

from diagnostics.diagnose import diagnose
from diagnostics.findings import Facts, Finding, Report, Rule, Severity, Verdict
from diagnostics.rules import RULES
from diagnostics.signals import Series, Signals

__all__ = [
    "RULES",
    "Facts",
    "Finding",
    "Report",
    "Rule",
    "Series",
    "Severity",
    "Signals",
    "Verdict",
    "diagnose",
]
