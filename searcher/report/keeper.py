"""The report of a study that is being run: written anew every few minutes, and once more when it is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from searcher.spec import StudySpec
from searcher.trial import TrialResult

EVERY_SECONDS = 180.0
"""Between two reports on a study that goes on (house rule: a few minutes)."""

SHARE = 0.05
"""Share of the time that writing reports may take: they are made beside the study, on the same machine."""

Publish = Callable[[Sequence[Path]], None]
"""Takes the files of a report that was written just now."""


class ReportKeeper:
    """Keeps the report of a study up to date, in a thread of its own while trials train.

    `views` gives the links of the saved views. A report that cannot be written stops no study: why is kept in
    `trouble`, empty when all went well.
    """

    def __init__(
        self,
        spec: StudySpec,
        runs: Path,
        publish: Publish,
        views: Callable[[], Mapping[str, str]] = dict,
        every: float = EVERY_SECONDS,
    ) -> None:
        self.trouble = ""
        self._spec = spec
        self._runs = runs
        self._publish = publish
        self._views = views
        self._every = every
        self._wait = every
        self._written_at = time.monotonic()
        self._thread: threading.Thread | None = None

    def keep(self, results: Sequence[TrialResult]) -> None:
        """A trial has ended: begin a new report when one is due and none is being written."""
        if self._thread is not None and self._thread.is_alive():
            return
        if time.monotonic() - self._written_at < self._wait:
            return
        as_of_now = tuple(results)
        self._thread = threading.Thread(target=self._write, args=(as_of_now, ""), name="report", daemon=True)
        self._thread.start()

    def close(self, results: Sequence[TrialResult], why: str) -> None:
        """The study was left because of `why`: write its last report. A study without results has none."""
        if self._thread is not None:
            self._thread.join()
        if results:
            self._write(tuple(results), why)

    def _write(self, results: Sequence[TrialResult], why: str) -> None:
        began = time.monotonic()
        try:
            from searcher.report import write  # takes scikit-learn and plotly along
            from searcher.report.numbers.build import build

            report = build(self._spec, results, self._runs, ended=why, views=self._views())
            files = write(report, self._runs)
        except Exception as error:  # a mistake in the report must not cost a study
            said = (str(error).splitlines() or [type(error).__name__])[0]
            self.trouble = (
                f"the report could not be written: {said}; the trials are safe, and the report is made with: "
                f"searcher report {self._spec.name}"
            )
        else:
            self.trouble = ""
            self._publish(files)
        self._written_at = time.monotonic()
        self._wait = max(self._every, (self._written_at - began) / SHARE)
