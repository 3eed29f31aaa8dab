"""The live table on a terminal: the study, the best so far, what runs, what has just ended."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from diagnostics import Verdict
from searcher.budget import share_used, used_device_hours, used_hours
from searcher.events import Event, Noted, StudyLeft, StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.naming import duration, figure_text, short_settings, short_value
from searcher.policy import first_cause
from searcher.repeats import Repeat
from searcher.spec import StudySpec
from searcher.summary import best_line, best_word, done_text, outcome_counts, sampled_of
from searcher.trial import Outcome, TrialCourse, TrialResult, searched
from searcher.views.fitting import Clipped
from searcher.views.reasons import LINE, cause_word, short_reason
from searcher.views.tables import front_table
from searcher.views.text import sparkline, value_text, values_heading

MOST_OF_FRONT = 6
"""Trials of a Pareto front that are shown while a study runs."""

LAST_ENDED = 6
"""Finished trials that stay in view."""

WIDE, WIDEST = 100, 160
"""Columns of a terminal from which on a warning has a column of its own, and there is room for the whole
sentence why a trial ended."""

STYLES = {
    "converged": "green",
    "improving": "cyan",
    "overfitting": "yellow",
    "not-learning": "red",
    "diverged": "bold red",
    "non-finite": "bold red",
    "unstable": "yellow",
    "incomplete": "dim",
    "failed": "bold magenta",
}


BAR = 24
"""Characters of the bar of the budget."""

LEAST = 16
"""Characters that settings, and the sentence why a trial ended, have at least."""

DOOMED = "doomed: stopped early, could not recover"

REFRESH = 5
"""Pictures a second."""


@dataclass
class _Row:
    """What is shown of a running trial; taken from its course when the coordinator says that it went on."""

    slot: str
    sampled: Mapping[str, Any]
    repeat: Repeat | None = None
    epoch: float = 0.0
    of_epochs: float = math.nan
    loss: str = ""
    value: str = ""
    so_far: str = ""
    warning: str = ""
    taken_at: float | None = None  # None: nothing was heard of it yet

    def take(self, course: TrialCourse) -> None:
        """How the trial stands now."""
        loss = course.signals.get("loss") or course.signals.get("train_loss")
        self.epoch, self.of_epochs = course.epoch, course.of_epochs
        self.loss = sparkline(loss.values) if loss is not None else ""
        several = ", ".join(map(figure_text, course.objectives.values()))
        self.value = "" if course.value is None else several or short_value(course.value)
        self.so_far = "" if course.so_far is Verdict.INCOMPLETE else str(course.so_far)
        warning = first_cause(course.findings)
        let_run = f" ({course.reprieves[-1].why})" if course.reprieves else ""
        self.warning = "" if warning is None else warning.kind + let_run
        self.taken_at = time.monotonic()


class LiveView:
    """Shows a study while it runs; at the end what stays on the screen is its summary."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console()
        self._live = Live(console=self._console, refresh_per_second=REFRESH, get_renderable=lambda: self)
        self._spec: StudySpec | None = None
        self._slots: tuple[str, ...] = ()
        self._results: list[TrialResult] = []
        self._running: dict[int, _Row] = {}
        self._last: deque[TrialResult] = deque(maxlen=LAST_ENDED)
        self._lock = threading.RLock()  # the screen is drawn by a thread of its own
        self._began = time.time()
        self._done_before = 0
        self._is_left = False

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._running.clear()
        self._live.stop()

    def __call__(self, event: Event) -> None:
        """Take in what happened; the screen follows by itself."""
        with self._lock:
            self._take(event)

    def _take(self, event: Event) -> None:
        match event:
            case StudyOpened(spec, slots, results, requeued):
                self._spec, self._slots, self._results = spec, slots, list(results)
                self._done_before = len(searched(results))
                if results or requeued:
                    self._console.print(_going_on(done_text(results), requeued))
            case TrialStarted(number, slot, sampled, _, repeat):
                self._running[number] = _Row(slot, sampled, repeat)
            case TrialProgressed(number, course, evaluated):
                row = self._running[number]
                if evaluated or row.taken_at is None or time.monotonic() - row.taken_at > 1 / REFRESH:
                    row.take(course)
            case TrialEnded(result, _):
                self._running.pop(result.number, None)
                self._results.append(result)
                self._last.append(result)
            case Noted(text):
                self._console.print(Text(text, style="yellow"))
            case StudyLeft():
                self._running.clear()
                self._is_left = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The whole picture, drawn anew."""
        with self._lock:
            picture = None if self._spec is None else self._picture(self._spec)
        if picture is not None:
            yield picture

    def _picture(self, spec: StudySpec) -> RenderableType:
        parts = [self._head(spec)]
        if not self._is_left:  # then the best is said below the picture
            parts.append(Clipped(f"{best_word(spec)}  {best_line(spec, self._results)}"))
            if spec.is_several and any(result.outcome is Outcome.COMPLETED for result in self._results):
                parts.append(front_table(spec, self._results, MOST_OF_FRONT))
        if self._running:
            parts.append(self._running_table(spec))
        if self._last:
            parts.append(self._ended_table(spec))
        elif self._running and all(row.taken_at is None for row in self._running.values()):
            workers = "1 worker" if len(self._running) == 1 else f"{len(self._running)} workers"
            parts.append(Clipped(f"starting: loading torch and the data in {workers}"))
        if any(result.outcome is Outcome.DOOMED for result in self._results):
            parts.append(Text(DOOMED, style="dim", no_wrap=True, overflow="ellipsis"))
        return Group(*parts)

    def _head(self, spec: StudySpec) -> RenderableType:
        """Name, bar, trials and times in a line; how trials ended in the same one where it has room."""
        search = searched(self._results)
        hours, device_hours = used_hours(search), used_device_hours(search)
        share = share_used(spec.search, len(search) + self._share_running(), hours, device_hours)
        counts = outcome_counts(search)
        words = ", ".join(f"{count} {outcome}" for outcome, count in counts.items()) or "starting"
        limit = f" of {spec.search.trials}" if spec.search.trials is not None else ""
        spent = f", {hours:.1f} of {spec.search.hours:g} hours" if spec.search.hours is not None else ""
        repeats = len(self._results) - len(search)
        again = f" + {repeats} repeats" if repeats else ""
        done, times = f"{len(search)}{limit} trials{again}", self._times(spec)
        room = self._console.width - BAR - sum(map(len, (spec.name, done, spent, times, " ()"))) - 6
        head = Table.grid(padding=(0, 2))
        for _ in range(4):
            head.add_column(no_wrap=True, overflow="ellipsis")
        bar = ProgressBar(total=1.0, completed=share, width=min(BAR, max(4, room + BAR)))
        name = Text(spec.name, style="bold")
        if len(words) <= room:
            head.add_row(name, bar, f"{done} ({words}){spent}", times)
            return head
        head.add_row(name, bar, done + spent, times)
        return Group(head, Clipped("ended " + words))

    def _times(self, spec: StudySpec) -> str:
        elapsed = time.time() - self._began
        done = len(searched(self._results)) + self._share_running() - self._done_before
        if spec.search.trials is None or done < 1 or not self._running:
            return duration(elapsed)
        left = elapsed / done * max(0.0, spec.search.trials - self._done_before - done)
        return f"{duration(elapsed)}, about {duration(left)} to go"

    def _share_running(self) -> float:
        rows = [row for row in self._running.values() if row.of_epochs > 0 and row.repeat is None]
        return sum(row.epoch / row.of_epochs for row in rows)

    def _running_table(self, spec: StudySpec) -> Table:
        wide = self._console.width >= WIDE
        last = ["so far", "warning"] if wide else ["so far"]
        table = _table("trial", "slot", "settings", "epoch", "loss", self._value_heading(spec), *last)
        for number, row in sorted(self._running.items()):
            again = "" if row.repeat is None else f"trial {row.repeat.of}, seed {row.repeat.seed}: "
            settings = Clipped(again + short_settings(row.sampled), LEAST)
            if row.taken_at is None:
                table.add_row(str(number), row.slot, settings, "starting")
                continue
            so_far, warning = Text(row.so_far, STYLES.get(row.so_far, "")), Text(row.warning, "yellow")
            table.add_row(
                str(number),
                row.slot,
                settings,
                f"{row.epoch:.1f}/{row.of_epochs:g}",
                row.loss[:: 1 if wide else 2],
                row.value,
                *([so_far, warning] if wide else [warning or so_far]),
            )
        return table

    def _value_heading(self, spec: StudySpec) -> str:
        short = "values" if spec.is_several else "value"
        return values_heading(spec) if self._console.width >= WIDE else short

    def _ended_table(self, spec: StudySpec) -> Table:
        wide = self._console.width >= WIDEST
        table = _table(
            *(
                "ended",
                "outcome",
                self._value_heading(spec),
                "verdict",
                "cause",
                "settings",
                *(["why"] if wide else []),
            )
        )
        for result in self._last:
            cells: list[RenderableType] = [
                str(result.number),
                str(result.outcome),
                value_text(result),
                Text(str(result.verdict), style=STYLES[result.verdict]),
                cause_word(result),
                Clipped(short_settings(sampled_of(result)), LEAST),
            ]
            table.add_row(*cells, *([Clipped(short_reason(result, LINE), LEAST)] if wide else []))
        return table


def _table(*headings: str) -> Table:
    """A table whose rows stay on one line: what is long is cut, what is short is not."""
    table = Table(box=None, padding=(0, 1), pad_edge=False, header_style="dim", expand=True)
    for heading in headings:
        long = {"settings": 3, "why": 2}.get(heading)
        table.add_column(
            heading, no_wrap=True, overflow="ellipsis", ratio=long, min_width=LEAST if long else None
        )
    return table


def _going_on(done: str, requeued: int) -> str:
    again = f", {requeued} interrupted ones begin anew" if requeued else ""
    return f"going on: {done} are done{again}"
