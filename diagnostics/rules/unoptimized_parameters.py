"""Trainable parameters that no optimizer holds: they stay what they were drawn as.

A copy that the loop itself moves (an average of the weights, a teacher), or that only runs without gradients
(a target network), is not meant to be held by one: of these nothing is said.

Notation
    w       norm of a matrix                                       [due rows, matrices]
    o       gradient at the output of a layer, of those that got one    [due rows, layers]
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from diagnostics.evidence.learning import standing
from diagnostics.evidence.suffering import learns_well, warn_if
from diagnostics.evidence.words import listed, outcome
from diagnostics.findings import Facts, Finding, Rule
from diagnostics.signals import Signals

REMEDY = (
    "give the optimizer all of model.parameters(), after the model is complete; set requires_grad to False "
    "for what is to stay fixed"
)

MORE = "..."
"""What stands for the names that are too many."""

MOVED = 1e-6
"""Share of its norm by which a matrix must change to have moved: the rounding of single precision."""


def check(signals: Signals, facts: Facts) -> Iterator[Finding]:
    """What the recorder saw when it compared the model with its optimizers."""
    known = [name for name in str(facts.get("unoptimized", "")).split(",") if name]
    named = [name for name in known if name != MORE]
    names = tuple(name for name in named if not _is_idle(signals, name, named))
    if not names:
        return
    state = standing(signals, facts)
    evidence = {"parameters": float(len(names)), "loss_now": state.now}
    severity = warn_if(state.known and not learns_well(state))
    number = f"more than {len(names)}" if MORE in known else f"{len(names)}"
    which = f"{number} of the trainable parameters: {listed(names, facts)}"
    cause = f"no optimizer holds {which}; {outcome(state)}"
    yield Finding("unoptimized-parameters", severity, 0, evidence, cause, REMEDY, names)


def _is_idle(signals: Signals, parameter: str, unoptimized: list[str]) -> bool:
    """Whether a parameter takes no part in the training: its part of the model moves without an optimizer, or
    no gradient comes back to any layer of it.

    Biases and norms are judged by the smallest part of the model around them that has matrices.
    """
    part, matrices = parameter, list(signals["weight_norm"].layers) if "weight_norm" in signals else []
    inside: list[str] = []
    while part and not inside:
        part = part.rpartition(".")[0]
        inside = [name for name in matrices if name.startswith(f"{part}.")]
    if not inside:
        return False  # a parameter of the whole model, or nothing is known
    left = [name for name in inside if name in unoptimized]
    return _move(signals, left) or not _is_reached(signals, part)


def _move(signals: Signals, matrices: list[str]) -> bool:
    """Whether each of these matrices changed, though no optimizer moves it."""
    w = signals["weight_norm"]
    values = w.values[:, [w.layers.index(name) for name in matrices]]
    return bool(matrices) and bool(np.all(np.ptp(values, axis=0) > MOVED * np.abs(values[0])))


def _is_reached(signals: Signals, part: str) -> bool:
    """Whether a gradient came back to the output of this part, one of its layers, or a whole that uses it."""
    if "output_grad" not in signals:
        return True  # nobody looked
    layers = signals["output_grad"].layers
    return any(f"{part}.".startswith(f"{name}.") or name.startswith(f"{part}.") for name in layers)


RULE = Rule(
    name="unoptimized-parameters",
    needs={"loss": 1},
    check=check,
    source="house rule: a parameter that asks for gradients is meant to be trained",
)
