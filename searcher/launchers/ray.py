"""Trials on a Ray cluster, or on a Ray that is started on this machine: one actor per slot, on any node.

An actor keeps a worker process just as the launcher `local` does, and hands on what it says when it is asked.
Ray itself is loaded here alone, when a study asks for it.
"""

from __future__ import annotations

import math
import os
import socket
import sys
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from searcher.errors import SearcherError
from searcher.launchers.actor import Heard, Place
from searcher.launchers.job import End, Ended, Job, Message
from searcher.launchers.local import GRACE, STILLBIRTHS, WAITING
from searcher.launchers.site import Site
from searcher.launchers.slots import cores

TURN_SECONDS = 0.5
"""How long an actor waits for a word before it answers: a cancel comes through as late as that."""

SILENCE_SECONDS = 10.0
"""How long an actor may be silent after the grace of a job that was stopped, before it is killed."""

START_SECONDS = 120.0
"""How long the first actor may take to come up."""

KNOCK_SECONDS = 5.0
"""How long a cluster may take to be reached."""

INSTALL = "the launcher 'ray' needs Ray, which is not installed; pip install 'searcher[ray]'"


@dataclass
class _Seat:
    """One slot: its actor, the job it is busy with, until when that may take to stop, and what it was asked.

    It is `up` once it has answered.
    """

    name: str
    actor: Any
    asked: Any
    up: bool = False
    job: Job | None = None
    stop_by: float | None = None

    @property
    def rests(self) -> bool:
        return self.up and self.job is None

    def ask(self, job: Job | None = None) -> None:
        self.asked = self.actor.turn.remote(job, TURN_SECONDS)


class RayLauncher:
    """A launcher with one Ray actor per slot. When an actor or its node dies, another one takes its place
    where there is room; until then the slot is not free."""

    def __init__(self, site: Site) -> None:
        self._ray, self._is_own = _connect(site)
        try:
            count, self._share = _slots(site, self._ray.cluster_resources())
            self.slots = tuple(f"ray/{i}" for i in range(count))
            self._site = site
            self._stillbirths = 0
            self._waiting: deque[Job] = deque()
            self._seats = [self._seat(name) for name in self.slots]
            self._await_first()
        except BaseException:
            self._disconnect()
            raise
        room = _room(self._ray.cluster_resources(), self._share)
        lacking = f"the Ray cluster has room for {room} of {count} slots; the others wait for a node"
        self.notes: tuple[str, ...] = (lacking,) if room < count else ()

    @property
    def free(self) -> int:
        """Actors that are up and have no job."""
        return max(0, sum(seat.rests for seat in self._seats) - len(self._waiting))

    def fits(self, job: Job) -> bool:
        """Whether an actor is free."""
        return self.free > 0

    def launch(self, job: Job) -> str:
        """Send the job to a free actor; the slot's name. Without one it waits for the next."""
        busy = sum(seat.job is not None and seat.stop_by is None for seat in self._seats)
        if len(self._waiting) + busy >= len(self._seats):
            raise RuntimeError("as many jobs run as there are slots")
        seat = None if self._waiting else next((seat for seat in self._seats if seat.rests), None)
        if seat is None:
            self._waiting.append(job)
            return WAITING
        self._begin(seat, job)
        return seat.name

    def poll(self, timeout: float) -> list[Message]:
        """What was said since the last poll; waits up to `timeout` seconds for the first word."""
        asked = [seat.asked for seat in self._seats if seat.asked is not None]
        messages: list[Message] = []
        if not asked:
            time.sleep(timeout)
        else:
            self._ray.wait(asked, num_returns=1, timeout=timeout)
            answered, _ = self._ray.wait(asked, num_returns=len(asked), timeout=0)
            for seat in self._seats:
                if seat.asked in answered:
                    messages += self._answer(seat)
        for seat in self._seats:
            if seat.stop_by is not None and time.monotonic() > seat.stop_by:
                self._ray.kill(seat.actor)
                self._renew(seat)
            if self._waiting and seat.rests:
                self._begin(seat, self._waiting.popleft())
        return messages

    def cancel(self, number: int) -> None:
        """Stop a trial; nothing more is heard of it. One that hangs costs its worker."""
        self._waiting = deque(job for job in self._waiting if job.number != number)
        for seat in self._seats:
            if seat.job is not None and seat.job.number == number and seat.stop_by is None:
                seat.stop_by = time.monotonic() + TURN_SECONDS + GRACE + SILENCE_SECONDS
                seat.actor.cancel.remote(number)

    def close(self) -> None:
        """End every actor and its worker, and Ray if it was started here."""
        leaving = [seat.actor.close.remote() for seat in self._seats if seat.up]
        if leaving:
            self._ray.wait(leaving, num_returns=len(leaving), timeout=GRACE + SILENCE_SECONDS)
        for seat in self._seats:
            self._ray.kill(seat.actor)
        self._seats = []
        self._waiting.clear()
        self._disconnect()

    def _begin(self, seat: _Seat, job: Job) -> None:
        seat.job = job
        seat.ask(job)

    def _answer(self, seat: _Seat) -> list[Message]:
        """What an actor has to say, and the next question to it."""
        try:
            heard: Heard = self._ray.get(seat.asked)
        except self._ray.exceptions.RayActorError as error:
            return self._bury(seat, str(error))
        except self._ray.exceptions.RayTaskError as error:
            raise error.cause if isinstance(error.cause, SearcherError) else error from None
        seat.asked, seat.up, self._stillbirths = None, True, 0
        messages = [] if seat.stop_by is not None else list(heard.messages)
        has_ended = any(isinstance(message.body, Ended) for message in messages)
        if has_ended or (seat.stop_by is not None and heard.rests):
            seat.job, seat.stop_by = None, None
        if seat.job is not None:
            seat.ask()
        return messages

    def _bury(self, seat: _Seat, detail: str) -> list[Message]:
        """Put another actor in the place of a dead one and say what became of its trial."""
        self._stillbirths = 0 if seat.up else self._stillbirths + 1
        if self._stillbirths >= STILLBIRTHS:
            raise SearcherError(
                f"the actors of slot {seat.name} die before their first trial; are the same packages on all "
                f"nodes of the cluster, and the working folder?\n{detail}"
            )
        job, was_stopped = seat.job, seat.stop_by is not None
        self._renew(seat)
        if job is None or was_stopped:
            return []
        return [Message(job.number, Ended(End.DIED, "its worker is gone with its Ray actor or node", detail))]

    def _renew(self, seat: _Seat) -> None:
        fresh = self._seat(seat.name)
        seat.actor, seat.asked, seat.up = fresh.actor, fresh.asked, False
        seat.job, seat.stop_by = None, None

    def _seat(self, name: str) -> _Seat:
        """A new actor; the first answer says that it is up."""
        actor_class = self._ray.remote(Place)
        actor = actor_class.options(
            num_cpus=1,
            num_gpus=self._share,
            max_restarts=0,
            scheduling_strategy="SPREAD",
            runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(_own_path())}},
        ).remote(self._site, name, str(Path.cwd()))
        return _Seat(name, actor, actor.turn.remote(None, 0.0))

    def _await_first(self) -> None:
        end = time.monotonic() + START_SECONDS
        while not any(seat.up for seat in self._seats):
            self.poll(1.0)
            if time.monotonic() > end:
                there = self._ray.cluster_resources()
                raise SearcherError(
                    f"the Ray cluster had no room for a slot in {START_SECONDS:.0f} seconds: each takes "
                    f"1 CPU and {self._share:g} GPUs, and the cluster has {there.get('CPU', 0):g} CPUs and "
                    f"{there.get('GPU', 0):g} GPUs, of which others may use some; wait, or add a node"
                )

    def _disconnect(self) -> None:
        if self._is_own:
            self._ray.shutdown()


