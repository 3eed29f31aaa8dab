"""Gradients that are kept as the loop's own tensors: every figure is that of copies, in any loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from diagnostics import Monitor, Signals
from diagnostics.measuring.kept import Copies, Kept

CLASSES, STEPS = 4, 7

Columns = dict[str, Tensor]


@pytest.fixture(autouse=True)
def fresh(rng: np.random.Generator) -> None:
    """Other numbers each time."""
    torch.manual_seed(int(rng.integers(2**31)))


class Careless(Optimizer):
    """As optimizers were once written: weight decay goes into the gradients, past their versions."""

    def __init__(self, parameters: Iterable[Tensor], lr: float) -> None:
        super().__init__(parameters, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                self.change(p, p.grad)
                p.sub_(p.grad, alpha=group["lr"])

    def change(self, p: Tensor, g: Tensor) -> None:
        """What happens to a gradient before it is used."""
        g.data.add_(p.data, alpha=0.5)


class Shrinking(Careless):
    """It makes the gradients smaller, in their place."""

    def change(self, p: Tensor, g: Tensor) -> None:
        """Half of it."""
        g.mul_(0.5)


class Twin:
    """A training of which everything is kept as copies, beside the monitor."""

    def __init__(self, make: Callable[[nn.Module], Optimizer]) -> None:
        self.model = nn.Sequential(nn.Linear(6, 9), nn.Tanh(), nn.Linear(9, CLASSES))
        self.optimizer = make(self.model)
        self.monitor = Monitor(self.model, self.optimizer, num_classes=CLASSES, cadence=always())
        self.gradients: list[Columns] = []
        self.weights: list[Columns] = [self._weights()]

    def step(self, zero: Callable[[Twin], None]) -> None:
        """One step; `zero` is how the loop lets go of the gradients of the one before."""
        zero(self)
        x, y = torch.randn(12, 6), torch.randint(CLASSES, (12,))
        loss = F.cross_entropy(self.model(x), y)
        loss.backward()
        self.gradients.append({n: p.grad.clone() for n, p in self.model.named_parameters()})
        self.optimizer.step()
        self.weights.append(self._weights())
        self.monitor.step(loss, batch=(x, y))

    def _weights(self) -> Columns:
        return {name: p.detach().clone() for name, p in self.model.named_parameters()}


def long(columns: Columns) -> Tensor:
    """All numbers of some tensors."""
    return torch.cat([x.double().flatten() for x in columns.values()])


def at(signals: Signals, name: str) -> dict[int, float]:
    """A signal of one number by step."""
    return dict(zip(signals[name].steps.tolist(), signals[name].values.tolist(), strict=True))


def assert_as_by_hand(twin: Twin, without: tuple[int, ...] = ()) -> None:
    """All figures of gradients, and pairs of all steps but those `without`."""
    signals = twin.monitor.signals
    assert "probe_error" not in signals.facts
    for step, g in enumerate(twin.gradients):
        assert at(signals, "total_grad_norm")[step] == pytest.approx(float(long(g).norm()), rel=1e-4)
        for name, w in g.items():
            if w.ndim > 1:
                column = signals["grad_row_spread"].layers.index(name)
                expected = float((w - w.mean(dim=0)).norm() / w.norm())
                assert signals["grad_row_spread"].values[step, column] == pytest.approx(expected, rel=1e-3)
    pairs = [step for step in range(1, len(twin.gradients)) if step not in without]
    assert sorted(at(signals, "grad_dot")) == pairs
    for step in pairs:
        old, new = (long(twin.gradients[i]) for i in (step - 1, step))
        u = long(twin.weights[step - 1]) - long(twin.weights[step])
        scale = float(old.norm() * new.norm())
        assert at(signals, "grad_dot")[step] == pytest.approx(float(old @ new), rel=1e-3, abs=1e-5 * scale)
        square = float(old @ old + new @ new) / 2
        assert at(signals, "grad_square")[step] == pytest.approx(square, rel=1e-3)
        slack = 1e-4 * float(new.norm() * u.norm() / abs(old @ u))
        overshoot = float(1 - (new @ u) / (old @ u))
        assert at(signals, "overshoot")[step] == pytest.approx(overshoot, rel=1e-3, abs=slack)


def new_ones(twin: Twin) -> None:
    twin.optimizer.zero_grad()


def zeros(twin: Twin) -> None:
    twin.optimizer.zero_grad(set_to_none=False)


def zeros_past_the_version(twin: Twin) -> None:
    for p in twin.model.parameters():
        if p.grad is not None:
            p.grad.data.zero_()


def nothing(twin: Twin) -> None:
    """They add up, step by step."""


def views_of_one_bucket(twin: Twin) -> None:
    """As data-parallel models do: new tensors in the same memory."""
    if not hasattr(twin, "bucket"):
        twin.bucket = torch.zeros(sum(p.numel() for p in twin.model.parameters()))  # type: ignore[attr-defined]
    twin.bucket.data.zero_()
    parts = twin.bucket.data.split([p.numel() for p in twin.model.parameters()])
    for p, part in zip(twin.model.parameters(), parts, strict=True):
        p.grad = part.view(p.shape)


def sgd(model: nn.Module) -> Optimizer:
    return torch.optim.SGD(model.parameters(), 0.05, momentum=0.9)


OPTIMIZERS: dict[str, Callable[[nn.Module], Optimizer]] = {
    "sgd": sgd,
    "adam": lambda m: torch.optim.Adam(m.parameters(), 0.01),
    "fused adamw": lambda m: torch.optim.AdamW(m.parameters(), 0.01, fused=True),
    "maximize": lambda m: torch.optim.SGD(m.parameters(), 0.01, maximize=True, weight_decay=0.1),
    "past the version": lambda m: Careless(m.parameters(), 0.05),
    "in place": lambda m: Shrinking(m.parameters(), 0.05),
}

WAYS = (new_ones, zeros, zeros_past_the_version, nothing, views_of_one_bucket)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_figures_are_those_of_copies_however_a_loop_treats_its_gradients(
    optimizer: str, way: Callable[[Twin], None]
) -> None:
    twin = Twin(OPTIMIZERS[optimizer])
    for _ in range(STEPS):
        twin.step(way)
    assert_as_by_hand(twin)
    kept, _ = twin.monitor._probe.parameters._pair
    is_usual = way is new_ones and optimizer not in ("past the version", "in place")
    assert kept.needs_loan == is_usual, "copies only where they are needed"


@pytest.mark.parametrize("way", WAYS[1:], ids=lambda way: way.__name__)
def test_a_loop_that_changes_its_ways_loses_one_pair(way: Callable[[Twin], None]) -> None:
    twin = Twin(sgd)
    for _ in range(3):
        twin.step(new_ones)
    for _ in range(4):
        twin.step(way)
    moved = way is views_of_one_bucket  # the old tensors are left alone at first, then the new ones are not
    assert_as_by_hand(twin, without=(4,) if moved else (3,))


def test_an_optimizer_that_begins_to_change_gradients_past_their_version_loses_one_pair() -> None:
    twin = Twin(sgd)
    for count in range(6):
        if count == 3:
            twin.optimizer.register_step_post_hook(
                lambda optimizer, args, kwargs: [p.grad.data.mul_(0.5) for p in twin.model.parameters()]
            )
        twin.step(new_ones)
    assert_as_by_hand(twin, without=(4,))


def test_gradients_that_are_turned_around_in_place_are_seen_to_be_others() -> None:
    twin = Twin(sgd)
    for count in range(6):
        if count == 3:
            twin.optimizer.register_step_post_hook(
                lambda optimizer, args, kwargs: [p.grad.neg_() for p in twin.model.parameters()]
            )
        twin.step(new_ones)
    assert_as_by_hand(twin, without=(4,))


def test_gradients_of_one_norm_in_one_place_are_seen_to_be_others() -> None:
    def to_one(p: Tensor) -> None:
        p.grad.data.div_(p.grad.norm())

    twin = Twin(sgd)
    for p in twin.model.parameters():
        p.register_post_accumulate_grad_hook(to_one)
    for count in range(7):
        twin.step(new_ones if count < 3 else views_of_one_bucket)
    assert_as_by_hand(twin, without=(4,))


def test_gradients_that_no_backward_made_are_copied() -> None:
    twin = Twin(sgd)
    for _ in range(4):
        x, y = torch.randn(12, 6), torch.randint(CLASSES, (12,))
        with torch.inference_mode():
            loss = F.cross_entropy(twin.model(x), y)
            guesses = [torch.randn_like(p) for p in twin.model.parameters()]
        for p, guess in zip(twin.model.parameters(), guesses, strict=True):
            p.grad = guess
        twin.gradients.append({n: p.grad.clone() for n, p in twin.model.named_parameters()})
        twin.optimizer.step()
        twin.weights.append(twin._weights())
        twin.monitor.step(loss, batch=(x, y))
    assert_as_by_hand(twin)
    assert not twin.monitor._probe.parameters._pair[0].is_lent


def test_gradients_with_a_graph_are_not_kept_alive_by_it() -> None:
    w = torch.randn(3, requires_grad=True)
    g = torch.autograd.grad(w.pow(3).sum(), w, create_graph=True)[0]
    kept = Kept()
    kept.add("w", g, g.norm(), is_loops=True, lends=True)
    assert kept.values["w"].grad_fn is None and kept.values["w"].data_ptr() == g.data_ptr()


def test_a_state_between_two_steps_is_not_changed_by_the_steps_after_it() -> None:
    twin = Twin(sgd)
    for _ in range(4):
        twin.step(new_ones)
    state = twin.monitor.state_dict()["probe"]["parameters"]["pair"]
    before = [{name: x.clone() for name, x in part.items()} for part in state]
    for _ in range(3):
        twin.step(zeros_past_the_version)
    for part, was in zip(state, before, strict=True):
        assert all(torch.equal(part[name], was[name]) for name in was)


def test_a_state_that_is_loaded_stays_as_it_is() -> None:
    twin = Twin(sgd)
    for _ in range(4):
        twin.step(new_ones)
    state = twin.monitor.state_dict()
    u = {name: x.clone() for name, x in state["probe"]["parameters"]["pair"][1].items()}
    twin.monitor.load_state_dict(state)
    for _ in range(4):
        twin.step(new_ones)
    assert all(torch.equal(state["probe"]["parameters"]["pair"][1][name], x) for name, x in u.items())
    assert_as_by_hand(twin)


def test_memory_of_copies_is_used_again() -> None:
    copies, x = Copies(), torch.randn(5, 3)
    first = copies.copy("x", x)
    assert torch.equal(first, x) and first.data_ptr() != x.data_ptr()
    place = first.data_ptr()
    copies.give_back({"x": first})
    x.add_(1)
    second, third = copies.copy("x", x), copies.copy("x", x)
    assert second.data_ptr() == place and third.data_ptr() != place
    assert torch.equal(second, x) and torch.equal(third, x)


@pytest.mark.parametrize("other", [torch.randn(4, 3), torch.randn(5, 3).double()], ids=["shape", "dtype"])
def test_a_parameter_that_has_changed_its_kind_gets_a_copy_of_its_own(other: Tensor) -> None:
    copies = Copies()
    copies.give_back({"x": torch.randn(5, 3)})
    found = copies.copy("x", other)
    assert torch.equal(found, other) and found.dtype == other.dtype
