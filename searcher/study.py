"""A study from its parts: the store, the launcher, the record and the coordinator between them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from searcher.coordinator import Coordinator
from searcher.events import Event, Noted, StudyLeft, TrialEnded, View
from searcher.interrupts import Interrupts
from searcher.launchers import LAUNCHERS, Launcher
from searcher.ledger import KEPT_WEIGHTS
from searcher.lock import study_lock
from searcher.records import report_files
from searcher.report.keeper import ReportKeeper
from searcher.spec import StudySpec
from searcher.store import open_study
from searcher.summary import to_markdown
from searcher.tracking import BackgroundTracker, MlflowTracker, NullTracker, Tracker
from searcher.trial import TrialResult, ranked


@dataclass(frozen=True)
class Places:
    """Where a study is kept: Optuna's store, MLflow's (None: no record there) and the folder of files, which
    holds its report as well when there is to be one."""

    storage: str
    tracking: str | None
    runs: Path = Path("searcher-runs")
    report: bool = True


def run_study(
    spec: StudySpec, places: Places, view: View, launcher: Launcher | None = None
) -> list[TrialResult]:
    """Run a study, or go on with it, until its budget is used; the results of all its trials.

    Raises: StudyBusy when another process runs it; StudyChanged, StorageError, TrackingError; and
    SearcherError when trials cannot be trained at all.
    """
    runs = places.runs / spec.name
    with study_lock(runs, spec.name, places.storage), contextlib.ExitStack() as stack:
        store = open_study(spec, places.storage)
        device = str(spec.fixed.get("device", "auto"))
        launcher = launcher or LAUNCHERS[spec.dispatch.launcher](spec.dispatch.slots, device, runs)
        stack.callback(launcher.close)
        recorder = MlflowTracker(spec, places.tracking, runs) if places.tracking else NullTracker()
        tracker = BackgroundTracker(recorder)
        keeper = ReportKeeper(spec, runs, tracker.report) if places.report else None

        def seen(event: Event) -> None:
            view(event)
            if keeper is not None and isinstance(event, TrialEnded):
                keeper.keep(coordinator.ledger.results)

        coordinator = Coordinator(spec, store, launcher, tracker, seen, runs)
        with Interrupts() as interrupts:
            try:
                coordinator.run(interrupts)
            finally:
                launcher.close()  # while the record is written, nothing has to run on
                if keeper is not None and not interrupts.at_once:
                    keeper.close(coordinator.ledger.results, coordinator.why)
                _close(tracker, recorder, coordinator, runs, with_model=not interrupts.at_once)
                if keeper is not None and keeper.trouble:
                    view(Noted(keeper.trouble))
        tracker.check()
        return coordinator.ledger.results


def _close(
    tracker: BackgroundTracker, recorder: Tracker, of: Coordinator, runs: Path, with_model: bool
) -> None:
    """End the record; when it has gaps, bring it up to date as a whole, once."""
    results = of.ledger.results
    best = ranked(of.spec.metric, results)[:KEPT_WEIGHTS] if with_model else []
    end = (to_markdown(of.spec, results, of.why), [result.number for result in best])
    tracker.close(*end)
    if tracker.failure is not None and tracker.was_open:
        second = BackgroundTracker(recorder)
        second.open(results)
        second.report(report_files(runs))
        second.close(*end)
        if second.failure is not None:
            of.view(Noted(str(second.failure)))
    of.view(StudyLeft(of.spec, tuple(results), of.why))
