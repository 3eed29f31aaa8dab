"""How many stops were wrong: what became of trials that were let run on after a stop was due. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from diagnostics import Severity
from searcher.policy import SEEN_BY_LAUNCHER
from searcher.spec import Metric
from searcher.trial import Outcome, Reprieve, TrialResult, ranked

BEST_SHARE = 4
"""A stop was wrong when the trial came to stand in the best so-manieth part of those trained to their end."""


@dataclass(frozen=True)
class LetRun:
    """A trial that was let run on after a stop was due.

    `is_judged`: it came to its end, by itself or by what cannot recover; a crash or a person who ended it
    says nothing of the stop. `place` is its rank among the trials that were trained to their end, from 1;
    None when it was not. `epochs` and `seconds` are those after the stop was due, at the trial's own pace.
    """

    result: TrialResult
    reprieve: Reprieve
    is_judged: bool
    place: int | None
    is_among_best: bool
    epochs: float
    seconds: float


def stopped(results: Iterable[TrialResult]) -> list[TrialResult]:
    """Trials that a fatal finding has stopped; those that were audited are not among them."""
    return [result for result in results if _was_stopped(result) and not list(_of(result, "audited"))]


def audited(metric: Metric, results: Sequence[TrialResult]) -> list[LetRun]:
    """Trials that trained on to show whether their stop would have been right."""
    return _let_run(metric, results, "audited")


def spared(metric: Metric, results: Sequence[TrialResult]) -> list[LetRun]:
    """Trials that were not stopped since they were among the best."""
    return _let_run(metric, results, "spared")


def audit_line(metric: Metric, results: Sequence[TrialResult]) -> str:
    """What the audit has shown, as a sentence without full stop; empty when no trial was audited."""
    found, due = audited(metric, results), len(stopped(results))
    if not found:
        return ""
    due += len(found)
    doomed = "1 doomed trial" if due == 1 else f"{due} doomed trials"
    were = "was" if len(found) == 1 else "were"
    wrong = [one.result.number for one in found if one.is_judged and one.is_among_best]
    back = [one.result.number for one in found if one.place is not None and not one.is_among_best]
    open_ = [one.result.number for one in found if not one.is_judged]
    parts = [f"of {_named(wrong)} the stop would have been wrong"] if wrong else []
    parts += [f"{_named(back)} came back, but not among the best quarter"] if back else []
    if not parts and len(open_) < len(found):
        parts.append("it came to nothing" if len(found) == 1 else "none of them came to anything")
    parts += [f"{_named(open_)} ended otherwise, and says nothing"] if open_ else []
    return f"{len(found)} of {doomed} {were} let run on as an audit; {'; '.join(parts)}"


def _named(trials: Sequence[int]) -> str:
    return f"trial{'s' * (len(trials) > 1)} {', '.join(map(str, trials))}"


def _of(result: TrialResult, why: str) -> Iterator[Reprieve]:
    return (reprieve for reprieve in result.reprieves if reprieve.why == why)


def _let_run(metric: Metric, results: Sequence[TrialResult], why: str) -> list[LetRun]:
    order = ranked(metric, results)
    bar = order[max(1, len(order) // BEST_SHARE) - 1].value if order else None
    places = {result.number: place for place, result in enumerate(order, start=1)}
    found = []
    for result in sorted(results, key=lambda result: result.number):
        for reprieve in _of(result, why):
            place, value = places.get(result.number), result.value
            among = place is not None and value is not None and not metric.is_better(bar or 0.0, value)
            epochs = max(result.epochs - reprieve.epoch, 0.0)
            seconds = result.seconds * epochs / result.epochs if result.epochs > 0 else 0.0
            found.append(LetRun(result, reprieve, _is_judged(result), place, among, epochs, seconds))
    return found


def _is_judged(result: TrialResult) -> bool:
    if result.outcome is Outcome.COMPLETED:
        return True
    return result.outcome is Outcome.DOOMED and not _is_by_launcher(result)


def _was_stopped(result: TrialResult) -> bool:
    """Whether a finding ended it before its time: not its launcher, nor its last judgement."""
    doomed = result.outcome is Outcome.DOOMED and result.report.fatal is not None
    return doomed and result.facts.get("ended") == "stopped" and not _is_by_launcher(result)


def _is_by_launcher(result: TrialResult) -> bool:
    found = result.report.findings
    return any(one.kind in SEEN_BY_LAUNCHER and one.severity is Severity.FATAL for one in found)
