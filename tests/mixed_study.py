"""A study that trains nothing, in which each trial has a fate of its own: by its number.

Its file names all kinds of settings: numbers, texts, both, and those that are switched off in some trials.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from diagnostics import Signals
from trainers.progress import Progress

EPOCHS, STEPS = 6, 10

FATES = ("learns", "explodes", "behind", "breaks", "improves")
"""What becomes of trial n: its fate is number n modulo 5."""

SPACE = """
learning_rate = { low = 1e-4, high = 1.0, log = true }
width = [8, 16, 32]
norm = ["none", "batch"]
shape = ["flat", "power"]
power = { low = 0.5, high = 2.0, when = { shape = "power" } }
decay = { low = 1e-6, high = 1e-2, log = true, when = { shape = "flat" } }
mixed = ["none", 3]
"""

STUDY = """
name = "mixed"
question = "Which made-up settings train best?"
[train]
trainer = "mixed_study:mixed"
colour = "green"
[metric]
name = "val_loss"
[space]{space}
[search]
sampler = "random"
seed = {seed}
pruner = {{ name = "threshold", upper = 5.0 }}
audit = 0.0
trials = {trials}
[dispatch]
launcher = "{launcher}"
slots = 1
"""


def study_file(seed: int, trials: int, launcher: str = "inprocess") -> str:
    """The text of the study file."""
    return STUDY.format(space=SPACE, seed=seed, trials=trials, launcher=launcher)


def fate_of(number: int) -> str:
    """What becomes of a trial."""
    return FATES[number % len(FATES)]


def mixed(settings: Mapping[str, Any]) -> Iterator[Progress]:
    """A training with the fate of its trial."""
    fate = fate_of(int(Path(str(settings["folder"])).name))
    floor = 0.2 + float(settings["power"]) / 5 if settings["shape"] == "power" else 0.3
    facts = {"data_digest": "0123456789abcdef", "step_seconds": 0.001, "device": "cpu", "trivial_loss": 2.0}
    rate = 0.02 if fate == "improves" else 0.2
    for epoch in range(1, EPOCHS + 1):
        steps = range((epoch - 1) * STEPS, epoch * STEPS)
        losses = [floor + 1.5 * math.exp(-step * rate) + 0.01 * math.sin(step**2) for step in steps]
        if fate == "explodes" and epoch == 3:
            losses[4:] = [math.nan] * (STEPS - 4)
        if fate == "behind":
            losses = [loss + 10 for loss in losses]
        last = losses[-1]
        evaluation = {"train_loss": last, "val_loss": last * 1.1} if math.isfinite(last) else {}
        rows = Signals.of({"loss": (steps, losses)})
        yield Progress(epoch * STEPS, epoch, EPOCHS, evaluation, rows, facts)
        if fate == "breaks" and epoch == 2:
            raise RuntimeError("the glue came off")
