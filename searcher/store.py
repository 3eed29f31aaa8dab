"""Optuna's store, the truth about every trial: opened, checked for fit, written and read back."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, replace
from functools import cached_property
from typing import Any

import optuna
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from diagnostics.findings import Facts
from searcher.beginnings import RESULT
from searcher.claims import OWNER, claims_for
from searcher.contest import Values
from searcher.extending import Extension
from searcher.frozen import ATTEMPTS, STATE, reached, result_of
from searcher.orders import ENDED, ORDER, Order, Orders, orders_of
from searcher.policy import constraints_of, stand_in
from searcher.pruning import PruningBoard, judge_of
from searcher.records import to_record
from searcher.repeats import EXTENDED, Recorded, Repeat, begin_repeat, is_after, recorded_repeats, repeat_of
from searcher.space import Point, check_values, point_of, suggest
from searcher.spec import StudySpec
from searcher.storage import translated
from searcher.trial import Outcome, TrialResult
from searcher.vectors import OBJECTIVES, to_rows

SPEC = "searcher:spec"
"""The attribute of a study that holds its study file."""

TICK = 1e-3
"""Seconds between the ends of two trials that were told one after the other, at least."""


class StudyStore:
    """One study in Optuna's store.

    Every method raises StorageError when the store cannot be reached, read or written.
    """

    def __init__(self, study: optuna.Study, storage: RDBStorage, spec: StudySpec) -> None:
        self.spec = spec
        self.notes: tuple[str, ...] = ()  # what a person should know of how it was opened
        self.claims = claims_for(storage, study.study_name, spec.dispatch.grace_seconds)
        self._study = study
        self._storage = storage
        self._id = storage.get_study_id_from_name(study.study_name)
        self._trial_ids: dict[int, int] = {}
        self._told: set[int] = set()  # numbers of the trials whose results are known here
        self._unheard: list[TrialResult] = []  # of others, seen and not asked for yet
        self._newest = 0.0  # when the last trial ended that is known here
        self._begun_to_tell: set[int] = set()  # ids of those whose results may be half written

    @cached_property
    def _board(self) -> PruningBoard:
        judge = judge_of(self.spec, self.spec.search.pruner)
        return PruningBoard(judge, self._study.get_trials(deepcopy=False))

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """No other coordinator of the study counts, asks, tells or takes over trials meanwhile."""
        with translated(self._storage.url), self.claims.exclusive():
            yield

    def requeue_orphans(self, besides: Container[int] = ()) -> int:
        """Put trials that a dead coordinator left running back into the queue; how many there were.

        Those `besides` are ours. To be called inside `exclusive`.
        """
        with translated(self._storage.url):
            running = self._trials(TrialState.RUNNING)
            left = self.claims.orphans([trial for trial in running if trial.number not in besides])
            for trial in left:
                self._requeue(trial.number)
            return len(left)

    def requeue(self, number: int) -> None:
        """Put a running trial of ours back into the queue: the next `ask` gives it again, as it was."""
        with self.exclusive():
            if self.is_ours(number):
                self._requeue(number)

    def ask(self, repeat: Repeat | None = None) -> tuple[Trial, Point]:
        """The next trial, ours from now on: a queued one first, else a new point from the sampler; or this
        `repeat` of one.

        To be called inside `exclusive`.
        """
        with translated(self._storage.url):
            study, budget = self._study, self.spec.search.budget
            trial = study.ask() if repeat is None else begin_repeat(study, repeat, budget)
            self._trial_ids[trial.number] = trial._trial_id
            if self.claims.shared:
                trial.set_user_attr(OWNER, self.claims.me)
                self.claims.beat([trial._trial_id])
            self._judged(trial)
            return trial, suggest(trial, self.spec)

    def beat(self, numbers: Iterable[int]) -> list[int]:
        """We are alive, and so are these trials; those among them that are ours no longer."""
        with translated(self._storage.url):
            ours = {number: self.is_ours(number) for number in numbers}
            self.claims.beat([self._trial_id(number) for number, is_ours in ours.items() if is_ours])
            return [number for number, is_ours in ours.items() if not is_ours]

    def is_ours(self, number: int) -> bool:
        """Whether nobody has taken the running trial over, believing that we are gone."""
        return not self.claims.shared or self._is_owned(number, finished=False)

    def begun(self) -> int:
        """How many trials of the search were ever begun and not put back, here and elsewhere."""
        ever = (trial for trial in self._trials() if trial.state is not TrialState.WAITING)
        return sum(repeat_of(trial.user_attrs) is None for trial in ever)

    def is_search_over(self) -> bool:
        """Whether its leaders are being repeated, since the budget that it has now was used."""
        return is_after(self._trials(), self.spec.search.budget)

    def repeats(self) -> Recorded | None:
        """The repeats on record; None while there are results that were not asked for yet (see `news`)."""
        self._look()
        return None if self._unheard else recorded_repeats(self._trials())

    def running(self) -> list[int]:
        """The numbers of the trials that are running, here and elsewhere."""
        return [trial.number for trial in self._trials(TrialState.RUNNING)]

    def news(self) -> list[TrialResult]:
        """The results of trials that were finished since the last call, ours left out, as they ended."""
        self._look()
        results, self._unheard = self._unheard, []
        return sorted(results, key=lambda result: result.ended_at)

    def _look(self) -> None:
        fresh = [t for t in self._trials() if t.number not in self._told and t.state.is_finished()]
        results = [result for trial in fresh if (result := result_of(trial)) is not None]
        self._told |= {result.number for result in results}
        self._board.learn([trial for trial in fresh if trial.number in self._told])
        self._unheard += results
        self._newest = max([self._newest, *(result.ended_at for result in results)])

    def attempts(self, trial: Trial) -> tuple[str, ...]:
        """Why earlier attempts at this trial ended."""
        return tuple(trial.user_attrs.get(ATTEMPTS, ()))

    def note_attempt(self, trial: Trial, cause: str) -> tuple[str, ...]:
        """Remember why an attempt at this trial ended; all of them so far."""
        with translated(self._storage.url):
            self._judged(trial)
            causes = (*self.attempts(trial), cause)
            trial.set_user_attr(ATTEMPTS, list(causes))
            return causes

    def extend(self, trial: Trial, extension: Extension) -> None:
        """Remember that a trial of ours goes on beyond its planned epochs."""
        with translated(self._storage.url):
            self._judged(trial)
            trial.set_user_attr(EXTENDED, asdict(extension))

    def should_prune(self, trial: Trial, values: Values) -> bool:
        """Whether the study's pruner gives the trial up after these values (evaluations due -> value)."""
        return self._board.should_prune(trial.number, values)

    def follow(self, trial: Trial, values: Values) -> None:
        """Let the pruner know the values of a trial that is out of its reach."""
        self._board.follow(trial.number, values)

    def stand_in(self, own: Iterable[float], facts: Facts, place: int = 0) -> float:
        """A finite value for a trial that has none to be proud of, of the objective at this `place` of the
        study file; `own` are the values it did reach."""
        finished = self._trials(TrialState.COMPLETE, TrialState.PRUNED)
        known = [value for trial in finished if (value := reached(trial, place)) is not None]
        return stand_in(known, own, facts, self.spec.metrics[place])

    def tell(self, trial: Trial, result: TrialResult) -> TrialResult | None:
        """Write the result of a trial, with which it is finished; as it was written, None when the trial is
        ours no longer. It may be told again, when it is not known whether it was written.

        Trials end in the order in which they are told, whatever the clocks of other machines say.
        """
        with self.exclusive():
            if self.claims.shared:
                if (told := self._told_before(result)) is not None:
                    return told
                self._look()
                result = replace(result, ended_at=max(result.ended_at, self._newest + TICK))
            if not self.is_ours(trial.number):
                return None
            trial_id = self._trial_id(trial.number)
            if trial_id in self._begun_to_tell and self._storage.get_trial(trial_id).state.is_finished():
                self._told.add(trial.number)
                return result
            self._begun_to_tell.add(trial_id)
            values, vectors, all_ = dict(result.values), dict(result.vectors), [*result.objectives.values()]
            if result.outcome is Outcome.DOOMED or (result.outcome is Outcome.INFEASIBLE and not values):
                assert result.value is not None
                last = max(values, default=0) + 1
                values[last] = result.value
                vectors |= {last: tuple(all_)} if all_ else {}
            for name, amount in constraints_of(result).items():
                trial.set_constraint(name, amount)
            for due, value in values.items():
                self._storage.set_trial_intermediate_value(trial_id, due, value)
            state = STATE[result.outcome]
            for name, note in self._board.end(trial.number, state, result.value).items():
                self._storage.set_trial_system_attr(trial_id, name, note)
            if vectors:
                self._storage.set_trial_user_attr(trial_id, OBJECTIVES, to_rows(vectors))
            self._storage.set_trial_user_attr(trial_id, RESULT, to_record(result))
            self._study.tell(trial, (all_ or result.value) if state is TrialState.COMPLETE else None, state)
            self._begun_to_tell.discard(trial_id)
            self._told.add(trial.number)
            self._newest = result.ended_at
            return result

    def _told_before(self, result: TrialResult) -> TrialResult | None:
        """The result as we have written it already, if we have, without having had an answer."""
        if not self._is_owned(result.number, finished=True):
            return None
        self._told.add(result.number)
        self._unheard = [other for other in self._unheard if other.number != result.number]
        written = result_of(self._storage.get_trial(self._trial_id(result.number)))
        return result if written is None else replace(result, ended_at=written.ended_at)

    def orders(self) -> Orders:
        """What people want of the study."""
        with translated(self._storage.url):
            return orders_of(self._study.user_attrs)

    def give_order(self, order: Order) -> None:
        """Tell all coordinators what to do from now on."""
        with translated(self._storage.url):
            self._study.set_user_attr(ORDER, order.value)

    def end_trial(self, number: int, who: str) -> None:
        """Tell the coordinator that runs this trial to end it, in the name of `who`."""
        with self.exclusive():
            ended = self._study.user_attrs.get(ENDED, {})
            self._study.set_user_attr(ENDED, {**ended, str(number): who})

    def enqueue(self, values: Mapping[str, Any]) -> int:
        """Queue a point: the next trial gets these values, the others are sampled. How many are queued now.

        Raises: SearcherError for values that are not in the space.
        """
        check_values(values, self.spec)
        with self.exclusive():
            self._study.enqueue_trial(dict(values))
            return len(self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)))

    def results(self) -> list[TrialResult]:
        """The results of all finished trials, by number, without their signals."""
        return [result for trial in self._trials() if (result := result_of(trial)) is not None]

    def unfinished(self) -> list[tuple[int, Point]]:
        """Trials that are running or queued, with their points so far."""
        trials = self._trials(TrialState.RUNNING, TrialState.WAITING)
        return [(trial.number, point_of(trial.params, self.spec)) for trial in trials]

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        """The trials in one of these states, by default all of them."""
        with translated(self._storage.url):
            return self._study.get_trials(deepcopy=False, states=states or None)

    def _judged(self, trial: Trial) -> None:
        """The pruner begins to judge a trial; a repeat is no rival of anybody."""
        if repeat_of(trial.user_attrs) is None:
            self._board.begin(trial.number)

    def _is_owned(self, number: int, *, finished: bool) -> bool:
        """Whether we were the last to run the trial, and it is still running, or is `finished`."""
        with translated(self._storage.url):
            trial = self._storage.get_trial(self._trial_id(number))
        is_so = trial.state.is_finished() if finished else trial.state is TrialState.RUNNING
        return is_so and trial.user_attrs.get(OWNER) == self.claims.me

    def _requeue(self, number: int) -> None:
        self._storage.set_trial_state_values(self._trial_id(number), TrialState.WAITING)

    def _trial_id(self, number: int) -> int:
        if number not in self._trial_ids:  # asked of the database once
            found = self._storage.get_trial_id_from_study_id_trial_number(self._id, number)
            self._trial_ids[number] = found
        return self._trial_ids[number]
