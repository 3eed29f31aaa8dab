"""What an own trainer says, looked at before it travels: the coordinator hears nothing that it cannot use."""

from __future__ import annotations

import contextlib
import math
import pickle
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from diagnostics import Series, Signals
from trainers.progress import Progress

NAMED = 3
"""Layers that a sentence names before it counts the others."""

RECORDABLE = re.compile(r"[\w.\-: /]{1,250}", re.ASCII)
"""Names of metrics that MLflow takes; they are kept as files, and have to be plain paths, too."""

NUMBERS = frozenset(
    (
        *("micro_batch", "micro_batches", "micro_batch_norms", "out_of_memory_step", "evaluation_batch"),
        *("batch_norms", "batch_size", "clip_norm", "counted_from", "decoupled_decay", "dropout", "dropouts"),
        *(
            "epochs",
            "evaluations_per_epoch",
            "frozen",
            "learning_rate",
            "momentum",
            "non_finite_step",
            "norms",
        ),
        *("outputs", "parameters", "peak_memory_mb", "step_seconds", "steps_per_epoch", "total_steps"),
        *("train_samples", "trainable", "trivial_loss", "validation_samples", "weight_decay"),
    )
)
FAMILIES = ("duplicates_", "feature_", "label_", "sibling_")
"""Facts that others calculate with, by their names and by how these begin. Any other may be a text."""

ROUNDED = frozenset(("evaluations_per_epoch", "non_finite_step", "outputs"))
"""Facts among them that have to be finite."""


class Unusable(Exception):
    """A message that cannot be used; the text says what was wrong, what arrived and what is expected."""


@dataclass
class Hearing:
    """The messages of one training, of which each must fit those before it.

    `step` is that of the last one; of each signal `reached` is the last step and `layers` the columns.
    """

    step: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    layers: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def take(self, progress: Progress) -> Progress:
        """The message, with plain numbers of Python in it. Raises: Unusable."""
        if not isinstance(progress.signals, Signals):
            raise Unusable(
                f"its signals are {_shown(progress.signals)}; make them with "
                "Signals.of({name: (steps, values)}), or let a Monitor take them"
            )
        plain = replace(
            progress,
            step=self._step(progress.step),
            epoch=_number("its epoch", progress.epoch, finite=True),
            of_epochs=_number("of_epochs", progress.of_epochs),
            metrics=_metrics(progress.metrics),
            facts=_facts(progress.facts),
            signals=Signals(progress.signals, _facts(progress.signals.facts)),
        )
        for name, series in _rows(plain).items():
            self._hear(name, series)
        try:
            pickle.dumps(plain)
        except Exception as error:
            raise Unusable(f"it cannot be sent to another process: {error}") from None
        return plain

    def _step(self, step: object) -> int:
        number = _number("its step", step, finite=True)
        if number != int(number) or number < 0:
            raise Unusable(
                f"its step is {_shown(step)}; count the optimizer steps that are done: 0, 1, 2, ..."
            )
        if number < self.step:
            raise Unusable(
                f"its step goes back from {self.step} to {int(number)}; count optimizer steps over the whole "
                "training"
            )
        self.step = int(number)
        return self.step

    def _hear(self, name: str, series: Series) -> None:
        if not isinstance(name, str) or not isinstance(series, Series):
            raise Unusable(
                f"the signal {_shown(name)} is {_shown(series)}; make signals with "
                "Signals.of({name: (steps, values)})"
            )
        known = self.layers.setdefault(name, series.layers)
        if known != series.layers:
            raise Unusable(
                f"the layers of the signal {name!r} change ({_change(known, series.layers)}); "
                "give it the same layers in the same order each time"
            )
        if not len(series):
            return
        if int(series.steps[0]) < self.reached.get(name, 0):
            raise Unusable(
                f"the steps of the signal {name!r} go back from {self.reached[name]} to {series.steps[0]}; "
                "count optimizer steps over the whole training"
            )
        self.reached[name] = int(series.steps[-1])


def _rows(progress: Progress) -> Mapping[str, Series]:
    """The rows of a message with those that its evaluation becomes (`searcher/trial.py`)."""
    at = np.array([max(progress.step - 1, 0)])
    evaluated = {name: Series(at, np.array([value])) for name, value in progress.metrics.items()}
    return {**evaluated, **progress.signals}


def _metrics(metrics: object) -> dict[str, float]:
    plain = {}
    for name, value in _pairs("metrics", metrics):
        if not RECORDABLE.fullmatch(name) or posixpath.normpath(name) != name or name[:1] in "/.":
            raise Unusable(
                f"a metric is called {name!r}, which no record can keep; names are made of letters, digits, "
                "blanks and _ - . : with / between parts"
            )
        plain[name] = _number(f"the metric {name!r}", value)
    return plain


def _facts(facts: object) -> dict[str, float | int | str]:
    plain: dict[str, float | int | str] = {}
    for name, value in _pairs("facts", facts):
        fact = _of_one(value)
        if not isinstance(fact, str | int | float):
            raise Unusable(f"the fact {name!r} is {_shown(value)}, neither a number nor a text")
        if name in NUMBERS or name.startswith(FAMILIES):
            _number(f"the fact {name!r}", fact, finite=name in ROUNDED)
        plain[name] = fact
    return plain


def _pairs(what: str, given: object) -> Sequence[tuple[str, Any]]:
    if not isinstance(given, Mapping):
        raise Unusable(f"its {what} are {_shown(given)}; give a dict from names to values")
    for name in given:
        if not isinstance(name, str):
            raise Unusable(f"one of its {what} is called {_shown(name)}; give it a text as its name")
    return list(given.items())


def _number(what: str, value: Any, finite: bool = False) -> float:
    """The number as Python's own: arrays and tensors may hold one, texts are none."""
    try:
        number = float("" if isinstance(value, str | bytes) else _of_one(value))
    except (TypeError, ValueError, OverflowError):
        raise Unusable(f"{what} is {_shown(value)}, not a number") from None
    if finite and not math.isfinite(number):
        raise Unusable(f"{what} is {_shown(value)}, not a finite number")
    return number


def _of_one(value: Any) -> Any:
    """What an array or a tensor of one number holds."""
    if callable(getattr(value, "item", None)):
        with contextlib.suppress(ValueError, RuntimeError):  # it holds several
            return value.item()
    return value


def _change(before: Sequence[str], now: Sequence[str]) -> str:
    gone = _named([name for name in before if name not in now])
    new = _named([name for name in now if name not in before])
    parts = [*([f"gone: {gone}"] if gone else []), *([f"new: {new}"] if new else [])]
    return "; ".join(parts) or "another order"


def _named(layers: Sequence[str]) -> str:
    more = len(layers) - NAMED
    return ", ".join(map(repr, layers[:NAMED])) + (f" and {more} more" if more > 0 else "")


def _shown(value: object) -> str:
    """What arrived, in one line."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:60]}... (of type {type(value).__name__})"
