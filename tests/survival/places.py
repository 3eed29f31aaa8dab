"""Every place of a study where a process may be killed: before and after each write, launch and message.

A point is a place with `before` or `after`, or what kind of message is heard; the n-th time that it is
passed, the process kills itself. Nothing in the product knows of this: its functions are wrapped here.
"""

from __future__ import annotations

import io
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from optuna.storages import RDBStorage
from sqlalchemy.exc import OperationalError

import searcher.books
import searcher.patience
from diagnostics import Signals
from searcher.books import Books
from searcher.coordinator import Coordinator
from searcher.launchers.inprocess import InProcessLauncher
from searcher.launchers.job import Ended, Message
from searcher.launchers.local import LocalLauncher
from searcher.ledger import Ledger
from searcher.store import StudyStore
from searcher.tracking import BackgroundTracker, MlflowTracker
from trainers.states import Keeper

STORE = ("ask", "requeue_orphans", "requeue", "note_attempt", "tell", "give_order", "news")

WRITES = (
    *("create_new_study", "set_study_user_attr", "_create_new_trial", "_set_trial_param"),
    *("set_trial_state_values", "set_trial_intermediate_value", "set_trial_user_attr"),
    *("set_trial_system_attr", "set_study_system_attr"),
)
"""Of Optuna's store: inside an ask or a tell there are several."""

PLACES: tuple[tuple[Any, str], ...] = (
    *((StudyStore, name) for name in STORE),
    *((RDBStorage, name) for name in WRITES),
    *((InProcessLauncher, name) for name in ("launch", "cancel", "close")),
    *((LocalLauncher, name) for name in ("launch", "cancel", "_bury", "close")),
    *((BackgroundTracker, name) for name in ("open", "start", "evaluate", "end", "forget", "close")),
    *((MlflowTracker, name) for name in ("open", "start", "evaluate", "end", "forget", "close")),
    *((searcher.books, name) for name in ("write_files", "forget_state")),
    *((Books, "close"), (Signals, "save"), (Ledger, "add"), (Keeper, "hear"), (Keeper, "_write")),
)

Kill = tuple[str, int]
"""A point, and the how-manieth time it is passed."""


class Passed:
    """Counts how often each point is passed; ends this process by SIGKILL at one of them, and says at another
    that the store is `away`, as a server does that is started again."""

    def __init__(self, kill: Kill | None, away: Kill | None = None) -> None:
        self.counts: Counter[str] = Counter()
        self._kill, self._away = kill, away
        searcher.patience.PAUSE_SECONDS = 0.05 if away else searcher.patience.PAUSE_SECONDS
        for owner, name in PLACES:
            self._watch(owner, name)
        _replace(Coordinator, "_take", self._watched_message)
        _replace(torch, "save", self._torn)

    def point(self, name: str) -> None:
        """This point is passed now."""
        if self._is_last(name):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._away == (name, self.counts[name]):
            raise OperationalError("a statement", {}, Exception("the connection was closed"))

    def _is_last(self, name: str) -> bool:
        self.counts[name] += 1
        return self._kill == (name, self.counts[name])

    def _watch(self, owner: Any, name: str) -> None:
        place = f"{owner.__name__.rpartition('.')[2]}.{name}"

        def watched(plain: Callable[..., Any]) -> Callable[..., Any]:
            def call(*args: Any, **options: Any) -> Any:
                self.point(f"before {place}")
                result = plain(*args, **options)
                self.point(f"after {place}")
                return result

            return call

        _replace(owner, name, watched)

    def _watched_message(self, plain: Callable[..., None]) -> Callable[..., None]:
        def take(coordinator: Coordinator, message: Message) -> None:
            body = message.body
            kind = "evaluation" if getattr(body, "metrics", None) else "word"
            kind = "end" if isinstance(body, Ended) else kind
            self.point(f"before {kind} is heard")
            plain(coordinator, message)
            self.point(f"after {kind} is heard")

        return take

    def _torn(self, plain: Callable[..., None]) -> Callable[..., None]:
        """Half of a file of tensors is on the disk when the process ends."""

        def save(content: Any, file: Any) -> None:
            if self._is_last("in torch.save"):
                whole = io.BytesIO()
                plain(content, whole)
                half = whole.getvalue()[: len(whole.getvalue()) // 2]
                if isinstance(file, Path):
                    file.write_bytes(half)
                else:
                    file.write(half)
                    file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            plain(content, file)

        return save


def _replace(owner: Any, name: str, wrap: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    setattr(owner, name, wrap(getattr(owner, name)))
