"""The coordinator: ask for a point, launch it, follow what it says, tell what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from diagnostics import Report
from searcher.asking import Asking
from searcher.attempt import Attempt, Running, first_attempt
from searcher.books import Books
from searcher.errors import SearcherError, StorageError
from searcher.events import Noted, StudyOpened, TrialProgressed, TrialStarted, View
from searcher.interrupts import Interrupts, parking
from searcher.launchers import Launcher
from searcher.launchers.job import End, Ended, Message
from searcher.orders import Order, Orders
from searcher.patience import Pace, patiently
from searcher.policy import MISTAKE, is_shown_first, may_retry
from searcher.spec import StudySpec
from searcher.store import StudyStore
from searcher.tracking import BackgroundTracker, Started
from searcher.trial import Outcome
from searcher.usage import Usage
from trainers.progress import Progress

POLL_SECONDS = 0.1

LOOK_SECONDS = 1.0
"""How often the store is asked what people want, and a shared one for what others have left to do."""

T = TypeVar("T")


class Coordinator:
    """One run of a study by one coordinator. It alone writes what it trains into both stores."""

    def __init__(
        self,
        spec: StudySpec,
        store: StudyStore,
        launcher: Launcher,
        tracker: BackgroundTracker,
        view: View,
        runs: Path,
    ) -> None:
        self.spec = spec
        self.view = view
        self.why = ""
        self._store = store
        self._launcher = launcher
        self._tracker = tracker
        self._runs = runs
        self._books = Books(spec, store, tracker, view, runs, self._patiently)
        self.ledger, self.hear_of_others = self._books.ledger, self._books.hear_of_others
        self._running = Running()
        self._interrupts = Interrupts()
        self._orders = Orders()
        self._asking = Asking()
        self._looks, self._questions = Pace(LOOK_SECONDS), Pace(LOOK_SECONDS)
        self._asks, self._beats = Pace(LOOK_SECONDS), Pace(store.claims.beat_seconds)
        self._in_doubt = False  # whether an ask has failed, which may have begun a trial
        self._parking = False

    def run(self, interrupts: Interrupts) -> None:
        """Train until the budget is used or somebody interrupts."""
        self._interrupts = interrupts
        requeued = self._patiently(self._join)
        self._patiently(self._books.open)
        self.view(StudyOpened(self.spec, self._launcher.slots, tuple(self.ledger.results), requeued))
        for note in (*self._store.notes, *self._launcher.notes):
            self.view(Noted(note))
        try:
            self._loop()
        except BaseException as error:
            self.why = f"it could not go on: {(str(error).splitlines() or [type(error).__name__])[0]}"
            self._abandon_running()
            raise

    def _join(self) -> int:
        """Begin where the study stands; how many trials were found without a coordinator."""
        with self._store.exclusive():
            requeued = self._store.requeue_orphans()
            if not (self._store.claims.shared and self._store.running()):
                self._store.give_order(Order.GO_ON)
            return requeued

    def _loop(self) -> None:
        while True:
            self._tracker.check()
            self._obey()
            self._stay_in_touch()
            self._fill()
            if self._is_over():
                return
            for message in self._launcher.poll(POLL_SECONDS):
                self._take(message)
            for attempt in self._running.launched:
                if (lost := attempt.patience.lost(time.time())) is not None:
                    self._launcher.cancel(attempt.number)
                    self._end(attempt, lost)
            if self._interrupts.parked and not self._parking:
                self._parking = True
                self.view(Noted(parking(len(self._running))))
            if self._interrupts.at_once:
                self.why = "it was stopped; the trials that were running are queued again"
                self._abandon_running()
                return

    def _is_over(self) -> bool:
        """Whether there is nothing left to do here; trials of other coordinators are waited for."""
        if self._running or not self.why:
            return False
        if self._leaves or not self._store.claims.shared:
            return True
        if not self._questions.is_due() or not self._patiently(self._is_used_up):
            return False
        self._books.hear_of_others()
        return True

    def _is_used_up(self) -> bool:
        """Whether no trial is running anywhere, or has to be begun."""
        with self._store.exclusive():
            self._store.requeue_orphans()
            if self._store.running() or not self._books.budget_reached(self._running):
                return False
            return self._books.repeating.is_done()

    @property
    def _leaves(self) -> str:
        """Why no trial is begun any more, whatever is left of the budget; empty when that is not so."""
        if self._interrupts.parked:
            return "it was parked"
        return "it was told to stop" if self._orders.order.stops else ""

    def _obey(self) -> None:
        """Do what people have told the study from elsewhere."""
        if not self._looks.is_due():
            return
        before, self._orders = self._orders.order, self._patiently(self._store.orders)
        if self._orders.order is not before:
            self.view(Noted(f"it was told to {self._orders.order}"))
        if self._orders.order.at_once and self._running:
            self._abandon_running()
        for number, attempt in list(self._running.items()):
            if who := self._orders.who_ended(number):
                self._launcher.cancel(number)
                self._finish(
                    attempt, Outcome.PRUNED, self._books.judged(attempt, "stopped"), f"ended by {who}"
                )

    def _stay_in_touch(self) -> None:
        """Show other coordinators that our trials are alive, and hear of theirs."""
        if self._store.claims.shared and self._beats.is_due():
            self._patiently(self._beat)
            self._books.hear_of_others()

    def _beat(self) -> None:
        """Show that our trials are alive, and let go of those that others have taken over."""
        for number in self._store.beat(self._running):
            self._launcher.cancel(number)
            del self._running[number]
            self._books.give_up(number)

    def _fill(self) -> None:
        """Begin trials while there is room for them; `why` says what keeps us from it."""
        if (held := self._running.held) is not None:
            self._begin_held(held)
        if self.why and self._store.claims.shared:
            if not self._asks.is_due():
                return  # the budget was used a moment ago
            self._books.hear_of_others()  # who leads hangs on all results
        ahead = self._asking.pays_ahead(len(self._launcher.slots), self.ledger.results)
        while self._running.held is None and (self._launcher.free > 0 or ahead):
            self.why = self._leaves
            if self.why or self._orders.order.at_once or self._orders.order is Order.PAUSE:
                return
            if not self._patiently(self._start_next):
                return

    def _begin_held(self, held: Attempt) -> None:
        """Begin the trial that waits, where there is room and nobody wants otherwise."""
        over = "" if held.repeat else self._books.time_is_up(self._running)
        if why := self._leaves or over:
            self.why = why
            self._put_back(held.number)
        elif self._orders.order is not Order.PAUSE and self._launcher.fits(held.job):
            self._launch(held)

    def _start_next(self) -> bool:
        """Ask for a trial and begin it; whether there was one."""
        with self._store.exclusive():
            if self._store.claims.shared and self._beats.is_due():
                self._beat()  # a trial that was taken from us is not asked for while we still train it
            if self._store.claims.shared or self._in_doubt:
                self._store.requeue_orphans(besides=self._running)
            self.why = self._books.budget_reached(self._running)
            repeat = self._books.repeating.next(len(self._running)) if self.why else None
            if self.why and repeat is None:
                return False
            self.why, self._in_doubt = "", True
            with self._asking.timed():
                trial, point = self._store.ask(repeat)
            self._in_doubt = False
        earlier, slots = self._store.attempts(trial), len(self._launcher.slots)
        attempt, refused = first_attempt(self.spec, trial, point, earlier, self.ledger, self._runs, slots)
        self._running[trial.number] = attempt
        self._tracker.start(Started(trial.number, attempt.settings, point.sampled))
        if refused:
            self._end(attempt, Ended(End.MISTAKE, refused))
        elif broken := self._books.broken(attempt):
            self._finish(attempt, Outcome.INFEASIBLE, self._books.judged(attempt, "stopped"), broken)
        elif self._launcher.fits(attempt.job):
            self._launch(attempt)
        return True

    def _launch(self, attempt: Attempt) -> None:
        attempt.begin()
        attempt.slot = self._launcher.launch(attempt.job)
        sampled, repeat = attempt.point.sampled, attempt.repeat
        self.view(TrialStarted(attempt.number, attempt.slot, sampled, attempt.earlier, repeat))

    def _take(self, message: Message) -> None:
        attempt = self._running.get(message.number)
        if attempt is None:
            return
        if isinstance(message.body, Ended):
            self._end(attempt, message.body)
        elif isinstance(message.body, Usage):
            attempt.course.usage.add(message.body)
        else:
            self._follow(attempt, message.body)

    def _follow(self, attempt: Attempt, progress: Progress) -> None:
        number, course = attempt.number, attempt.course
        attempt.patience.heard(time.time())
        course.add(progress)
        reason = self._books.reason_to_stop(attempt)
        if progress.metrics:
            self._tracker.evaluate(number, progress.step, progress.metrics)
        self.view(TrialProgressed(number, course, bool(progress.metrics)))
        if reason or (broken := self._books.broken(attempt)):
            self._launcher.cancel(number)
            outcome = Outcome.DOOMED if reason else Outcome.INFEASIBLE
            self._finish(attempt, outcome, self._books.judged(attempt, "stopped"), reason or broken)
        elif behind := self._books.behind(attempt, evaluated=bool(progress.metrics)):
            self._launcher.cancel(number)
            self._finish(attempt, Outcome.PRUNED, self._books.judged(attempt, "stopped"), behind)

    def _end(self, attempt: Attempt, ended: Ended) -> None:
        trainable = self._books.is_trainable(self._running)
        if is_shown_first(ended, attempt.earlier) and not trainable:
            # Most likely it is not this trial's alone. When it is met again, the study goes on without it.
            self._patiently(lambda: self._store.note_attempt(attempt.trial, MISTAKE + ended.cause))
            raise SearcherError(ended.cause)
        if may_retry(ended, attempt.earlier, self.spec.search.retries):
            self._retry(attempt, ended)
            return
        if self._books.extended(attempt, ended):
            self._go_on(attempt)
            return
        outcome, report, reason = self._books.judged_end(attempt, ended, trainable=trainable)
        self._finish(attempt, outcome, report, reason, ended.detail)

    def _retry(self, attempt: Attempt, ended: Ended) -> None:
        number = attempt.number
        attempt.earlier = self._patiently(lambda: self._store.note_attempt(attempt.trial, ended.cause))
        self.view(Noted(f"trial {number}: {ended.cause}; it goes on from its last state, or begins anew"))
        self._go_on(attempt)

    def _go_on(self, attempt: Attempt) -> None:
        """Launch a trial again: it says once more all that it has said."""
        self._tracker.forget(attempt.number)
        self._launch(attempt)
        self._tracker.start(Started(attempt.number, attempt.settings, attempt.point.sampled))

    def _finish(
        self, attempt: Attempt, outcome: Outcome, report: Report, reason: str, detail: str = ""
    ) -> None:
        self._books.close(attempt, outcome, report, reason, detail)
        del self._running[attempt.number]
        self._books.check()

    def _abandon_running(self) -> None:
        """Put every running trial back into the queue."""
        for number in list(self._running):
            self._launcher.cancel(number)
            self._put_back(number)

    def _put_back(self, number: int) -> None:
        with contextlib.suppress(StorageError):  # the next run finds it running, and queues it then
            self._store.requeue(number)
        self._tracker.forget(number)
        del self._running[number]

    def _patiently(self, call: Callable[[], T]) -> T:
        return patiently(call, lambda text: self.view(Noted(text)), lambda: self._interrupts.at_once)
