"""A study from its parts: the store, the launcher, the record and the coordinator between them."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from searcher.coordinator import Coordinator
from searcher.environment import environment
from searcher.errors import StorageError
from searcher.events import Event, Noted, StudyLeft, TrialEnded, View
from searcher.interrupts import Interrupts
from searcher.launchers import LAUNCHERS, Launcher
from searcher.launchers.site import Site
from searcher.ledger import with_weights
from searcher.lock import study_lock
from searcher.opening import open_study
from searcher.records import report_files
from searcher.report.keeper import ReportKeeper
from searcher.spec import StudySpec
from searcher.summary import to_markdown
from searcher.tracking import BackgroundTracker, KeptElsewhere, MlflowTracker, NullTracker, usual_links
from searcher.trial import TrialResult
from searcher.turns import Lease

WHOLE_AGAIN = "the MLflow record is up to date again"


@dataclass(frozen=True)
class Places:
    """Where a study is kept: Optuna's store, MLflow's (None: no record there) and the folder of files, which
    holds its report as well when there is to be one. The studies of a warm start are looked for in the store
    `earlier`, None: in Optuna's."""

    storage: str
    tracking: str | None
    runs: Path = Path("searcher-runs")
    report: bool = True
    earlier: str | None = None


def run_study(
    spec: StudySpec, places: Places, view: View, launcher: Launcher | None = None
) -> list[TrialResult]:
    """Run a study, or go on with it, until its budget is used; the results of all its trials.

    Raises: StudyBusy when another process runs it; StudyChanged, StorageError, TrackingError; and
    SearcherError when trials cannot be trained at all.
    """
    runs = places.runs / spec.name
    with study_lock(runs, spec.name, places.storage), contextlib.ExitStack() as stack:
        store = open_study(spec, places.storage, places.earlier)
        stack.callback(store.claims.close)
        environment().keep(runs)
        device = str(spec.fixed.get("device", "auto"))
        launcher = launcher or LAUNCHERS[spec.dispatch.launcher](Site.of(spec.dispatch, device, runs))
        stack.callback(launcher.close)
        beside = _Beside(spec, places, view, store.claims.record)
        coordinator = Coordinator(spec, store, launcher, beside.tracker, beside.seen, runs)
        results = beside.results = coordinator.ledger.results
        with Interrupts() as interrupts:
            try:
                coordinator.run(interrupts)
            finally:
                launcher.close()  # while the record is written, nothing has to run on
                beside.close(coordinator, at_once=interrupts.at_once)
        beside.tracker.check()
        return results


class _Beside:
    """What is kept beside the trials while they train: the record in MLflow, and the report."""

    def __init__(self, spec: StudySpec, places: Places, view: View, lease: Lease) -> None:
        self.results: Sequence[TrialResult] = ()
        self._spec = spec
        self._places = places
        self._runs = places.runs / spec.name
        self._view = view
        uri = places.tracking
        self._recorder = MlflowTracker(spec, uri, self._runs) if uri else NullTracker()
        self._lease = lease
        self.tracker = BackgroundTracker(self._recorder, lease)
        self._keeper = ReportKeeper(spec, self._runs, self.tracker.report, self._views)
        self._is_behind = False

    def seen(self, event: Event) -> None:
        """Something has happened to a trial."""
        self._view(event)
        self._tell_of_gaps()
        if isinstance(event, TrialEnded) and self._places.report:
            self._keeper.keep(self.results)

    def close(self, coordinator: Coordinator, *, at_once: bool) -> None:
        """Write the last report and end the record; `at_once` leaves out what takes long."""
        why, known, again = coordinator.why, -1, False
        while known != len(self.results):  # another one may have told results, and found the record taken
            known = len(self.results)
            if self._places.report and not at_once:
                self._keeper.close(self.results, why)
            self._end_record(why, with_model=not at_once, again=again)
            again = True
            self._lease.release()
            with contextlib.suppress(StorageError):  # whoever goes on with the study hears of them
                coordinator.hear_of_others()
        self._view(StudyLeft(self._spec, tuple(self.results), why))
        if self._keeper.trouble:
            self._view(Noted(self._keeper.trouble))

    def _views(self) -> dict[str, str]:
        """The links of the saved views in MLflow."""
        uri = self._places.tracking
        return usual_links(uri, self._spec.name) if uri and self.tracker.wait_open() else {}

    def _tell_of_gaps(self) -> None:
        """Once when the record cannot be written any more, and once when it is whole again."""
        failure = self.tracker.failure
        if isinstance(failure, KeptElsewhere):
            return
        if self.tracker.was_open and self._is_behind != (failure is not None):
            self._is_behind = failure is not None
            self._view(Noted(f"{failure}; it is tried again now and then" if failure else WHOLE_AGAIN))

    def _end_record(self, why: str, *, with_model: bool, again: bool) -> None:
        """End the record; when it has gaps, or `again`, bring it up to date as a whole, once."""
        best = with_weights(self._spec.metrics, self.results) if with_model else []
        end = (to_markdown(self._spec, self.results, why), [result.number for result in best])
        if not again:
            self.tracker.close(*end)
        if self.tracker.was_open and (again or self.tracker.failure is not None):
            second = BackgroundTracker(self._recorder, self._lease)
            second.open(self.results)
            second.report(report_files(self._runs))
            second.close(*end)
            if second.failure is not None and not isinstance(second.failure, KeptElsewhere):
                self._view(Noted(str(second.failure)))
