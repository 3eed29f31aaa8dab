"""Options of samplers and pruners, as a study file gives them: which there are, and what they take."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from typing import Any

from optuna.samplers import nsgaii

from trainers.choices import choices, unknown

OURS = frozenset(
    (
        *("self", "seed", "search_space", "independent_sampler", "constraints_func", "wrapped_pruner"),
        *("fixed_params", "base_sampler", "source_trials", "scramble"),
        *("warn_independent_sampling", "warn_asynchronous_seeding"),
    )
)
"""What is set here, or is for programs alone."""

DROPPED = frozenset(
    (
        *("consider_prior", "prior_weight", "consider_magic_clip", "consider_endpoints"),
        *("x0", "sigma0", "restart_strategy", "inc_popsize"),
    )
)
"""What Optuna 6 will no longer have, by the warnings of Optuna 5."""

TAKES = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a finite number",
    "str": "a text",
}
"""Types of options that a study file can say, in words."""

PARTS: Mapping[str, Mapping[str, type[Any]]] = {
    "crossover": {
        "uniform": nsgaii.UniformCrossover,
        "blx-alpha": nsgaii.BLXAlphaCrossover,
        "spx": nsgaii.SPXCrossover,
        "sbx": nsgaii.SBXCrossover,
        "vsbx": nsgaii.VSBXCrossover,
        "undx": nsgaii.UNDXCrossover,
    },
    "mutation": {"polynomial": nsgaii.PolynomialMutation},
}
"""Options that are parts of the genetic algorithms, by their names."""

LEAST = {"n_startup_trials": 0, "n_ei_candidates": 1, "popsize": 2, "dividing_parameter": 1}
"""The smallest numbers that make sense, where Optuna does not look."""


def options_of(cls: type[Any]) -> dict[str, tuple[str, ...]]:
    """The options that a sampler or pruner takes from a study file, and the types of their values."""
    found: dict[str, tuple[str, ...]] = {}
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        types = _types(parameter.annotation)
        if name in PARTS:
            found[name] = ("str",)
        elif name not in OURS | DROPPED and types and set(types) <= set(TAKES):
            found[name] = types
    return found


def option_mistakes(cls: type[Any], options: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with options, each on its own."""
    known = options_of(cls)
    for name, value in options.items():
        if name not in known:
            there = choices(name, known) if known else "it has none"
            yield f"has no option {name!r}; {there}"
        elif name in PARTS:
            if value not in PARTS[name]:
                yield f"{name}: {unknown(value, PARTS[name])}"
        elif not any(_fits(value, kind) for kind in known[name]):
            yield f"{name} needs {' or '.join(TAKES[kind] for kind in known[name])}, but got {value!r}"
        elif name in LEAST and value < LEAST[name]:
            yield f"{name} has to be at least {LEAST[name]}, but is {value}"


def built(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options as a class takes them: parts are made of their names."""
    return {name: PARTS[name][value]() if name in PARTS else value for name, value in options.items()}


def _types(annotation: Any) -> tuple[str, ...]:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    return tuple(part for part in map(str.strip, text.split("|")) if part != "None")


def _fits(value: Any, kind: str) -> bool:
    if kind == "float":
        return type(value) in (int, float) and math.isfinite(value)
    return type(value).__name__ == kind
