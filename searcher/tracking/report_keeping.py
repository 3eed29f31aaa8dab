"""A report that was made of a recorded study, put with the run of the study."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from searcher.lock import sqlite_file
from searcher.spec import StudySpec
from searcher.tracking.mlflow_store import translated
from searcher.tracking.mlflow_study import MlflowStudy


def keep_report(uri: str, spec: StudySpec, files: Sequence[Path]) -> bool:
    """Log the files of a report with the study's run in the record at `uri`; whether there is such a run.

    Raises: TrackingError.
    """
    file = sqlite_file(uri)
    if file is not None and not file.exists():
        return False
    study = MlflowStudy(spec, uri)
    with translated(uri):
        if not study.find(make=False) or not study.parent:
            return False
        study.log_report(files)
    return True
