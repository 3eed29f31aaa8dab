"""A device with too little memory: the batch is split, the step stays what it was."""

from __future__ import annotations

import gc
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from trainers.config import config_from
from trainers.loop import Training, train
from trainers.memory import Portions, is_out_of_memory
from trainers.progress import Progress
from trainers.states import SAID, STATE

QUICK: dict[str, Any] = {"data": "digits", "max_samples": 400, "epochs": 2, "width": 16, "batch_size": 40}

SMALL_DEVICE = '''
"""A model for a device on which only so many samples have room at once."""

import torch
from torch import nn
from trainers.config import config_from
from trainers.models import build_model


class Small(nn.Module):
    def __init__(self, inner, settings):
        super().__init__()
        self.inner, self.settings = inner, settings

    def forward(self, x):
        answers = self.inner(x)
        room = self.settings["room"] if torch.is_grad_enabled() else self.settings["room_to_evaluate"]
        if len(x) > room:
            if self.settings["host"]:
                raise MemoryError
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return answers


def build(settings, shapes):
    known = {n: v for n, v in settings.items() if n not in ("room", "room_to_evaluate", "host")}
    return Small(build_model(config_from({**known, "model": "mlp"}), shapes), settings)
'''


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """Settings of a training on a device with room for everything; `room` makes it smaller."""
    (tmp_path / "small_device.py").write_text(SMALL_DEVICE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield {**QUICK, "model": "small_device:build", "room": 10**6, "room_to_evaluate": 10**6, "host": False}
    sys.modules.pop("small_device", None)


def messages(settings: dict[str, Any]) -> list[Progress]:
    return list(train(config_from(settings)))


def facts_of(stream: list[Progress]) -> dict[str, Any]:
    return {name: value for progress in stream for name, value in progress.facts.items()}


@pytest.mark.parametrize("host", [False, True], ids=["device", "host"])
def test_a_batch_that_has_no_room_goes_through_the_model_in_parts(small: dict[str, Any], host: bool) -> None:
    room = random.randrange(1, 40)
    small |= {"seed": random.randrange(1000), "host": host}
    whole, split = messages(small), messages({**small, "room": room})
    assert [p.step for p in split] == [p.step for p in whole], "as many steps, as many messages"
    facts = facts_of(split)
    assert facts["out_of_memory_step"] == 0 and facts["micro_batch_norms"] == 0
    assert room / 3 < facts["micro_batch"] <= room
    assert facts["micro_batches"] == -(-40 // facts["micro_batch"])
    assert not {"micro_batch", "out_of_memory_step"} & facts_of(whole).keys()
    for one, other in zip(whole, split, strict=True):
        assert one.metrics.keys() == other.metrics.keys()
        assert list(one.metrics.values()) == pytest.approx(list(other.metrics.values()), abs=0.02)
        assert one.signals.keys() == other.signals.keys()
    assert "probe_error" not in split[-1].signals.facts


@pytest.mark.parametrize(
    "options", [{}, {"l1": 0.01}, {"label_smoothing": 0.1, "norm": "layer"}, {"model": "gru"}], ids=str
)
@pytest.mark.parametrize("at_once", [1, 7, 20])
def test_the_gradient_of_the_parts_is_that_of_the_whole(options: dict[str, Any], at_once: int) -> None:
    settings = {**QUICK, **options, "seed": random.randrange(1000), "optimizer": "sgd", "learning_rate": 0.1}
    whole, split = (
        Training(config_from(settings)),
        Training(config_from({**settings, "micro_batch": at_once})),
    )
    with whole.monitor, split.monitor:
        for one, other in zip(whole.batches(), split.batches(), strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
            whole.step(one)
            split.step(other)
            if whole.steps == 4:
                break
    for a, b in zip(whole.model.parameters(), split.model.parameters(), strict=True):
        assert a.grad is not None and b.grad is not None
        assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-5)
    one, other = whole.monitor.signals, split.monitor.signals
    for name in ("loss", "total_grad_norm", "batch_size", "trivial_loss", "zero_share"):
        assert np.allclose(one[name].values, other[name].values, rtol=0.03, atol=1e-4), name
    # a mean of root mean squares is a little below that of the whole
    assert np.allclose(one["output_grad"].values, other["output_grad"].values, rtol=0.5)
    assert "probe_error" not in other.facts


def test_what_was_tried_in_vain_is_not_measured(small: dict[str, Any]) -> None:
    """A training that runs out of memory measures what one in parts from the start does."""
    small |= {"seed": random.randrange(1000)}
    repaired = messages({**small, "room": 20})
    begun = messages({**small, "micro_batch": 20})
    for one, other in zip(repaired, begun, strict=True):
        assert one.metrics == other.metrics
        for name, series in one.signals.items():
            assert np.array_equal(series.values, other.signals[name].values), name
    assert "out_of_memory_step" not in facts_of(begun) and begun[0].facts["micro_batch"] == 20


def test_where_one_sample_has_no_room_the_training_ends(small: dict[str, Any]) -> None:
    with pytest.raises(torch.OutOfMemoryError):
        messages({**small, "room": 0})
    with pytest.raises(MemoryError):
        messages({**small, "room": 0, "host": True})


def test_an_evaluation_takes_fewer_samples_at_once(small: dict[str, Any]) -> None:
    whole, split = messages(small), messages({**small, "room_to_evaluate": 30})
    assert facts_of(split)["evaluation_batch"] == 16
    for one, other in zip(whole, split, strict=True):
        assert dict(one.metrics) == pytest.approx(dict(other.metrics), rel=1e-5)
        assert one.signals.keys() == other.signals.keys()


def test_an_evaluation_that_has_no_room_for_one_sample_fails() -> None:
    tried: list[int] = []

    def run(at_once: int) -> None:
        tried.append(at_once)
        raise MemoryError

    with pytest.raises(MemoryError):
        Portions(40, 40, None, torch.device("cpu")).evaluate(run)
    assert tried == [128, 64, 32, 16, 8, 4, 2, 1]


def test_the_norms_that_see_parts_are_counted(small: dict[str, Any]) -> None:
    facts = facts_of(messages({**small, "norm": "batch", "room": 20, "epochs": 1}))
    assert facts["micro_batch_norms"] == 2


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory")) and is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit")) and not is_out_of_memory(ValueError("x"))


