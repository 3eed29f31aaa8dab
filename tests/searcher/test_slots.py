"""Where trials train: which slots there are, and what a worker of a slot sees."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from launcher_promises import job, run, said_by

from searcher.errors import SearcherError
from searcher.launchers.local import LocalLauncher
from searcher.launchers.slots import MOST_PACKED, THREADS, Slot, cores, find_slots
from trainers.progress import Progress


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


@pytest.mark.usefixtures("gpus")
def test_gpus_are_named_and_shared() -> None:
    assert devices_of(find_slots(devices=["2", "0"])) == ["2", "0"]
    shared = find_slots(per_device=2)
    assert devices_of(shared) == ["0", "1", "2"] * 2
    assert [slot.device for slot in shared] == ["gpu:0", "gpu:1", "gpu:2"] * 2
    assert devices_of(find_slots(4, per_device=2)) == ["0", "1", "2", "0"]
    assert len(find_slots(100, per_device=2)) == 6
    packed = find_slots(devices=["1"], per_device="auto")
    assert 1 <= len(packed) <= MOST_PACKED and set(devices_of(packed)) == {"1"}
    with pytest.raises(SearcherError, match=r"names '3', .* there is: '0', '1', '2'"):
        find_slots(devices=["0", "3"])


@pytest.mark.usefixtures("gpus")
def test_devices_can_be_the_cpu_alone() -> None:
    slots = find_slots(devices=["cpu"])
    assert devices_of(slots) == [""] * cores(), "a trainer must not find the GPUs by itself"
    assert {slot.device for slot in slots} == {"cpu"}
    assert len(find_slots(devices=["cpu"], per_device="auto")) == cores()
    assert len(find_slots(devices=["cpu"], per_device=1)) == 1


@pytest.mark.usefixtures("gpus")
def test_each_worker_sees_its_device_alone(workplace: Path) -> None:
    slots = find_slots(devices=["2", "0"])
    launcher = LocalLauncher(slots, workplace)
    try:
        waiting = {launcher.launch(job(number, "looks_around")): number for number in range(len(slots))}
        messages = run(launcher)
        while len(messages) < 2 * len(slots):
            messages += launcher.poll(0.5)
    finally:
        launcher.close()
    for slot in slots:
        said = said_by(messages, waiting[slot.name])[0]
        assert isinstance(said, Progress)
        assert said.facts["CUDA_VISIBLE_DEVICES"] == slot.environment["CUDA_VISIBLE_DEVICES"]
        assert (said.facts["OMP_NUM_THREADS"], said.facts["threads"]) == ("1", 1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_torch_in_a_worker_finds_one_gpu(workplace: Path) -> None:
    launcher = LocalLauncher(find_slots(1), workplace)
    try:
        said = said_by(run(launcher, job(0, "looks_around")), 0)[0]
    finally:
        launcher.close()
    assert isinstance(said, Progress) and said.facts["gpus"] == 1
