"""Section 7 of a report: how the search itself went.

Notation
    b       best value so far, after each trial that ended               [trials]
    s       device time used by then, in seconds                         [trials]
"""

from __future__ import annotations

from collections.abc import Sequence

from diagnostics.evidence.words import short
from searcher.report.numbers.bounds import at_bounds, beyond
from searcher.report.numbers.scales import number_text
from searcher.report.study_report import AtBound, Convergence, Spread
from searcher.spec import Choices, StudySpec
from searcher.summary import best_result, sampled_of
from searcher.trial import Outcome, TrialResult

FEWEST = 12
"""Trials from which on a search can have levelled off (house rule: four in the last third)."""

LAST = 3
"""The last part of so many in which a search may still improve."""


def convergence(spec: StudySpec, results: Sequence[TrialResult], spread: Spread | None) -> Convergence:
    """The best so far over trials and device time; whether it rests, by the `spread` of the best value."""
    trials: list[int] = []
    seconds: list[float] = []
    best: list[float] = []
    used, so_far = 0.0, None
    for count, result in enumerate(sorted(results, key=lambda r: (r.ended_at, r.number)), start=1):
        used += result.seconds
        if result.outcome is Outcome.COMPLETED and result.value is not None:
            so_far = result.value if spec.metric.is_better(result.value, so_far) else so_far
        if so_far is not None:
            trials.append(count)
            seconds.append(round(used, 3))
            best.append(so_far)
    levelled, text = _levelled(spec, len(results), trials, best, spread)
    winner = best_result(spec, results)
    bounds = () if winner is None else at_bounds(spec, sampled_of(winner))
    sentences = " ".join([text, *(_told(spec, bound) for bound in bounds)])
    return Convergence(tuple(trials), tuple(seconds), tuple(best), levelled, sentences, bounds)


def _levelled(
    spec: StudySpec, n: int, trials: Sequence[int], best: Sequence[float], spread: Spread | None
) -> tuple[bool | None, str]:
    """Whether the last third of the trials has brought more than noise, and the sentence that says so."""
    metric = spec.metric.name
    if not n:
        return None, "No trial has ended yet."
    if not best:
        trials_were = "The trial was not" if n == 1 else f"None of the {n} trials was"
        return None, f"{trials_were} trained to its end, so there is no best {metric} to follow."
    if n < FEWEST:
        number = "1 trial is" if n == 1 else f"{n} trials are"
        return None, f"{number} too few to say whether the search has levelled off: {FEWEST} are needed."
    last = n // LAST
    before = [value for count, value in zip(trials, best, strict=True) if count <= n - last]
    if not before:
        return False, f"The first trial that was trained to its end is among the last {last} of {n}: go on."
    gain = abs(best[-1] - before[-1])
    over = f"over the last {last} of {n} trials"
    if gain == 0:
        return True, f"The best {metric} has stayed {short(best[-1])} {over}: the search has levelled off."
    went = f"The best {metric} went from {short(before[-1])} to {short(best[-1])} {over}"
    if spread is None:
        return False, f"{went}; how much of that is noise is not known, so it may still improve."
    if gain <= spread.half_width:
        within = f"within its noise of \N{PLUS-MINUS SIGN} {short(spread.half_width)}"
        return True, f"{went}, {within}: the search has levelled off."
    beyond_noise = f"more than its noise of \N{PLUS-MINUS SIGN} {short(spread.half_width)}"
    return False, f"{went}, {beyond_noise}: it has not levelled off, and more trials are likely to help."


def _told(spec: StudySpec, bound: AtBound) -> str:
    text = f"The best {bound.setting}, {number_text(bound.value)},"
    if isinstance(spec.space[bound.setting], Choices):
        text += f" is the {'largest' if bound.bound == 'high' else 'smallest'} of its choices"
    else:
        text += f" lies on the {'upper' if bound.bound == 'high' else 'lower'} bound of its range"
    further = beyond(spec, bound.setting, "high" if bound.bound == "high" else "low")
    beside = "and nothing beyond is allowed" if further is None else "and a better one may lie beyond"
    return f"{text}, {beside}."
