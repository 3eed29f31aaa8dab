"""A loop of one's own that keeps its state, as the documents show it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import torch
from said import essence
from torch import nn

from diagnostics import Monitor
from diagnostics.measuring.cadence import Fixed
from trainers.progress import Progress
from trainers.seeds import random_states, seed_everything, set_random_states
from trainers.states import Keeper


def by_hand(folder: Path, steps: int = 30) -> Iterator[Progress]:
    """Train a little, with dropout."""
    seed_everything(3)
    model = nn.Sequential(nn.Linear(4, 5), nn.Dropout(0.3), nn.Linear(5, 1))
    optimizer = torch.optim.Adam(model.parameters())
    monitor = Monitor(model, optimizer, task="regression", cadence=Fixed())
    step = 0
    with Keeper(folder, every=0, origin={"steps": steps}) as keeper:
        state = keeper.state()
        if state is not None:
            model.load_state_dict(state["model"])
            optimizer.load_state_dict(state["optimizer"])
            monitor.load_state_dict(state["monitor"])
            set_random_states(state["random"], torch.device("cpu"))
            step = state["step"]
        yield from keeper.told()
        while step < steps:
            x = torch.randn(8, 4)
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            monitor.step(loss, batch=(x, torch.zeros(8, 1)))
            step += 1
            metrics = {"val_loss": float(loss.detach())}
            yield keeper.hear(Progress(step, step / 10, steps / 10, metrics, monitor.take()))
            state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
            state |= {"monitor": monitor.state_dict(), "random": random_states(torch.device("cpu"))}
            keeper.save(lambda state=state, step=step: {**state, "step": step})
        keeper.forget()


def test_any_loop_can_keep_its_state(tmp_path: Path) -> None:
    whole = list(by_hand(tmp_path / "whole"))
    assert len(whole) == 30 and list((tmp_path / "whole").iterdir()) == []
    for _ in range(2):
        stream = by_hand(tmp_path / "part")
        for _ in range(random.randrange(2, 29)):
            next(stream)
        stream.close()
        torch.manual_seed(random.randrange(10**6))
    assert essence(list(by_hand(tmp_path / "part"))) == essence(whole)