def test_parts_hold_every_sample_once_and_are_as_equal_as_can_be() -> None:
    for _ in range(50):
        samples, at_once = random.randrange(1, 300), random.randrange(1, 300)
        parts = Portions(samples, samples, at_once, torch.device("cpu")).parts(torch.arange(samples))
        assert torch.equal(torch.cat([part[0] for part in parts]), torch.arange(samples))
        sizes = [len(part[0]) for part in parts]
        assert max(sizes) <= at_once and max(sizes) - min(sizes) <= 1


def test_a_repair_outlives_a_restart(small: dict[str, Any], tmp_path: Path) -> None:
    small |= {"seed": random.randrange(1000), "room": 15}
    whole = messages(small)
    kept = {**small, "folder": str(tmp_path / "trial"), "save_every": 0.0}
    stream = train(config_from(kept))
    for _ in range(random.randrange(2, len(whole))):
        next(stream)
    stream.close()
    assert (tmp_path / "trial" / STATE).exists() and (tmp_path / "trial" / SAID).exists()
    again = messages(kept)
    assert [p.metrics for p in again] == [p.metrics for p in whole]
    assert facts_of(again)["micro_batch"] == facts_of(whole)["micro_batch"]


def test_memory_stays_flat_over_many_trainings() -> None:
    tiny = {"data": "digits", "max_samples": 60, "epochs": 1, "width": 8, "batch_size": 20}
    sizes, tensors = [], []
    for number in range(200):
        messages({**tiny, "seed": number})
        if number in (49, 199):
            gc.collect()
            sizes.append(psutil.Process().memory_info().rss / 1e6)
            tensors.append(
                sum(issubclass(type(thing), torch.Tensor | nn.Module) for thing in gc.get_objects())
            )
    assert tensors[1] <= tensors[0], "something keeps tensors alive"
    assert sizes[1] - sizes[0] < 20, "MB after a warm-up"
