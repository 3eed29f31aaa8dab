"""Trials whose curves are given, for rehearsals of studies whose answer is known by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diagnostics import Report, Verdict
from searcher.spec import StudySpec, parse_spec
from searcher.trial import Outcome, TrialResult


def made_up(space: Mapping[str, Any] | None = None, **search: Any) -> StudySpec:
    raw = {
        "name": "by-hand",
        "space": space or {"x": {"low": 0.0, "high": 1.0}},
        "search": {"sampler": "random", "pruner": "none", "trials": 9, **search},
    }
    return parse_spec(raw, "study.toml")


def trial(number: int, curve: Sequence[float], outcome: str = "completed", **more: Any) -> TrialResult:
    """A trial evaluated once an epoch, of four; an epoch takes ten seconds."""
    best = list(np.minimum.accumulate(curve)) if len(curve) else []
    given: dict[str, Any] = {
        "settings": {"x": 0.1 * number, "epochs": 4},
        "sampled": ("x",),
        "report": Report(Verdict.CONVERGED, (), {}),
        "value": best[-1] if best else 9.0,
        "values": {due: float(value) for due, value in enumerate(best, start=1)},
        "epochs": float(len(curve)),
        "seconds": 10.0 * len(curve),
        "ended_at": 1000.0 + 100 * number,
        "facts": {"evaluations_per_epoch": 1},
        **more,
    }
    return TrialResult(number=number, inactive=(), outcome=Outcome(outcome), **given)


COMPLETED = [
    trial(0, [4, 3, 2, 1.0]),
    trial(1, [5, 5, 5, 5]),  # behind the first at once
    trial(2, [3, 2, 1, 0.5]),
    trial(3, [3.6, 3.5, 3.4, 0.4]),  # behind the median of 4 and 3; the best in the end
    trial(4, [3.5, 2.5, 1.5, 0.45]),  # on the median, each time
]