def _connect(site: Site) -> tuple[Any, bool]:
    """Ray, connected, and whether that connection is ours to end. Raises: SearcherError."""
    try:
        import ray
    except ImportError:
        raise SearcherError(INSTALL) from None
    if ray.is_initialized():
        return ray, False
    address = site.address or os.environ.get("RAY_ADDRESS")
    try:
        if address:
            _knock(address)
            ray.init(address=address, log_to_driver=False)
        else:
            number = max(site.slots or 0, cores())
            ray.init(num_cpus=number, include_dashboard=False, log_to_driver=False)
    except Exception as error:  # Ray has one of its own for each way to fail
        where = (
            f"the Ray cluster at {address!r} cannot be reached" if address else "Ray cannot be started here"
        )
        what = (str(error).splitlines() or [type(error).__name__])[0]
        advice = "; see 'ray status' there, and name another one with dispatch.address" if address else ""
        raise SearcherError(f"{where}: {what}{advice}") from error
    return ray, True


def _knock(address: str) -> None:
    """Raises: OSError when nobody listens at `HOST:PORT`; Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal() and "//" not in host:
        socket.create_connection((host, int(port)), KNOCK_SECONDS).close()


def _slots(site: Site, there: dict[str, float]) -> tuple[int, float]:
    """How many slots, and the share of a GPU that each takes; by default one per GPU, or per CPU without."""
    gpus = 0 if site.device == "cpu" else int(there.get("GPU", 0))
    if not gpus:
        return site.slots or max(1, int(there.get("CPU", 1))), 0.0
    given = site.slots_per_device if isinstance(site.slots_per_device, int) else None
    per_gpu = given or max(1, math.ceil((site.slots or gpus) / gpus))
    return site.slots or gpus * per_gpu, math.floor(10_000 / per_gpu) / 10_000


def _room(there: dict[str, float], share: float) -> int:
    """How many slots all nodes together could hold."""
    cpus = int(there.get("CPU", 0))
    return min(cpus, int(there.get("GPU", 0) / share)) if share else cpus


def _own_path() -> list[str]:
    """Where this process imports own code from: the nodes have their own Python and packages."""
    python = tuple(os.path.realpath(place) for place in {sys.prefix, sys.base_prefix, sys.exec_prefix})
    places = [os.path.realpath(place or Path.cwd()) for place in sys.path]
    return list(dict.fromkeys(place for place in places if not place.startswith(python)))
