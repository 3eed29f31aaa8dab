"""When the leaders of a study are trained again, and which of them is next."""

from __future__ import annotations

from searcher.confirming import leaders_of, next_repeat
from searcher.events import Noted, View
from searcher.ledger import Ledger
from searcher.repeats import Repeat
from searcher.spec import StudySpec
from searcher.store import StudyStore


class Repeating:
    """The repeats of one study, as one of its coordinators begins them."""

    def __init__(self, spec: StudySpec, store: StudyStore, ledger: Ledger, view: View) -> None:
        self._spec = spec
        self._store = store
        self._ledger = ledger
        self._view = view
        self._is_asked, self._is_over = False, False
        self._is_said = False
        self._waits: tuple[int, int] | None = None  # results and running trials when no repeat was due

    def is_search_over(self) -> bool:
        """Whether its budget was found used before, here or elsewhere: clocks differ, and a study that was
        interrupted while its leaders are confirmed goes on with that."""
        is_shared = self._store.claims.shared
        if self._spec.search.confirm and not self._is_over and (is_shared or not self._is_asked):
            self._is_over, self._is_asked = self._store.is_search_over(), True
        return self._is_over

    def is_done(self) -> bool:
        """Whether nothing is left to repeat when no trial runs anywhere. To be called inside `exclusive`."""
        if self._spec.search.confirm and self._store.repeats() is None:
            return False  # who leads is not known before all results were heard
        return self.next(0) is None

    def next(self, running: int) -> Repeat | None:
        """The repeat to begin, the budget being used; None when there is none, or none yet, since trials have
        to end first. Of ours so many are `running`. To be called inside `exclusive` of the store."""
        state = (len(self._ledger.results), running)
        if not self._spec.search.confirm or (state == self._waits and not self._store.claims.shared):
            return None
        known, repeat = self._store.repeats(), None
        if known is not None and not known.is_searching:
            repeat = known.waiting or next_repeat(self._spec, self._ledger.results, known.begun)
        self._waits = state if repeat is None else None
        if repeat is not None:
            self._is_over = True
            self._say()
        return repeat

    def _say(self) -> None:
        """Once, what happens from now on."""
        if self._is_said:
            return
        self._is_said = True
        leaders = [str(leader.number) for leader in leaders_of(self._spec.metric, self._ledger.results)]
        seeds = self._spec.search.confirm
        which = f"trials {', '.join(leaders)} are" if len(leaders) > 1 else f"trial {leaders[0]} is"
        others = f"up to {seeds} other seeds" if seeds > 1 else "another seed"
        self._view(Noted(f"the search is over: {which} trained again with {others} before one is named"))
