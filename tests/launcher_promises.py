"""What every launcher promises, as tests: a launcher's own file of tests inherits them with one class.

A subclass says in `make` how its launcher with `SLOTS` slots comes to be, and with `HAS_WORKERS` whether
trials train in processes of their own. Tests of a class share a launcher: workers take seconds to start.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from searcher.launchers import Launcher
from searcher.launchers.job import End, Ended, Job, Message
from searcher.usage import Usage
from trainers.progress import Progress

PATIENCE = 120.0
"""Seconds after which a test gives up: slow machines start workers slowly."""


def job(number: int, trainer: str, **settings: Any) -> Job:
    """A job for one of the trainers of these tests."""
    return Job(number, f"launched_trainers:{trainer}", settings)


def poll_until(launcher: Launcher, enough: Callable[[list[Message]], bool]) -> list[Message]:
    """What is said until it is enough, usage left out."""
    messages: list[Message] = []
    end = time.monotonic() + PATIENCE
    while not enough(messages):
        assert time.monotonic() < end, f"waited too long; heard so far: {messages[-5:]}"
        messages += [m for m in launcher.poll(0.2) if not isinstance(m.body, Usage)]
    return messages


def ended(messages: Sequence[Message]) -> dict[int, Ended]:
    """How the trials ended that did."""
    return {m.number: m.body for m in messages if isinstance(m.body, Ended)}


def run(launcher: Launcher, *jobs: Job) -> list[Message]:
    """Train jobs, as many at once as may begin, and hear all they say."""
    waiting, messages = list(jobs), []
    end = time.monotonic() + PATIENCE
    while waiting or len(ended(messages)) < len(jobs):
        assert time.monotonic() < end, f"waited too long; heard so far: {messages[-5:]}"
        while waiting and launcher.free and launcher.fits(waiting[0]):
            launcher.launch(waiting.pop(0))
        messages += [m for m in launcher.poll(0.2) if not isinstance(m.body, Usage)]
    return messages


def said_by(messages: Sequence[Message], number: int) -> list[Progress | Ended | Usage]:
    return [message.body for message in messages if message.number == number]


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_in(launcher: Launcher, file: Path) -> int:
    """The process of a training that leaves its number in `file`."""
    poll_until(launcher, lambda _: file.exists() and bool(file.read_text()))
    return int(file.read_text())


class Promises:
    """What every launcher promises."""

    SLOTS = 2
    HAS_WORKERS = True

    @classmethod
    def make(cls, folder: Path) -> Launcher:
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def ground(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
        """A working folder from which the trainers of these tests can be imported."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
            patch.chdir(folder := tmp_path_factory.mktemp("ground"))
            yield folder

    @pytest.fixture(scope="class")
    @classmethod
    def shared(cls, ground: Path) -> Iterator[Launcher]:
        launcher = cls.make(ground)
        yield launcher
        launcher.close()

    @pytest.fixture
    def launcher(self, shared: Launcher) -> Iterator[Launcher]:
        """The launcher of these tests, with nothing running before and after."""
        poll_until(shared, lambda _: shared.free == self.SLOTS)
        yield shared
        for number in range(100):
            shared.cancel(number)

    def test_messages_come_in_order_and_the_end_is_the_last(
        self, launcher: Launcher, rng: np.random.Generator
    ) -> None:
        xs = {number: float(x) for number, x in enumerate(rng.normal(size=2 * self.SLOTS))}
        messages = run(launcher, *(job(number, "counts", x=x, n=50) for number, x in xs.items()))
        for number, x in xs.items():
            *progress, last = said_by(messages, number)
            assert last == Ended(End.FINISHED)
            assert [p.step for p in progress if isinstance(p, Progress)] == [*range(1, 51)]
            assert [p.metrics["val_loss"] for p in progress if isinstance(p, Progress)] == pytest.approx(
                [x + step for step in range(1, 51)]
            )
        assert launcher.free == self.SLOTS

    def test_a_place_is_taken_until_its_job_has_ended(self, launcher: Launcher) -> None:
        before = launcher.free
        assert before == self.SLOTS == len(launcher.slots)
        assert launcher.launch(job(0, "goes_on")) in launcher.slots
        assert launcher.free == before - 1
        for number in range(1, self.SLOTS):
            launcher.launch(job(number, "goes_on"))
        assert launcher.free == 0 and not launcher.fits(job(9, "counts"))
        with pytest.raises(RuntimeError, match="slots"):
            launcher.launch(job(9, "counts"))

    def test_a_cancelled_trial_is_not_heard_of_again_and_its_place_is_used_again(
        self, launcher: Launcher
    ) -> None:
        launcher.launch(job(0, "goes_on"))
        poll_until(launcher, lambda messages: len(messages) > 2)
        launcher.cancel(0)
        messages = run(launcher, *(job(number, "counts") for number in range(1, 2 + self.SLOTS)))
        assert {message.number for message in messages} == {*range(1, 2 + self.SLOTS)}

    def test_cancelling_what_has_ended_does_nothing(self, launcher: Launcher) -> None:
        run(launcher, job(0, "counts"))
        launcher.cancel(0)
        launcher.cancel(77)
        assert ended(run(launcher, job(1, "counts"))) == {1: Ended(End.FINISHED)}

    @pytest.mark.parametrize(
        ("how", "end", "cause"),
        [
            ("raises", End.ERROR, "RuntimeError: the glue came off"),
            ("device memory", End.OUT_OF_MEMORY, "tried to allocate 80 GiB"),
            ("memory", End.OUT_OF_MEMORY, "MemoryError"),
        ],
    )
    def test_an_exception_is_data(self, launcher: Launcher, how: str, end: End, cause: str) -> None:
        messages = run(launcher, job(0, "ends_badly", how=how), job(1, "counts"))
        last = ended(messages)[0]
        assert last.end is end and cause in last.cause and "ends_badly" in last.detail
        assert ended(messages)[1] == Ended(End.FINISHED)

    def test_own_code_that_is_not_there_is_a_mistake(self, launcher: Launcher) -> None:
        last = ended(run(launcher, Job(0, "launched_trainers:nobody", {})))[0]
        assert last.end is End.MISTAKE and "nobody" in last.cause

    def test_own_code_is_imported_and_stands_where_the_coordinator_does(
        self, launcher: Launcher, ground: Path
    ) -> None:
        said = said_by(run(launcher, job(0, "looks_around")), 0)[0]
        assert isinstance(said, Progress)
        assert said.facts["folder"] == str(ground)
        assert (said.facts["pid"] != os.getpid()) is self.HAS_WORKERS

    def test_many_jobs_one_after_the_other(self, launcher: Launcher) -> None:
        messages = run(launcher, *(job(number, "counts") for number in range(60)))
        assert ended(messages) == dict.fromkeys(range(60), Ended(End.FINISHED))
        assert len(messages) == 60 * 4


