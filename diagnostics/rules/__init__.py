"""The rules, one line each: a new rule is one file here and one line in `RULES`."""

from diagnostics.findings import Rule
from diagnostics.rules import diverging, non_finite

RULES: tuple[Rule, ...] = (
    non_finite.RULE,
    diverging.RULE,
)
