"""The monitor on the models that people write: odd answers, odd batches, parts called often or seldom."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrizations

from diagnostics import Monitor, Signals

CLASSES = 3


class Functional(nn.Module):
    """No activation modules."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """[B, 6] to logits."""
        return self.head(F.relu(self.two(F.relu(self.one(x)))))


class Answering(Functional):
    """Wraps its logits as published models do."""

    def __init__(self, wrap: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.wrap = wrap

    def forward(self, x: Tensor) -> Any:
        """Logits, wrapped."""
        return self.wrap(super().forward(x))


def run(
    model: nn.Module,
    inputs: Callable[[], Any] = lambda: torch.randn(16, 6),
    logits: Callable[[Any], Tensor] = lambda answer: answer,
    steps: int = 4,
    optimizer: torch.optim.Optimizer | None = None,
) -> Signals:
    """A few steps, each measured; nothing may go wrong on the way."""
    optimizer = optimizer or torch.optim.SGD([p for p in model.parameters() if p.requires_grad], 0.1)
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always())
    for _ in range(steps):
        x = inputs()
        optimizer.zero_grad()
        answer = logits(model(**x) if isinstance(x, dict) else model(x))
        y = torch.randint(CLASSES, answer.shape[:1])
        loss = F.cross_entropy(answer, y)
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch={**x, "labels": y} if isinstance(x, dict) else (x, y))
    monitor.report()
    assert "probe_error" not in monitor.signals.facts, monitor.signals.facts["probe_error"]
    assert all(len(monitor.signals[name]) == steps for name in ("weight_norm", "output_spread", "y_entropy"))
    return monitor.signals


WRAPS: dict[str, tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = {
    "tuple": (lambda a: (None, a, torch.zeros(1)), lambda w: w[1]),
    "list": (lambda a: [a], lambda w: w[0]),
    "dict": (lambda a: {"out": a}, lambda w: w["out"]),
    "dict with its loss": (lambda a: OrderedDict(loss=a.sum(), logits=a), lambda w: w["logits"]),
    "object": (lambda a: SimpleNamespace(loss=a.sum(), logits=a), lambda w: w.logits),
}


@pytest.mark.parametrize("kind", WRAPS)
def test_answers_are_found_however_they_are_wrapped(kind: str) -> None:
    wrap, logits = WRAPS[kind]
    signals = run(Answering(wrap), logits=logits)
    assert signals["answer_width"].values.tolist() == [CLASSES] * 4


def test_batches_that_are_mappings_of_tokens() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(11, 8), nn.Linear(8, CLASSES)

        def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> Tensor:
            return self.head(self.embedding(input_ids).mean(dim=1))

    signals = run(Tokens(), lambda: {"input_ids": torch.randint(11, (16, 4))})
    assert signals["x_max"].values.max() <= 10 and signals["batch_size"].values[-1] == 16


def test_without_activation_modules_the_inputs_of_layers_stand_in() -> None:
    signals = run(Functional())
    assert signals["zero_share"].layers == ("two.input", "head.input")
    assert np.all((signals["zero_share"].values > 0.1) & (signals["zero_share"].values < 0.9))


@pytest.mark.parametrize("size", [1, 2])
def test_the_last_batch_may_be_tiny(size: int) -> None:
    sizes = iter([16, 16, size, 16])
    signals = run(Functional(), lambda: torch.randn(next(sizes), 6))
    assert signals["batch_size"].values.tolist() == [16, 16, size, 16]
    assert all(np.all(np.isfinite(series.values)) for series in signals.values())


def test_an_answer_of_one_number_a_sample_through_a_sigmoid() -> None:
    model = nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 1), nn.Flatten(0), nn.Sigmoid())
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    monitor = Monitor(model, optimizer, num_classes=2, cadence=always())
    for _ in range(3):
        x, y = torch.randn(16, 6), torch.randint(2, (16,)).float()
        loss = F.binary_cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, y))
    signals = monitor.signals
    assert "probe_error" not in signals.facts
    assert signals["y_classes"].values.tolist() == [2] * 3 and signals.facts["head"] == "Sigmoid"


@pytest.mark.parametrize("make", [torch.optim.SparseAdam, torch.optim.SGD])
def test_sparse_gradients_of_an_embedding(make: Callable[..., torch.optim.Optimizer]) -> None:
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(16, CLASSES))
    sparse, dense = make(model[0].parameters(), lr=0.1), torch.optim.Adam(model[2].parameters())
    monitor = Monitor(model, [sparse, dense], num_classes=CLASSES, cadence=always())
    for _ in range(3):
        x, y = torch.randint(50, (4, 2)), torch.randint(CLASSES, (4,))
        before, loss = model[0].weight.detach().clone(), F.cross_entropy(model(x), y)
        loss.backward()
        gradient = model[0].weight.grad.to_dense().norm()
        sparse.step(), dense.step()
        sparse.zero_grad(), dense.zero_grad()
        monitor.step(loss, batch=(x, y))
    signals = monitor.signals
    assert "probe_error" not in signals.facts
    assert signals["grad_norm"].values[-1, 0] == pytest.approx(float(gradient), rel=1e-4)
    moved = float((model[0].weight.detach() - before).norm())
    assert signals["update_norm"].values[-1, 0] == pytest.approx(moved, rel=1e-4)


def test_tied_and_frozen_weights() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.body = nn.Embedding(CLASSES, 8), nn.Linear(8, 8)
            self.head = nn.Linear(8, CLASSES)
            self.head.weight = self.embedding.weight
            self.body.weight.requires_grad_(False)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.body(self.embedding(x).mean(dim=1))))

    signals = run(Tied(), lambda: torch.randint(CLASSES, (16, 4)))
    assert signals["weight_norm"].layers == ("embedding.weight",)
    assert signals["output_spread"].layers == ("embedding", "body", "head")
    assert signals.facts["frozen"] == 1


def test_a_part_called_several_times_in_a_step_has_the_mean_of_its_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.act, self.head = nn.Linear(6, 6), nn.ReLU(), nn.Linear(6, CLASSES)
            self.seen: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            one = self.body(x)
            other = self.body(self.act(one))
            self.seen = [one.detach(), other.detach()]
            return self.head(self.act(other))

    model = Twice()
    signals = run(model)
    spread = float(torch.stack([x.std(correction=0) for x in model.seen]).mean())
    assert signals["output_spread"].values[-1, 0] == pytest.approx(spread, rel=1e-3)


def test_parts_that_are_called_only_sometimes_do_not_hide_the_others() -> None:
    class Skipping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.blocks = nn.Linear(6, 6), nn.ModuleList(nn.Linear(6, 6) for _ in range(3))
            self.act, self.head, self.calls = nn.ReLU(), nn.Linear(6, CLASSES), 0

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            for i, block in enumerate(self.blocks):
                if i != self.calls % 4:
                    x = x + block(self.act(x))
            self.calls += 1
            return self.head(x)

    signals = run(Skipping(), steps=8)
    assert {"first", "blocks.1", "blocks.2", "head"} <= set(signals["output_spread"].layers)
    assert len(signals["output_spread"]) == len(signals["output_grad"]) == 8
    assert len(signals["update_norm"]) == 8
    assert signals.facts["head"] == "Linear"


def test_facts_of_the_model_are_those_of_its_first_row() -> None:
    class Growing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.late, self.calls = nn.Linear(6, CLASSES), nn.Softmax(dim=-1), 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            return self.late(self.body(x)) if self.calls > 2 else self.body(x)

    assert run(Growing()).facts["head"] == "Linear"  # or what was said at step 0 could not be said again


def test_units_are_channels_where_convolutions_gave_them_and_last_where_linear_layers_did() -> None:
    class Dead(nn.Module):
        def __init__(self, layer: nn.Module, head: nn.Module) -> None:
            super().__init__()
            self.layer, self.act, self.head = layer, nn.ReLU(), head
            with torch.no_grad():
                layer.bias[0] = -100  # one unit that never fires

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.act(self.layer(x)).flatten(1))

    cases = {
        "sequence": (nn.Conv1d(2, 4, 3, padding=1), lambda: torch.randn(64, 2, 8), 4 * 8),
        "image": (nn.Conv2d(2, 4, 3, padding=1), lambda: torch.randn(64, 2, 3, 3), 4 * 9),
        "table": (nn.Linear(6, 4), lambda: torch.randn(64, 6), 4),
        "tokens": (nn.Linear(6, 4), lambda: torch.randn(64, 5, 6), 4 * 5),
        "channels last": (nn.Linear(6, 4), lambda: torch.randn(64, 3, 5, 6), 4 * 15),
    }
    for name, (layer, inputs, width) in cases.items():
        signals = run(Dead(layer, nn.Linear(width, CLASSES)), inputs, steps=12)
        assert signals["dead_share"].values[-1].tolist() == [0.25], name


def test_the_order_of_columns_is_that_of_the_calls() -> None:
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, CLASSES)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.first = parametrizations.weight_norm(nn.Linear(6, 8))

        def forward(self, x: Tensor) -> Tensor:
            x = self.first(x)
            return self.head(self.attention(x, x, x)[0].mean(dim=1))

    signals = run(Backwards(), lambda: torch.randn(16, 4, 6))
    owners = [name.split(".")[0] for name in signals["weight_norm"].layers]
    assert owners == sorted(owners, key=["first", "attention", "head"].index)
    assert signals["output_spread"].layers[0] == "first" and signals["output_spread"].layers[-1] == "head"


def test_units_are_watched_where_a_layer_follows_a_layer() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    signals = run(model, lambda: torch.randn(128, 6), steps=12)
    assert signals["dead_share"].layers == signals["zero_share"].layers == ("2",)
    assert len(signals["dead_share"]) >= 2


@pytest.mark.filterwarnings("error:a figure is missing")
def test_passes_of_transforms_are_none_of_the_training() -> None:
    model = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, CLASSES))
    monitor = Monitor(model, torch.optim.SGD(model.parameters(), 0.1), num_classes=CLASSES, cadence=always())
    weights = {name: p.detach() for name, p in model.named_parameters()}

    def loss_of(weights: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(model, weights, (x[None],)), y[None])

    per_sample = torch.func.vmap(torch.func.grad(loss_of), (None, 0, 0))
    found = per_sample(weights, torch.randn(4, 6), torch.randint(CLASSES, (4,)))
    assert found["0.weight"].shape == (4, 8, 6)
    torch.export.export(model, (torch.randn(2, 6),))
    monitor.step(0.5)
    assert "output_spread" not in monitor.signals
