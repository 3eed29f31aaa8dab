"""Trainable parameters that no optimizer holds: they stay what they were drawn as."""

from __future__ import annotations

from collections.abc import Iterator

from diagnostics.evidence.learning import standing
from diagnostics.evidence.steps import learns_well
from diagnostics.evidence.suffering import listed, outcome, warn_if
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

REMEDY = (
    "give the optimizer all of model.parameters(), after the model is complete; set requires_grad to False "
    "for what is to stay fixed"
)


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """What the recorder saw when it compared the model with its optimizers."""
    names = tuple(name for name in str(facts.get("unoptimized", "")).split(",") if name)
    if not names:
        return
    state = standing(signals, facts)
    evidence = {"parameters": float(len(names)), "loss_now": state.now}
    severity = warn_if(state.known and not learns_well(state))
    cause = f"no optimizer holds {len(names)} of the trainable parameters: {listed(names)}; {outcome(state)}"
    yield Finding("unoptimized-parameters", severity, 0, evidence, cause, REMEDY, names)


RULE = Rule(
    name="unoptimized-parameters",
    needs={"loss": 1},
    check=check,
    source="house rule: a parameter that asks for gradients is meant to be trained",
)
