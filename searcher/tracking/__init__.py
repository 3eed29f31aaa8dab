"""The record of a study, beside Optuna's store. A new keeper is one class with the door of `Tracker`."""

from searcher.tracking.background import BackgroundTracker, KeptElsewhere
from searcher.tracking.links import usual_links, view_links
from searcher.tracking.mlflow_repair import repair_record, verify_record
from searcher.tracking.mlflow_sides import Recorded
from searcher.tracking.mlflow_store import connect
from searcher.tracking.mlflow_tracker import MlflowTracker
from searcher.tracking.report_keeping import keep_report
from searcher.tracking.run_curves import RunCurves, read_run
from searcher.tracking.tracker import NullTracker, Started, Tracker

__all__ = [
    "BackgroundTracker",
    "KeptElsewhere",
    "MlflowTracker",
    "NullTracker",
    "Recorded",
    "RunCurves",
    "Started",
    "Tracker",
    "connect",
    "keep_report",
    "read_run",
    "repair_record",
    "usual_links",
    "verify_record",
    "view_links",
]
