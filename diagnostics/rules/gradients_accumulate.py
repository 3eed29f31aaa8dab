"""Gradients that are never set to zero: every step sees the sum of all gradients so far.

The arithmetic, and its notation, is in `diagnostics/evidence/sums.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.learning import standing
from diagnostics.evidence.sums import PAIRS, ROWS, ramp
from diagnostics.evidence.words import outcome
from diagnostics.findings import Facts, Finding, Rule, Severity
from diagnostics.signals import Signals


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """A gradient that grows like a sum from the first step on, each one containing the one before.

    It is a mistake of the loop whatever comes of it, hence always a warning.
    """
    evidence = ramp(signals)
    if evidence:
        yield _finding(evidence, outcome(standing(signals, facts)))


def _finding(evidence: dict[str, float], doing: str) -> Finding:
    cause = (
        f"gradients add up from step to step: their norm grew from {evidence['grad_norm_at_start']:.3g} to "
        f"{evidence['grad_norm_after']:.3g} in {evidence['steps']:.0f} steps, and successive ones are "
        f"{100 * evidence['likeness']:.0f} % alike; {doing}"
    )
    remedy = "call optimizer.zero_grad() before every backward(); then look at the learning rate again"
    return Finding("gradients-accumulate", Severity.WARNING, 0, evidence, cause, remedy)


RULE = Rule(
    name="gradients-accumulate",
    needs={"total_grad_norm": ROWS, "grad_dot": PAIRS, "grad_square": PAIRS, "loss": 2},
    check=check,
    source="house rule from the algebra of sums: G_{t+1} = G_t + g, so that |G_{t+1} - G_t| = |g|",
)
