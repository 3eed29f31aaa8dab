"""Where trials train: which slots there are, and what a worker of a slot sees."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import torch

from searcher.launchers.job import End, Ended, Job, Message
from searcher.launchers.local import LocalLauncher
from searcher.launchers.slots import THREADS, Slot, find_slots
from trainers.progress import Progress

TRAINER = """
import os
import torch
from trainers.progress import Progress

def train(settings):
    seen = {name: os.environ.get(name, "nothing") for name in ("CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")}
    yield Progress(1, 1, 1, {"val_loss": 1.0}, facts={**seen, "threads": torch.get_num_threads()})
"""


def devices_of(slots: list[Slot]) -> list[str | None]:
    return [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three GPUs, as far as counting goes: this machine may have none."""
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("gpus")
def test_gpus_are_given_out_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices_of(find_slots()) == ["0", "1", "2"]
    assert devices_of(find_slots(2)) == ["0", "1"]
    five = find_slots(5)
    assert devices_of(five) == ["0", "1", "2", "0", "1"]
    assert len({slot.name for slot in five}) == 5
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, 6,7")
    assert devices_of(find_slots()) == ["4", "6", "7"]


@pytest.mark.usefixtures("gpus")
def test_a_study_on_the_cpu_has_a_slot_for_every_core() -> None:
    slots = find_slots(device="cpu")
    assert devices_of(slots) == [None] * len(os.sched_getaffinity(0))
    assert all(slot.environment[name] == "1" for slot in slots for name in THREADS)


def test_a_worker_sees_what_its_slot_gives_it(workplace: Path) -> None:
    (workplace / "looks_around.py").write_text(TRAINER)
    slot = Slot("gpu:7/1", {**dict.fromkeys(THREADS, "1"), "CUDA_VISIBLE_DEVICES": "7"})
    launcher = LocalLauncher([slot], workplace)
    try:
        assert launcher.launch(Job(0, "looks_around:train", {})) == "gpu:7/1"
        messages: list[Message] = []
        end = time.monotonic() + 60
        while time.monotonic() < end and not any(isinstance(m.body, Ended) for m in messages):
            messages += launcher.poll(0.5)
    finally:
        launcher.close()
    said, last = (message.body for message in messages)
    assert isinstance(said, Progress)
    assert said.facts == {"CUDA_VISIBLE_DEVICES": "7", "OMP_NUM_THREADS": "1", "threads": 1}
    assert isinstance(last, Ended) and last.end is End.FINISHED
