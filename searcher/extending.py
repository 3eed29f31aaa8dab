"""Which trials go on beyond their planned epochs, and why. Pure: what is known goes in, a plan comes out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from diagnostics import Report, Signals, Verdict
from diagnostics.evidence.course import FEWEST, Curve, evaluations, trend
from diagnostics.evidence.forecast import forecast
from searcher.repeats import EXTENDED
from searcher.reprieves import SIBLINGS
from searcher.spec import Metric, StudySpec
from searcher.trial import Outcome, TrialCourse, TrialResult, ranked
from trainers.parts.schedules import LASTING

EPOCHS = "epochs"


@dataclass(frozen=True)
class Extension:
    """A training that goes on from `planned` epochs to `epochs`, `because`; it took `seconds` until then."""

    planned: int
    epochs: int
    because: str
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """In a clause."""
        return f"goes on from {self.planned} to {self.epochs} epochs: {self.because}"


def extension_in(attributes: Mapping[str, Any]) -> Extension | None:
    """The extension among the attributes of a trial; None where it has none."""
    known = attributes.get(EXTENDED)
    return None if known is None else Extension(**known)


def may_extend(spec: StudySpec, settings: Mapping[str, Any]) -> bool:
    """Whether a trial with these settings can go on at all: its schedule must not know where it ends."""
    return spec.search.extend > 1 and spec.trainer is None and settings.get("schedule") in LASTING


def extension_of(
    spec: StudySpec,
    settings: Mapping[str, Any],
    course: TrialCourse,
    report: Report,
    results: Sequence[TrialResult],
) -> Extension | None:
    """Why a trial that was trained to its end goes on; None when it does not.

    It does when it was still improving, is one of the better half of the completed trials, and is the best of
    them or may come up to the best. `results` are those of the trials that have ended; with fewer than four
    nothing goes on.
    """
    value, metric = course.value, spec.metric
    if value is None or report.verdict is not Verdict.IMPROVING or not may_extend(spec, settings):
        return None
    if sum(result.outcome in (Outcome.COMPLETED, Outcome.PRUNED) for result in results) < SIBLINGS:
        return None
    completed = ranked(metric, results)
    if sum(metric.is_better(one.value or 0.0, value) for one in completed) > len(completed) / 2:
        return None
    best = completed[0] if completed else None
    because = _outlook(metric, value, course.signals, spec.search.extend, best)
    planned = int(settings[EPOCHS])
    epochs = math.ceil(spec.search.extend * planned)
    return Extension(planned, epochs, f"it was still improving, and {because}") if because else None


def _outlook(metric: Metric, value: float, signals: Signals, times: float, best: TrialResult | None) -> str:
    """By what a trial may be the best of its study, as a clause; empty when it may not."""
    own = f"its {metric.name} of {value:.4g}"
    if best is None or best.value is None or metric.is_better(value, best.value):
        return f"{own} is the best so far"
    reach = reachable(metric, signals, times)
    if reach is None or metric.is_better(best.value, reach):
        return ""
    return f"{own} may come up to the best, {best.value:.4g}"


def reachable(metric: Metric, signals: Signals, times: float) -> float | None:
    """The best value of the metric that `times` as many steps may bring: the end of a 90 % interval of the
    power law through its evaluations, or, where they follow none, of a straight line through their last half,
    since they do not slow down. None where they are too few, or do not get better."""
    known = evaluations(signals, metric.name)
    if len(known) < FEWEST:
        return None
    sign = 1.0 if metric.goal == "minimize" else -1.0
    falling = Curve(known.name, known.steps, sign * known.values)
    now, law = float(np.median(falling.values[-3:])), forecast(falling)
    if law is not None:
        outlook = law.at(times)
        return sign * outlook.low if outlook.loss < now else None
    slope = trend(falling.half).slope
    if slope >= 0:
        return None
    floor = 0.0 if float(np.min(falling.values)) >= 0 else -math.inf
    steps = (times - 1) * float(falling.steps[-1] + 1)
    return sign * max(float(falling.values[-1]) + slope * steps, floor)
