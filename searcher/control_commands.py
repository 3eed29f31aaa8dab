"""Commands that reach a running study from another terminal or machine, through its store."""

from __future__ import annotations

import argparse
import getpass
import socket
from typing import TYPE_CHECKING

from searcher.errors import SearcherError
from searcher.orders import Order
from searcher.pairs import pairs_of

if TYPE_CHECKING:
    from searcher.store import StudyStore


def pause_command(arguments: argparse.Namespace) -> int:
    """Begin no more trials for a while."""
    store = _running_study(arguments)
    store.give_order(Order.PAUSE_NOW if arguments.now else Order.PAUSE)
    told = _of_running(store, arguments.now)
    print(f"{store.spec.name}: {told}; go on with: searcher resume {arguments.study}")
    return 0


def resume_command(arguments: argparse.Namespace) -> int:
    """Go on after a pause."""
    store = _running_study(arguments)
    store.give_order(Order.GO_ON)
    print(f"{store.spec.name}: it goes on")
    return 0


def stop_command(arguments: argparse.Namespace) -> int:
    """End a running study, or one of its trials."""
    store = _running_study(arguments)
    if arguments.trial is not None:
        running = store.running()
        if arguments.trial not in running:
            there = f"running: {', '.join(map(str, running))}" if running else "no trial is running"
            raise SearcherError(f"trial {arguments.trial} of {store.spec.name!r} is not running; {there}")
        store.end_trial(arguments.trial, f"{getpass.getuser()}@{socket.gethostname()}")
        print(f"{store.spec.name}: trial {arguments.trial} is ended; what it reached so far counts")
        return 0
    store.give_order(Order.STOP_NOW if arguments.now else Order.STOP)
    print(
        f"{store.spec.name}: {_of_running(store, arguments.now)}; then it is left, and 'searcher run' goes on"
    )
    return 0


def enqueue_command(arguments: argparse.Namespace) -> int:
    """Queue a point that is tried next, by the run that goes on or the next one."""
    from searcher.opening import load_study, recorded_name

    store = load_study(recorded_name(arguments.study), arguments.storage)
    queued = store.enqueue(pairs_of(arguments.values, "enqueue"))
    print(f"{store.spec.name}: queued, {queued} in all; queued points are tried before any other")
    return 0


def _running_study(arguments: argparse.Namespace) -> StudyStore:
    """The study. Raises: SearcherError when nobody runs it."""
    from searcher.opening import is_run, load_study, recorded_name

    store = load_study(recorded_name(arguments.study), arguments.storage)
    if not is_run(store, arguments.storage):
        raise SearcherError(
            f"nobody runs study {store.spec.name!r} now; 'searcher run' goes on with it, 'searcher status' "
            "shows what it has come to"
        )
    return store


def _of_running(store: StudyStore, now: bool) -> str:
    running = len(store.running())
    if now:
        return f"no trial begins any more, and what runs ({running}) is put back into the queue"
    return f"no trial begins any more, and what runs ({running}) is finished"
