"""The launchers of this machine keep what every launcher promises, and what each promises beyond."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from launcher_promises import Promises, WorkerPromises, ended, job, run

from searcher.launchers import LAUNCHERS, Launcher
from searcher.launchers.hostmemory import LIMITED
from searcher.launchers.job import End, Ended
from searcher.launchers.site import Site


class TestInProcess(Promises):
    """A hang or a death there is one of the whole process."""

    SLOTS = 1
    HAS_WORKERS = False

    @classmethod
    def make(cls, folder: Path) -> Launcher:
        return LAUNCHERS["inprocess"](Site(folder))


class TestLocal(WorkerPromises):
    @classmethod
    def make(cls, folder: Path) -> Launcher:
        return LAUNCHERS["local"](Site(folder, "cpu", cls.SLOTS, sample_seconds=0.2))


class TestLimitedMemory(Promises):
    """With a limit on memory all promises hold, and too much memory is typed as such."""

    GB = 3.0

    @classmethod
    def make(cls, folder: Path) -> Launcher:
        return LAUNCHERS["local"](Site(folder, "cpu", cls.SLOTS, memory_gb=cls.GB, sample_seconds=0.2))

    @pytest.mark.skipif(not LIMITED, reason="only Linux can limit the memory of a process")
    @pytest.mark.parametrize("by", ["numpy", "torch"])
    def test_a_training_that_takes_too_much_is_out_of_memory_and_its_worker_lives_on(
        self, launcher: Launcher, by: str, rng: np.random.Generator
    ) -> None:
        jobs = [job(0, "looks_around"), job(1, "allocates", by=by, gb=self.GB + rng.uniform(0.1, 50))]
        jobs += [job(2, "allocates", by=by, gb=0.1), job(3, "looks_around")]
        for one in jobs:
            last = ended(run(launcher, one))[one.number]
            if one.number == 1:
                assert last.end is End.OUT_OF_MEMORY, last
            else:
                assert last == Ended(End.FINISHED)

    @pytest.mark.skipif(not LIMITED, reason="only Linux can limit the memory of a process")
    def test_a_limit_below_what_a_worker_has_is_a_mistake_that_says_so(self, ground: Path) -> None:
        launcher = LAUNCHERS["local"](Site(ground, "cpu", 1, memory_gb=0.01))
        try:
            last = ended(run(launcher, job(0, "counts")))[0]
        finally:
            launcher.close()
        assert last.end is End.MISTAKE and "memory_gb = 0.01" in last.cause
