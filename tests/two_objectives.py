"""A study with two objectives and its trainers, which train nothing, as the texts of their files."""

from __future__ import annotations

STUDY = """
name = "two"
[train]
trainer = "front:{trainer}"
[[metric]]
name = "val_accuracy"
goal = "maximize"
[[metric]]
name = "{second}"
[space]
x = {{ low = 0.0, high = 1.0 }}
y = {{ low = 0.0, high = 1.0 }}
[search]
sampler = "{sampler}"
pruner = "{pruner}"
trials = {trials}
audit = 0
[dispatch]
launcher = "inprocess"
"""

TRAINER = """
import math
from diagnostics import Signals
from trainers.progress import Progress

def train(settings):
    x, y = settings["x"], settings["y"]
    yield Progress(0, 0, 4, facts={"parameters": int(1000 * x), "step_seconds": 0.5})
    for epoch in (1, 2, 3, 4):
        accuracy = x - (y - 0.5) ** 2 + epoch / 10
        losses = {"val_accuracy": accuracy, "val_loss": (epoch - 3) ** 2 + y}
        rows = Signals.of({"loss": ([epoch - 1], [1.0 / epoch])})
        yield Progress(epoch, epoch, 4, losses, rows, {"step_seconds": 0.1 * epoch + x})

def falls(settings):
    stream = train(settings)
    yield next(stream)
    yield next(stream)
    if settings["x"] > 0.5:
        yield Progress(2, 2, 4, signals=Signals.of({"loss": ([1], [math.nan])}))
    yield from stream

def all_fall(settings):
    yield Progress(1, 1, 4, {"val_accuracy": 0.5, "val_loss": 1.0}, Signals.of({"loss": ([0], [math.nan])}))

def says_less(settings):
    for progress in train(settings):
        yield Progress(progress.step, progress.epoch, 4, {"val_accuracy": 0.5} if progress.metrics else {})
"""
