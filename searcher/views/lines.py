"""One line per event, for logs and pipes."""

from __future__ import annotations

from typing import TextIO

from searcher.events import Event, Noted, StudyLeft, StudyOpened, TrialEnded, TrialProgressed, TrialStarted
from searcher.naming import short_settings
from searcher.summary import done_text
from searcher.trial import searched
from searcher.views.text import numbers_text, result_line

BEST = {False: "best", True: "on the Pareto front"}
"""What is said of a trial, by whether the study has several objectives."""


class LineView:
    """Writes every event but single steps to `out`."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._best = BEST[False]

    def __enter__(self) -> LineView:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, event: Event) -> None:
        """Write one line, or none."""
        if isinstance(event, StudyOpened):
            self._best = BEST[event.spec.is_several]
        line = _line(event, self._best)
        if line:
            print(line, file=self._out, flush=True)


def _line(event: Event, best: str) -> str:
    match event:
        case StudyOpened(spec, slots, results, requeued):
            before = f"; {done_text(results)} are done" if results else ""
            again = f"; {requeued} interrupted ones begin anew" if requeued else ""
            return f"study {spec.name} on {', '.join(slots)}{before}{again}"
        case TrialStarted(number, slot, sampled, attempts, repeat):
            attempt = f" (attempt {len(attempts) + 1})" if attempts else ""
            again = "" if repeat is None else f", trial {repeat.of} with seed {repeat.seed}"
            return f"trial {number} begins on {slot}{attempt}{again}: {short_settings(sampled)}"
        case TrialProgressed(number, course, True):
            value = numbers_text(course.value, course.objectives)
            return f"trial {number} epoch {course.epoch:.3g} of {course.of_epochs:g}: best {value}"
        case TrialEnded(result, is_best):
            return result_line(result) + (f" <- {best} so far" if is_best else "")
        case Noted(text):
            return text
        case StudyLeft(spec, results, why):
            trials, repeats = len(searched(results)), len(results) - len(searched(results))
            done = "" if trials == spec.search.trials else f"; trials done: {trials}"
            again = f"; repeats done: {repeats}" if repeats else ""
            return f"study {spec.name}: {why}{done}{again}"
        case _:
            return ""
