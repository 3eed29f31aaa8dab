"""Numbers, names and outcomes as words for the sentences of rules and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

from diagnostics.evidence.learning import Standing
from diagnostics.findings import Facts

NAMED = 3
"""Layers that a sentence names before it counts the others."""


def short(x: float) -> str:
    """A number for a sentence: `0.03`, `3e-4`, `12`, `1.5e6`."""
    x += 0.0  # a zero without its sign
    if not math.isfinite(x) or x == 0 or 1e-2 <= abs(x) < 1e4:
        return f"{x:.3g}"
    mantissa, exponent = f"{x:.2g}".split("e") if "e" in f"{x:.2g}" else f"{x:.1e}".split("e")
    return f"{float(mantissa):g}e{int(exponent):+d}".replace("e+", "e")


def one_digit(x: float) -> float:
    """`x` rounded to its first digit."""
    return float(f"{x:.0e}") if math.isfinite(x) else x


def of_weights(r: float) -> str:
    """An update ratio for a sentence: `22 % of the size of the weights`, or `201 times` it."""
    size = f"{short(r)} times" if r >= 1 else f"{short(100 * r)} % of"
    return f"{size} the size of the weights"


def layer_words(name: str, facts: Facts) -> str:
    """A layer or a parameter for a sentence: `hidden1`, `layer 3 (Linear)`, `layer 3.weight`.

    The parts of a `nn.Sequential` have numbers for names. The fact `numbered_modules` says of what class such
    layers are: `0=Flatten,1=Linear`.
    """
    if not name[:1].isdigit():
        return name
    if name.endswith(".input"):
        return f"the input of {layer_words(name.removesuffix('.input'), facts)}"
    for entry in str(facts.get("numbered_modules", "")).split(","):
        number, _, kind = entry.partition("=")
        if number == name and kind:
            return f"layer {name} ({kind})"
    return f"layer {name}"


def listed(names: Sequence[str], facts: Facts) -> str:
    """Layers, parameters or features for a sentence: the first few, and how many more there are."""
    shown = ", ".join(layer_words(name, facts) for name in names[:NAMED])
    return shown if len(names) <= NAMED else f"{shown} and {len(names) - NAMED} more"


def outcome(place: Standing) -> str:
    """What the loss says, as the end of a sentence."""
    if not place.known:
        return "too early to say what it does to the loss"
    if not math.isfinite(place.now):
        return "the loss is no longer finite"
    if math.isfinite(place.trivial):
        return f"the loss is {place.now:.4g}, and {place.trivial:.4g} for guessing"
    return f"the loss is {place.now:.4g}, and was {place.start:.4g} at the start"
