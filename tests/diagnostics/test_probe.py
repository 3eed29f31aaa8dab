"""A whole row against what the same step gives when everything is kept and computed by hand."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from diagnostics.measuring.figures import Row, pack
from diagnostics.measuring.hooks import Guard
from diagnostics.measuring.probe import Probe

CLASSES, SIZE = 3, 24


def norm(*tensors: Tensor) -> float:
    """The norm of all numbers of some tensors."""
    return math.sqrt(sum(value * value for t in tensors for value in t.detach().double().flatten().tolist()))


def spread(w: Tensor) -> float:
    """How much the rows of a matrix differ from their mean."""
    rows = w.detach().double().flatten(1)
    return norm(rows - rows.mean(dim=0)) / norm(rows) if norm(rows) else 0.0


def table() -> nn.Sequential:
    """Layers, a norm, and two kinds of activation."""
    return nn.Sequential(
        *(nn.Linear(6, 8), nn.LayerNorm(8), nn.ReLU()),
        *(nn.Linear(8, 7), nn.Sigmoid(), nn.Dropout(0.0), nn.Linear(7, CLASSES)),
    )


def images() -> nn.Sequential:
    """Convolutions with batch norm."""
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True)),
        *(nn.Conv2d(4, 5, 3), nn.Tanh(), nn.Flatten(), nn.Linear(5 * 9, CLASSES)),
    )


CASES: dict[str, tuple[Callable[[], nn.Sequential], tuple[int, ...]]] = {
    "table": (table, (6,)),
    "images": (images, (2, 5, 5)),
}


class Kept:
    """One step with every tensor of it kept."""

    def __init__(
        self, build: Callable[[], nn.Sequential], shape: tuple[int, ...], whole: bool = True
    ) -> None:
        self.model = build()
        self.optimizer = torch.optim.Adam(self.model.parameters(), 0.01)
        self.probe = Probe(self.model, [self.optimizer], Guard())
        self.shape = shape
        self.step(watched=False)
        self.step(watched=True)

    def step(self, watched: bool) -> None:
        """Train on one random batch."""
        self.before = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        x = torch.randn(SIZE, *self.shape)
        self.given: dict[str, Tensor] = {}
        self.outs: dict[str, Tensor] = {}
        hooks = [
            module.register_forward_hook(self._keep(name)) for name, module in self.model.named_children()
        ]
        if watched:
            self.probe.arm(whole=True)
        self.optimizer.zero_grad()
        F.cross_entropy(self.model(x), torch.randint(CLASSES, (SIZE,))).backward()
        self.gradients = {name: p.grad.clone() for name, p in self.model.named_parameters()}
        self.optimizer.step()
        for hook in hooks:
            hook.remove()
        self.after = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.row = self.probe.take() if watched else {}

    def _keep(self, name: str) -> Callable[..., None]:
        def hook(module: nn.Module, given: tuple[Tensor, ...], out: Tensor) -> None:
            out.retain_grad()
            self.given[name], self.outs[name] = given[0].detach().clone(), out
            self.values = {**getattr(self, "values", {}), name: out.detach().clone()}

        return hook


@pytest.fixture(params=CASES)
def kept(request: pytest.FixtureRequest) -> Kept:
    """A step of every kind of model."""
    return Kept(*CASES[request.param])


def figures(row: Row, signal: str) -> dict[str, float]:
    """The columns of a signal."""
    columns = row[signal]
    assert isinstance(columns, dict)
    return {name: float(value) for name, value in columns.items()}


def test_norms_of_every_parameter(kept: Kept) -> None:
    kinds = {
        "weight": kept.before,
        "grad": kept.gradients,
        "update": {name: kept.after[name] - before for name, before in kept.before.items()},
    }
    for kind, tensors in kinds.items():
        matrices = {name: norm(t) for name, t in tensors.items() if t.ndim >= 2}
        vectors = {name: norm(t) for name, t in tensors.items() if t.ndim < 2}
        assert figures(kept.row, f"{kind}_norm") == pytest.approx(matrices, rel=1e-4)
        assert figures(kept.row, f"vector_{kind}_norm") == pytest.approx(vectors, rel=1e-3, abs=1e-7)
        assert float(kept.row[f"total_{kind}_norm"]) == pytest.approx(norm(*tensors.values()), rel=1e-4)
    expected = {name: spread(w) for name, w in kept.before.items() if w.ndim >= 2}
    assert figures(kept.row, "row_spread") == pytest.approx(expected, rel=1e-3)
    expected = {name: spread(g) for name, g in kept.gradients.items() if g.ndim >= 2}
    assert figures(kept.row, "grad_row_spread") == pytest.approx(expected, rel=1e-3)


def test_the_angle_of_matrices_before_a_norm(kept: Kept) -> None:
    one, other = kept.before["0.weight"].double().flatten(), kept.after["0.weight"].double().flatten()
    angle = math.acos(float(one @ other / one.norm() / other.norm()))
    assert figures(kept.row, "rotation") == {"0.weight": pytest.approx(angle, rel=1e-2)}


def test_outputs_of_layers_and_the_gradients_they_get(kept: Kept) -> None:
    layers = [name for name, m in kept.model.named_children() if isinstance(m, nn.Linear | nn.Conv2d)]
    values = {name: kept.values[name].double() for name in layers}
    assert figures(kept.row, "output_mean") == pytest.approx(
        {name: float(x.mean()) for name, x in values.items()}, rel=1e-3, abs=1e-5
    )
    assert figures(kept.row, "output_spread") == pytest.approx(
        {name: float(x.std(correction=0)) for name, x in values.items()}, rel=1e-3
    )
    sizes = {name: SIZE * float(kept.outs[name].grad.double().square().mean().sqrt()) for name in layers}
    assert figures(kept.row, "output_grad") == pytest.approx(sizes, rel=1e-3)


def test_activations(kept: Kept) -> None:
    kinds = {nn.Sigmoid: lambda a: 4 * a * (1 - a), nn.Tanh: lambda a: 1 - a * a}
    parts = dict(kept.model.named_children())
    sites = [name for name, m in parts.items() if isinstance(m, nn.ReLU | nn.Sigmoid | nn.Tanh)]
    zeros = {name: float((kept.values[name] == 0).double().mean()) for name in sites}
    assert figures(kept.row, "zero_share") == pytest.approx(zeros, abs=1e-5)
    slopes = {
        name: float(kinds[type(parts[name])](kept.values[name].double()).mean())
        for name in sites
        if type(parts[name]) in kinds
    }
    assert figures(kept.row, "slope_share") == pytest.approx(slopes, rel=1e-3)


def test_a_unit_is_dead_when_it_never_fired_in_a_full_window() -> None:
    model = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, CLASSES))
    with torch.no_grad():
        model[0].bias[:3] = -100
    optimizer = torch.optim.SGD(model.parameters(), 0.0)
    probe, shares, seen = Probe(model, [optimizer], Guard()), [], []
    for _ in range(60):
        probe.arm(whole=True)
        x = torch.randn(SIZE, 6)
        F.cross_entropy(model(x), torch.randint(CLASSES, (SIZE,))).backward()
        optimizer.step()
        seen.append((torch.relu(model[0](x)) > 0).any(dim=0))
        row = probe.take()
        if "dead_share" in row:
            expected = 1 - float(torch.stack(seen).any(dim=0).double().mean())
            shares.append((figures(row, "dead_share")["1"], expected, len(seen) * SIZE))
            assert figures(row, "site_units") == {"1": 10}
            seen = []
    assert len(shares) >= 2
    assert all(found == pytest.approx(expected) and samples >= 512 for found, expected, samples in shares)


def test_running_statistics_against_the_batch() -> None:
    kept = Kept(*CASES["images"])
    norm_part, x = kept.model[1], kept.given["1"].double()
    mean, variance = x.mean(dim=(0, 2, 3)), x.var(dim=(0, 2, 3), correction=0) + norm_part.eps
    gap = float(((norm_part.running_mean - mean).abs() / variance.sqrt()).mean())
    ratio = sorted((norm_part.running_var / variance).tolist())[(len(mean) - 1) // 2]
    assert figures(kept.row, "running_gap") == {"1": pytest.approx(gap, rel=1e-3)}
    assert figures(kept.row, "running_ratio") == {"1": pytest.approx(ratio, rel=1e-3)}


def test_a_row_is_one_vector_in_the_order_of_its_layout(kept: Kept) -> None:
    layout, packed = pack(kept.row)
    assert isinstance(packed.parts, list)
    numbers = iter(packed.tolist())
    for name, columns in layout:
        found = kept.row[name]
        expected = figures(kept.row, name) if isinstance(found, dict) else {"": float(found)}
        assert list(columns) == (list(expected) if isinstance(found, dict) else [])
        assert [next(numbers) for _ in expected] == pytest.approx(list(expected.values()), rel=1e-6)
    assert next(numbers, None) is None


def test_a_probe_that_is_not_armed_has_nothing_on_and_nothing_to_say() -> None:
    model = table()
    probe = Probe(model, [torch.optim.SGD(model.parameters(), 0.1)], Guard())
    probe.arm(whole=False)
    assert all(not module._forward_hooks for module in model.modules())
    assert probe.take() == {} and probe.facts() == {}


def test_parameters_that_no_optimizer_holds_stand_still() -> None:
    model, other = table(), nn.Linear(6, CLASSES)
    held = dict(model[3].named_parameters(prefix="3"))
    for moved in (dict(other.named_parameters(prefix="x")), held):
        optimizer, guard = torch.optim.SGD(moved.values(), 0.1), Guard()
        probe = Probe(model, [optimizer], guard)
        before = {name: p.detach().clone() for name, p in model.named_parameters()}
        probe.arm(whole=True)
        x = torch.randn(SIZE, 6)
        (model(x) + other(x)).square().mean().backward()
        optimizer.step()
        row = probe.take()
        updates = {name: norm(p - before[name]) for name, p in model.named_parameters()}
        weights = {name: norm(w) for name, w in before.items() if w.ndim >= 2}
        assert figures(row, "weight_norm") == pytest.approx(weights, rel=1e-4)
        assert figures(row, "update_norm") == pytest.approx({n: updates[n] for n in weights}, rel=1e-3)
        assert {name for name, size in figures(row, "grad_norm").items() if size} == {*held} & {*moved} & {
            *weights
        }
        assert not guard.error