class WorkerPromises(Promises):
    """What launchers with processes promise beyond."""

    @pytest.mark.parametrize(
        ("how", "cause"), [("exits", "exit code 3"), ("SIGSEGV", "SIGSEGV"), ("SIGKILL", "SIGKILL")]
    )
    def test_a_worker_that_dies_takes_its_trial_along_and_no_other(
        self, launcher: Launcher, how: str, cause: str
    ) -> None:
        launcher.launch(job(1, "goes_on"))
        launcher.launch(job(0, "ends_badly", how=how))
        messages = poll_until(launcher, lambda messages: 0 in ended(messages))
        last = ended(messages)[0]
        assert last.end is End.DIED and cause in last.cause
        assert ("last words" in last.detail) is (how == "exits")
        assert [type(body) for body in said_by(messages, 0)] == [Progress, Ended]
        after = poll_until(launcher, lambda messages: len(messages) > 5)
        assert {message.number for message in after} == {1}
        launcher.launch(job(0, "counts"))  # the same trial begins anew
        assert ended(poll_until(launcher, lambda m: 0 in ended(m)))[0] == Ended(End.FINISHED)

    def test_a_training_that_hangs_can_be_cancelled(self, launcher: Launcher, tmp_path: Path) -> None:
        for number in range(self.SLOTS):
            launcher.launch(job(number, "hangs", pid=str(tmp_path / str(number))))
        pids = [pid_in(launcher, tmp_path / str(number)) for number in range(self.SLOTS)]
        began = time.monotonic()
        for number in range(self.SLOTS):
            launcher.cancel(number)
        launcher.launch(job(7, "counts"))
        assert time.monotonic() - began < 1.0, "nobody waits for what hangs"
        assert launcher.free == 0
        messages = poll_until(launcher, lambda messages: 7 in ended(messages))
        assert {message.number for message in messages} == {7}
        assert [pid for pid in pids if is_alive(pid)] == []
        poll_until(launcher, lambda _: launcher.free == self.SLOTS)

    def test_a_worker_killed_from_outside_is_replaced(self, launcher: Launcher, tmp_path: Path) -> None:
        launcher.launch(job(0, "hangs", pid=str(tmp_path / "pid")))
        os.kill(pid_in(launcher, tmp_path / "pid"), signal.SIGKILL)
        assert ended(poll_until(launcher, lambda m: 0 in ended(m)))[0].end is End.DIED
        assert ended(run(launcher, job(1, "counts")))[1] == Ended(End.FINISHED)

    def test_closing_leaves_no_process(self, ground: Path, tmp_path: Path) -> None:
        launcher = self.make(ground)
        for number, trainer in enumerate(("hangs", "goes_on")):
            launcher.launch(job(number, trainer, pid=str(tmp_path / trainer)))
        pids = [pid_in(launcher, tmp_path / trainer) for trainer in ("hangs", "goes_on")]
        launcher.close()
        end = time.monotonic() + 10
        while any(map(is_alive, pids)) and time.monotonic() < end:
            time.sleep(0.1)
        assert [pid for pid in pids if is_alive(pid)] == []

    def test_what_a_training_takes_is_told_while_it_runs(self, launcher: Launcher, tmp_path: Path) -> None:
        launcher.launch(job(0, "hangs", pid=str(tmp_path / "pid")))
        found: list[Usage] = []
        end = time.monotonic() + PATIENCE
        while len(found) < 3 and time.monotonic() < end:
            found += [m.body for m in launcher.poll(0.2) if isinstance(m.body, Usage) and m.number == 0]
        resident = psutil.Process(int((tmp_path / "pid").read_text())).memory_info().rss / 2**20
        launcher.cancel(0)
        assert [usage.seconds for usage in found] == sorted(usage.seconds for usage in found)
        assert found[-1].figures["host_memory_mb"] == pytest.approx(resident, rel=0.2)
        messages: list[Message] = []
        while launcher.free < self.SLOTS and time.monotonic() < end:
            messages += launcher.poll(0.2)
        assert messages == [], "nothing is measured without a job"
