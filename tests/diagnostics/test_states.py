"""A monitor that goes on where another one stopped says what one would have said that never stopped."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import torch
from cadences import Never, always
from torch import nn
from torch.nn import functional as F

from diagnostics import Monitor, Signals
from diagnostics.measuring.cadence import Adaptive, Cadence, Fixed


def a_model(seed: int) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(6, 9), nn.BatchNorm1d(9), nn.Tanh(), nn.Linear(9, 8), nn.ReLU(), nn.Linear(8, 4)
    )


class Loop:
    """A training by hand; its batches depend on the number of the step alone."""

    def __init__(self, seed: int, cadence: Cadence, task: str) -> None:
        self.seed, self.task = seed, task
        self.model = a_model(seed)
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=0.01)
        self.monitor = Monitor(self.model, self.optimizer, task=task, cadence=cadence)
        self.step = 0

    def run(self, steps: int) -> None:
        for _ in range(steps):
            x = torch.randn(32, 6, generator=torch.Generator().manual_seed(self.seed + self.step))
            y = x[:, :4].argmax(1) if self.task == "classification" else x[:, :4]
            self.optimizer.zero_grad()
            answers = self.model(x)
            loss = F.cross_entropy(answers, y) if self.task == "classification" else F.mse_loss(answers, y)
            loss.backward()
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.monitor.step(loss, batch=(x, y), grad_norm=norm)
            self.step += 1
            if self.step % 50 == 0:
                self.monitor.evaluate(val_loss=float(loss.detach()))

    def state(self) -> dict[str, Any]:
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "monitor": self.monitor.state_dict(),
            "step": self.step,
        }

    def go_on(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.monitor.load_state_dict(state["monitor"])
        self.step = state["step"]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return dict(torch.load(file, weights_only=True))


def assert_same(one: Signals, other: Signals) -> None:
    assert one.keys() == other.keys() and one.facts == other.facts
    for name, series in one.items():
        assert series.layers == other[name].layers, name
        assert np.array_equal(series.steps, other[name].steps), name
        assert np.array_equal(series.values, other[name].values, equal_nan=True), name


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize(("make", "steps"), [(Fixed, 1200), (always, 90)], ids=["fixed", "always"])
def test_a_monitor_goes_on_bit_by_bit(make: Any, steps: int, task: str, rng: np.random.Generator) -> None:
    seed = int(rng.integers(2**31))
    stops = sorted(int(stop) for stop in rng.integers(0, steps, 3))
    whole = Loop(seed, make(), task)
    whole.run(steps)
    part = Loop(seed, make(), task)
    taken: list[Signals] = []
    for stop in stops:
        part.run(stop - part.step)
        taken.append(part.monitor.take())
        state = through_a_file(part.state())
        part.monitor.close()
        part = Loop(seed + 1, make(), task)
        part.seed = seed
        part.go_on(state)
    part.run(steps - part.step)
    assert_same(part.monitor.signals, whole.monitor.signals)
    together = Signals()
    for signals in [*taken, part.monitor.take()]:
        together = together.extend(signals)
    assert_same(together, whole.monitor.signals)


def test_a_state_does_not_disturb(rng: np.random.Generator) -> None:
    seed = int(rng.integers(2**31))
    plain, asked = (Loop(seed, Fixed(), "classification") for _ in range(2))
    plain.run(200)
    for _ in range(20):
        asked.run(10)
        asked.monitor.state_dict()
    assert_same(asked.monitor.signals, plain.monitor.signals)


def test_what_a_budget_of_time_has_learnt_goes_along() -> None:
    now = [0.0]
    cadence = Adaptive(0.01, clock=lambda: now[0])
    for step in range(400):
        due = cadence.is_due(step)
        now[0] += 0.125 if due else 0.015625  # exact in binary, wherever the clock stands
        cadence.done(due)
    state = cadence.state_dict()
    later = [2.0**20]
    other = Adaptive(0.01, clock=lambda: later[0])
    other.load_state_dict(state)
    assert other.state_dict() == state
    for step in range(400, 2000):
        due, again = cadence.is_due(step), other.is_due(step)
        assert due == again
        for clock, one in ((now, cadence), (later, other)):
            clock[0] += 0.125 if due else 0.015625
            one.done(due)


def test_a_cadence_that_cannot_go_on_is_refused() -> None:
    loop = Loop(0, Never(), "classification")
    with pytest.raises(TypeError, match="Never cannot be continued"):
        loop.state()
