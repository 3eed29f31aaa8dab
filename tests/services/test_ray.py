"""Ray: its launcher keeps what every launcher promises, and survives the loss of a node."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from launcher_promises import WorkerPromises, ended, job, pid_in, poll_until, run

from searcher.errors import SearcherError
from searcher.launchers import LAUNCHERS, Launcher
from searcher.launchers.job import End, Ended
from searcher.launchers.site import Site

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")


CPUS = 4
"""Those of the first node: for the launcher that tests share, and for another one."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A cluster of one node that the tests of this file share; one of them adds another node and kills it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [str(Path(__file__).parents[1]), *sys.path])
        made = cluster_utils.Cluster(initialize_head=True, head_node_args={"num_cpus": CPUS})
        ray.init(address=made.address, log_to_driver=False)
        yield made
        ray.shutdown()
        made.shutdown()


@pytest.mark.usefixtures("cluster")
class TestRay(WorkerPromises):
    @classmethod
    def make(cls, folder: Path) -> Launcher:
        return LAUNCHERS["ray"](Site(folder, "cpu", cls.SLOTS, sample_seconds=0.2))

    @pytest.fixture(scope="class", autouse=True)
    @classmethod
    def ray_is_there(cls, cluster: Any) -> None:
        """Before any launcher is made: it joins the cluster that is there."""

    def test_by_default_there_is_a_slot_for_every_cpu(self, ground: Path) -> None:
        launcher = LAUNCHERS["ray"](Site(ground, "cpu"))
        try:
            assert len(launcher.slots) == CPUS
        finally:
            launcher.close()


def test_what_has_no_room_is_said_and_the_rest_trains(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    launcher = LAUNCHERS["ray"](Site(tmp_path, "cpu", CPUS + 1))
    try:
        assert launcher.notes == ("the Ray cluster has room for 4 of 5 slots; the others wait for a node",)
        messages = run(launcher, *(job(number, "counts") for number in range(9)))
        assert ended(messages) == dict.fromkeys(range(9), Ended(End.FINISHED))
        assert launcher.free <= CPUS
    finally:
        launcher.close()


def test_a_lost_node_costs_its_trials_and_others_take_its_place(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    doomed = cluster.add_node(num_cpus=CPUS)
    cluster.wait_for_nodes()
    launcher = LAUNCHERS["ray"](Site(tmp_path, "cpu", 4))
    try:
        poll_until(launcher, lambda _: launcher.free == 4)
        for number in range(4):
            launcher.launch(job(number, "goes_on", pid=str(tmp_path / str(number))))
        pids = {number: pid_in(launcher, tmp_path / str(number)) for number in range(4)}
        on_doomed = trials_on(doomed, pids)
        assert on_doomed and on_doomed < {0, 1, 2, 3}
        cluster.remove_node(doomed, allow_graceful=False)
        messages = poll_until(launcher, lambda messages: ended(messages).keys() == on_doomed)
        for number in on_doomed:
            assert ended(messages)[number].end is End.DIED
            assert "Ray actor or node" in ended(messages)[number].cause
        after = poll_until(launcher, lambda m: {one.number for one in m} == {0, 1, 2, 3} - on_doomed)
        assert not ended(after)
        poll_until(launcher, lambda _: launcher.free == len(on_doomed))
        launcher.launch(job(7, "counts"))
        assert ended(poll_until(launcher, lambda m: 7 in ended(m)))[7] == Ended(End.FINISHED)
    finally:
        launcher.close()


def trials_on(node: Any, pids: dict[int, int]) -> set[int]:
    """The trials that train on a node: its raylet has begun their actors, and these their workers."""
    raylet = node.all_processes["raylet"][0].process.pid
    return {
        number for number, pid in pids.items() if raylet in [p.pid for p in psutil.Process(pid).parents()]
    }


def test_a_cluster_that_is_not_there_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(SearcherError, match=rf"'{address}' cannot be reached: .*refused"):
            LAUNCHERS["ray"](Site(tmp_path, address=address))


def test_without_ray_the_way_to_install_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SearcherError, match=r"pip install 'searcher\[ray\]'"):
        LAUNCHERS["ray"](Site(tmp_path))
