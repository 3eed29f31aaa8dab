"""The monitor on compiled and data-parallel models: same figures, same training, nothing compiled twice."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cadences import always
from torch import Tensor, nn
from torch import distributed as dist
from torch import multiprocessing as mp
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from diagnostics import Monitor, Signals

CLASSES, STEPS = 3, 6
FORWARD = ("output_mean", "output_spread", "zero_share", "running_gap", "answer_spread")


class Net(nn.Module):
    """With buffers, random numbers, and something that it notes on itself."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(8, CLASSES)
        self.last: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        """[B, 6] to logits."""
        hidden = self.first(x)
        self.last = hidden.detach()
        return self.head(hidden)


def whole(net: Net, backend: str) -> nn.Module:
    """All of it compiled, in one graph or not at all."""
    return torch.compile(net, backend=backend, fullgraph=True)


def parts(net: Net, backend: str) -> nn.Module:
    """Only a block of it."""
    net.first = torch.compile(net.first, backend=backend)
    return net


def in_place(net: Net, backend: str) -> nn.Module:
    """So that hooks are compiled as well."""
    net.compile(backend=backend, fullgraph=True)
    return net


def block_in_place(net: Net, backend: str) -> nn.Module:
    """One block in place."""
    net.first.compile(backend=backend)
    return net


WAYS = {"whole": whole, "parts": parts, "in place": in_place, "block in place": block_in_place}


def train(wrap: Callable[[Net], nn.Module], watched: bool = True) -> tuple[dict[str, Any], Signals | None]:
    """A short training from one seed; what it leaves, and what was seen."""
    torch.manual_seed(3)
    net = Net()
    model = wrap(net)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    monitor = Monitor(model, optimizer, num_classes=CLASSES, cadence=always()) if watched else None
    for _ in range(STEPS):
        x, y = torch.randn(16, 6), torch.randint(CLASSES, (16,))
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        if monitor:
            monitor.step(loss, batch=(x, y))
    left = {name: value.clone() for name, value in net.state_dict().items()}
    left |= {"stream": torch.get_rng_state(), "noted": net.last}
    if monitor:
        monitor.close()
        assert "probe_error" not in monitor.signals.facts, monitor.signals.facts["probe_error"]
    return left, monitor.signals if monitor else None


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Bit for bit, whatever the wrappers do to the names."""
    return all(torch.equal(a, b) for a, b in zip(one.values(), other.values(), strict=True))


@pytest.fixture(autouse=True)
def _fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    yield
    torch._dynamo.reset()


@pytest.mark.parametrize(("way", "backend"), [*((way, "eager") for way in WAYS), ("whole", "aot_eager")])
def test_a_compiled_model_shows_the_same_as_a_plain_one(way: str, backend: str) -> None:
    def wrap(net: Net) -> nn.Module:
        return WAYS[way](net, backend)

    watched, signals = train(wrap)
    graphs = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    alone, _ = train(wrap, watched=False)
    assert equal(watched, alone)
    assert graphs == torch._dynamo.utils.counters["stats"]["unique_graphs"], "nothing is compiled twice"
    _, plain = train(lambda net: net)
    assert signals is not None and plain is not None
    for name in (
        "weight_norm",
        "grad_norm",
        "update_norm",
        "vector_update_norm",
        "overshoot",
        "grad_row_spread",
    ):
        assert signals[name].layers == plain[name].layers
        assert signals[name].values == pytest.approx(plain[name].values, rel=1e-2, abs=1e-5), name
    late = way == "in place"  # its hooks are compiled: the batch is run once more, after the step
    for name in FORWARD:
        assert signals[name].layers == plain[name].layers and len(signals[name]) == STEPS
        assert signals[name].values == pytest.approx(plain[name].values, rel=0.6 if late else 0.35, abs=0.1)
    if not late:
        assert signals["output_spread"].values[:, 0] == pytest.approx(
            plain["output_spread"].values[:, 0], rel=1e-3
        )


def test_a_training_that_is_compiled_as_a_function() -> None:
    torch.manual_seed(0)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), 0.1)
    monitor = Monitor(net, optimizer, num_classes=CLASSES, cadence=always())

    @torch.compile(backend="eager", fullgraph=True)
    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(net(x), y)

    for _ in range(STEPS):
        x, y = torch.randn(16, 6), torch.randint(CLASSES, (16,))
        loss = loss_of(x, y)
        loss.backward()
        optimizer.step()
        monitor.step(loss, batch=(x, y))
    assert "probe_error" not in monitor.signals.facts
    assert len(monitor.signals["update_norm"]) == STEPS
    monitor.close()


def test_a_compiled_optimizer() -> None:
    def moved(watched: bool) -> list[Tensor]:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, CLASSES))
        optimizer = torch.optim.SGD(model.parameters(), torch.tensor(0.1))
        optimizer.step = torch.compile(optimizer.step, backend="eager")
        monitor = Monitor(model, optimizer, num_classes=CLASSES) if watched else None
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(torch.randn(8, 6)), torch.randint(CLASSES, (8,)))
            loss.backward()
            optimizer.step()
            if monitor:
                monitor.step(loss)
        return [p.detach().clone() for p in model.parameters()]

    assert all(torch.equal(a, b) for a, b in zip(moved(True), moved(False), strict=True))


def _free_port() -> int:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return int(door.getsockname()[1])


def _work(rank: int, world: int, port: int, folder: str) -> None:
    """One process of a data-parallel training, once with a monitor and once without."""
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=world, timeout=None
    )
    found = [train(DistributedDataParallel, watched) for watched in (True, False)]
    (watched, signals), (alone, _) = found
    assert equal(watched, alone)
    assert signals is not None
    signals.save(Path(folder) / f"{rank}.npz")
    dist.destroy_process_group()


@pytest.mark.parametrize("world", [1, 2])
def test_data_parallel_models(world: int, tmp_path: Path) -> None:
    mp.spawn(_work, (world, _free_port(), str(tmp_path)), nprocs=world)
    _, plain = train(lambda net: net)
    assert plain is not None
    for rank in range(world):
        signals = Signals.load(tmp_path / f"{rank}.npz")
        assert signals.keys() == plain.keys()
        for name, series in plain.items():
            assert signals[name].layers == series.layers
            assert np.all(np.isfinite(signals[name].values))
        assert signals["weight_norm"].values[0] == pytest.approx(plain["weight_norm"].values[0], rel=1e-5)
