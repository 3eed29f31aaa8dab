"""How many trainings share a device: the arithmetic, and a launcher that keeps to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from launcher_promises import job, poll_until

from searcher.launchers.job import Job
from searcher.launchers.local import LocalLauncher
from searcher.launchers.packing import CONTEXT_MB, OWN, SHARE, Load, fits, is_probed
from searcher.launchers.slots import Slot
from searcher.usage import Usage
from trainers.progress import Progress


def measured(load: Load, *mbs: float) -> Load:
    for i, mb in enumerate(mbs):
        load = load.after(Usage(float(i), {OWN: mb}))
    return load


def test_an_empty_device_takes_any_training() -> None:
    assert fits(None, [], None)
    assert fits(1000.0, [], 99_999.0)


@pytest.mark.parametrize(
    ("total", "running", "wanted"),
    [(None, Load(100.0), 100.0), (80_000.0, Load(), 100.0), (80_000.0, Load(100.0), None)],
    ids=["size of the device", "neighbour", "own size"],
)
def test_what_is_not_known_keeps_others_away(
    total: float | None, running: Load, wanted: float | None
) -> None:
    assert not fits(total, [running], wanted)


def test_trainings_fit_up_to_a_share_of_the_device(rng: np.random.Generator) -> None:
    total = float(rng.uniform(8_000, 140_000))
    peaks = rng.uniform(100, total / 8, size=int(rng.integers(1, 4)))
    loads = [Load(float(peak)) for peak in peaks]
    resting = int(rng.integers(0, 3))
    left = SHARE * total - peaks.sum() - CONTEXT_MB * (len(loads) + 1 + resting)
    assert left > 10
    assert fits(total, loads, left - 1, resting)
    assert not fits(total, loads, left + 1, resting)


def test_a_probe_is_alone_until_its_first_steps_were_measured() -> None:
    probe = Load()
    assert is_probed([Load(100.0), probe])
    probe = measured(probe, 900.0)
    assert probe.takes_mb is None, "before its first step a training does not take what it will"
    probe = probe.after(Progress(0, 0, 1))
    assert measured(probe, 900.0).takes_mb is None
    probe = measured(probe.after(Progress(1, 1, 9)), 5000.0, 4000.0)
    assert probe.takes_mb == 5000.0 + CONTEXT_MB and not is_probed([probe])


def test_more_than_was_predicted_counts_as_it_was_measured() -> None:
    load = measured(Load(1000.0).after(Progress(1, 1, 9)), 700.0)
    assert load.takes_mb == 1000.0 + CONTEXT_MB
    assert measured(load, 3000.0).takes_mb == 3000.0 + CONTEXT_MB


def test_a_launcher_gives_a_gpu_out_as_its_memory_allows(workplace: Path) -> None:
    slots = [Slot(f"gpu:7/{i}", {"CUDA_VISIBLE_DEVICES": ""}, "gpu:7") for i in range(3)]
    launcher = LocalLauncher(slots, workplace, packed=True, sample_seconds=0.1)

    def sized(number: int, mb: float | None) -> Job:
        return replace(job(number, "pretends", takes=4000.0, of=10_000.0), memory_mb=mb)

    try:
        assert launcher.free == 3
        launcher.launch(sized(0, None))
        assert launcher.free == 0 and not launcher.fits(sized(1, 10.0)), "a probe is alone"
        poll_until(launcher, lambda _: launcher.free > 0)
        assert launcher.free == 2
        assert launcher.fits(sized(1, 3000.0)) and not launcher.fits(sized(1, 4500.0))
        assert not launcher.fits(sized(1, None))
        launcher.launch(sized(1, 3000.0))
        assert launcher.free == 1 and not launcher.fits(sized(2, 1000.0))
        launcher.cancel(0)
        launcher.cancel(1)
        poll_until(launcher, lambda _: launcher.free == 3)
        assert launcher.fits(sized(2, 99_999.0)), "an empty GPU takes any"
    finally:
        launcher.close()
