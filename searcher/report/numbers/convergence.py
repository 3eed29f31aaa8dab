"""Section 7 of a report: how the search itself went.

Notation
    b       best value so far, after each trial that ended               [trials]
    s       device time used by then, in seconds                         [trials]
    v       values of the trials trained to their end, higher is better  [n]
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diagnostics.evidence.words import short
from searcher.report.numbers.bounds import at_bounds, beyond
from searcher.report.numbers.scales import number_text
from searcher.report.study_report import AtBound, Convergence, Spread
from searcher.report.words import percent
from searcher.spec import Choices, StudySpec
from searcher.summary import best_result, sampled_of
from searcher.trial import Outcome, TrialResult, searched

Levelled = tuple[bool | None, str]

FEWEST = 12
"""Trials trained to their end from which on a search can have levelled off (house rule: four in the last
third)."""

LAST = 3
"""The last part of so many in which a search may still improve."""

FEWEST_ALIKE = 3
"""Trials of the last part that came as far as the best one, within its noise, before the search rests there
(house rule: one or two do so by chance)."""

CHANCE = 0.05
"""Chance below which the best lies so early that what follows is evidence: were all values drawn alike, it
would lie among the first b of n with b / n. That the last third brought nothing better is no evidence: chance
alone does that in two studies of three."""

ENDED = "trials trained to their end"


def convergence(spec: StudySpec, results: Sequence[TrialResult], spread: Spread | None) -> Convergence:
    """The best so far over trials and device time; whether it rests, by the `spread` of the best value."""
    trials: list[int] = []
    seconds: list[float] = []
    best: list[float] = []
    values: list[float] = []
    used, so_far = 0.0, None
    search = searched(results)
    for count, result in enumerate(sorted(search, key=lambda r: (r.ended_at, r.number)), start=1):
        used += result.seconds
        if result.outcome is Outcome.COMPLETED and result.value is not None:
            values.append(result.value)
            so_far = result.value if spec.metric.is_better(result.value, so_far) else so_far
        if so_far is not None:
            trials.append(count)
            seconds.append(round(used, 3))
            best.append(so_far)
    levelled, text = _levelled(spec, len(search), values, spread)
    winner = best_result(spec, results)
    bounds = () if winner is None else at_bounds(spec, sampled_of(winner))
    sentences = " ".join([text, *(_told(spec, bound) for bound in bounds)])
    return Convergence(tuple(trials), tuple(seconds), tuple(best), levelled, sentences, bounds)


def _levelled(spec: StudySpec, trials: int, values: Sequence[float], spread: Spread | None) -> Levelled:
    """Whether the search rests, by the `values` of the trials that were trained to their end."""
    n = len(values)
    if not trials:
        return None, "No trial has ended yet."
    if not n:
        trials_were = "The trial was not" if trials == 1 else f"None of the {trials} trials was"
        return None, f"{trials_were} trained to its end, so there is no best {spec.metric.name} to follow."
    if n < FEWEST:
        number = "1 trial is" if n == 1 else f"{n} trials are"
        needed = f"{FEWEST} that were trained to their end are needed"
        return None, f"{number} too few to say whether the search has levelled off: {needed}."
    v = np.array(values) if spec.metric.goal == "maximize" else -np.array(values)
    first, last = int(np.argmax(v)) + 1, n // LAST
    best, before = values[first - 1], values[int(np.argmax(v[: n - last]))]
    noise = 0.0 if spread is None else spread.half_width
    alike = int((v[n - last :] >= v.max() - noise).sum())
    if abs(best - before) <= noise and alike >= FEWEST_ALIKE:
        return True, _told_alike(spec, (before, best), (last, n), alike, noise)
    if best != before:
        return False, _told_gain(spec, (before, best), (last, n), spread)
    since = f"There is no better {spec.metric.name} than {short(best)} in the last {n - first} of {n} {ENDED}"
    if first <= CHANCE * n:
        return True, f"{since} (chance alone: {percent(first, n)}): the search has levelled off."
    return None, f"{since}; that may be chance, and does not show that the search has levelled off."


def _told_alike(
    spec: StudySpec, best: tuple[float, float], over: tuple[int, int], alike: int, noise: float
) -> str:
    """That trials came as far as the best one again and again, and no further."""
    (before, now), (last, n) = best, over
    went = f"stayed {short(now)}" if now == before else f"gone from {short(before)} to {short(now)}"
    within = f", within its noise of \N{PLUS-MINUS SIGN} {short(noise)}" if noise else ""
    reached = f"{alike} of them came as far{within}"
    return (
        f"The best {spec.metric.name} has {went} over the last {last} of {n} {ENDED}, and {reached}: the "
        "search has levelled off."
    )


def _told_gain(
    spec: StudySpec, best: tuple[float, float], over: tuple[int, int], spread: Spread | None
) -> str:
    """What the last part of the search has brought."""
    (before, now), (last, n) = best, over
    went = (
        f"The best {spec.metric.name} went from {short(before)} to {short(now)} over the last {last} of {n}"
    )
    if spread is None:
        return f"{went} {ENDED}; how much of that is noise is not known, so it may still improve."
    noise = f"its noise of \N{PLUS-MINUS SIGN} {short(spread.half_width)}"
    if abs(now - before) <= spread.half_width:
        return f"{went} {ENDED}, within {noise}; few others came as far, so it may still improve."
    return f"{went} {ENDED}, more than {noise}: it has not levelled off, and more trials are likely to help."


def _told(spec: StudySpec, bound: AtBound) -> str:
    text = f"The best {bound.setting}, {number_text(bound.value)},"
    if isinstance(spec.space[bound.setting], Choices):
        text += f" is the {'largest' if bound.bound == 'high' else 'smallest'} of its choices"
    else:
        text += f" lies on the {'upper' if bound.bound == 'high' else 'lower'} bound of its range"
    further = beyond(spec, bound.setting, "high" if bound.bound == "high" else "low")
    beside = "and cannot be widened" if further is None else "and a better one may lie beyond"
    return f"{text}, {beside}."
