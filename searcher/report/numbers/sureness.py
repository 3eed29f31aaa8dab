"""The noise of a best value, and which trials are as good within it.

It is the noise of one value: that the best of many is likely a little lucky is not counted in it.

Notation
    v       values of a metric at evaluations, or of trainings with other seeds        [n]
    s       standard deviation of one value
    m       places of the last third of the evaluations
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from diagnostics import Signals
from diagnostics.evidence.trends import theil_sen
from searcher.confirming import LOSING, Confirmation, confirmation
from searcher.report.study_report import Spread
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult, ranked, searched

Values = NDArray[np.float64]

SEEDS = ("seed", "data_seed")
"""Settings that make a training a repetition: other random numbers, or another split of the data."""

TAIL, FEWEST = 6, 4
"""Evaluations that noise is taken from at least, where there are so many, and fewest of all (house rule: a
line takes two, and two are left)."""

Z = 1.96
"""Score of a two-sided interval of 95 %."""

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26, 2.23)
"""The same for a deviation that was estimated with 1 to 10 degrees of freedom (Student's t)."""


def spread_of(
    spec: StudySpec, results: Sequence[TrialResult], best: TrialResult, signals: Signals
) -> Spread | None:
    """How much one value like the best moves by chance: by repeated seeds, else by its evaluations, or by how
    few samples it was validated on where that leaves more; None when nothing can be said. `signals` are those
    of the best trial."""
    seeds = _of_repeats(spec, results) or _of_seeds(searched(results), best)
    if seeds is not None:
        return seeds
    found = [_of_evaluations(signals, spec.metric.name), _of_samples(spec.metric.name, best)]
    return max((one for one in found if one is not None), key=lambda one: one.half_width, default=None)


def equals_of(
    spec: StudySpec, results: Iterable[TrialResult], best: TrialResult, spread: Spread | None
) -> tuple[int, ...]:
    """The trials, best first, whose distance to the best is noise: that of a difference of two values."""
    results = list(results)
    if spread is None:
        return ()
    known = confirmation(spec.metric, results)
    if known is not None and known.spread:
        return _not_told_apart(spec, results, known, spread)
    reach = math.sqrt(2) * spread.half_width
    others = (result for result in ranked(spec.metric, results) if result.number != best.number)
    return tuple(r.number for r in others if abs((r.value or 0.0) - (best.value or 0.0)) <= reach)


def _not_told_apart(
    spec: StudySpec, results: Iterable[TrialResult], known: Confirmation, spread: Spread
) -> tuple[int, ...]:
    """Trials that may be as good as the one that is named by its repeats: those of a chance that is worth a
    repeat, and others whose one value is within the noise of one value and of that mean."""
    named, repeated = known.named, {one.trial.number for one in known.trials}
    alike = [one.trial.number for one in known.trials[1:] if (one.chance or 0.0) >= LOSING]
    if named.mean is None:
        return tuple(alike)
    reach = spread.half_width * math.sqrt(1 + 1 / len(named.values))
    others = [r for r in ranked(spec.metric, results) if r.number not in repeated]
    return (*alike, *(r.number for r in others if abs((r.value or 0.0) - named.mean) <= reach))


def _of_repeats(spec: StudySpec, results: Sequence[TrialResult]) -> Spread | None:
    """The deviation among trainings of all trials that were repeated with other seeds, taken together."""
    known = confirmation(spec.metric, results)
    if known is None or not known.spread:
        return None
    values = sum(len(one.values) for one in known.trials)
    return Spread(_score(known.freedom) * known.spread, "seeds", values)


def _of_seeds(results: Iterable[TrialResult], best: TrialResult) -> Spread | None:
    """The deviation among trainings that differ in their seed alone; of all such groups when that of the best
    has only two."""
    if not any(name in best.sampled for name in SEEDS):
        return None
    groups: dict[str, dict[str, float]] = {}
    for result in results:
        if result.outcome is Outcome.COMPLETED and result.value is not None:
            groups.setdefault(_but_seeds(result.settings), {})[_seeds(result.settings)] = result.value
    own = list(groups[_but_seeds(best.settings)].values())
    if len(own) < 2:
        return None
    used = [own] if len(own) > 2 else [list(group.values()) for group in groups.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in used)
    variance = sum(float(np.var(group)) * len(group) for group in used) / freedom
    return Spread(_score(freedom) * math.sqrt(variance), "seeds", sum(map(len, used)))


def _of_evaluations(signals: Signals, metric: str) -> Spread | None:
    """The deviation of the last third of the evaluations about its own trend."""
    if metric not in signals:
        return None
    v = signals[metric].values
    v = v[np.isfinite(v)]
    tail = v[-max(math.ceil(len(v) / 3), TAIL) :]
    m = len(tail)
    if m < FEWEST:
        return None
    rest = tail - theil_sen(tail) * np.arange(m)
    s = math.sqrt(float(np.sum((rest - rest.mean()) ** 2)) / (m - 2))
    return Spread(_score(m - 2) * s, "evaluations", m)


def _of_samples(metric: str, best: TrialResult) -> Spread | None:
    """The standard error of an accuracy on so many samples, where each sample is one answer."""
    n = best.facts.get("validation_samples")
    if metric != "val_accuracy" or best.value is None or not isinstance(n, int | float) or n < 1:
        return None
    if best.facts.get("task") != "classification" or "label_classes" not in best.facts:
        return None  # the places of a text are not independent
    p = min(max(best.value, 0.5 / n), 1 - 0.5 / n)
    return Spread(Z * math.sqrt(p * (1 - p) / n), "samples", int(n))


def _score(freedom: int) -> float:
    return STUDENT[freedom - 1] if freedom <= len(STUDENT) else Z + 2.5 / freedom


def _but_seeds(settings: Mapping[str, object]) -> str:
    return repr(sorted((name, repr(value)) for name, value in settings.items() if name not in SEEDS))


def _seeds(settings: Mapping[str, object]) -> str:
    return repr([settings.get(name) for name in SEEDS])
