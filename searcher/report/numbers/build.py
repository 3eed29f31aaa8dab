"""The convergence report of a study, from what is recorded: every section in its order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from searcher.environment import environment_of
from searcher.report.numbers.audit import audit
from searcher.report.numbers.cases import SignalsOf, recorded_signals
from searcher.report.numbers.confirmed import confirmed
from searcher.report.numbers.convergence import convergence
from searcher.report.numbers.curves import curves
from searcher.report.numbers.failures import failure_map
from searcher.report.numbers.headline import headline
from searcher.report.numbers.layer_maps import layer_maps
from searcher.report.numbers.matters import matters
from searcher.report.numbers.next_study import next_study
from searcher.report.numbers.pareto import pareto
from searcher.report.numbers.reproduction import reproduction
from searcher.report.numbers.sureness import spread_of
from searcher.report.numbers.verdicts import verdicts
from searcher.report.study_report import Spread, StudyReport
from searcher.spec import StudySpec
from searcher.summary import best_result
from searcher.trial import TrialResult, searched


def build(
    spec: StudySpec,
    results: Sequence[TrialResult],
    runs: Path,
    *,
    ended: str = "",
    views: Mapping[str, str] | None = None,
    made_at: float | None = None,
) -> StudyReport:
    """The report on a study: its finished trials, repeats among them, and the folder `runs` of their files,
    from which signals are read trial by trial, since all of them at once may not fit into memory.

    `ended` says why the study ended; `views` are links of its saved views; `made_at`, in seconds since
    1970, is now unless it is given.
    """
    signals_of, search = recorded_signals(runs), searched(results)
    spread = _spread(spec, results, signals_of)
    failures = failure_map(spec, search)
    course = convergence(spec, results, spread)
    following = next_study(spec, results, failures, course.at_bounds)
    return StudyReport(
        study=spec.name,
        question=spec.question,
        metric=spec.metric.name,
        goal=spec.metric.goal,
        ended=ended,
        made_at=time.time() if made_at is None else made_at,
        headline=headline(spec, results, spread, failures, course, following),
        verdicts=verdicts(search),
        curves=curves(spec, search, signals_of),
        failures=failures,
        matters=matters(spec, search),
        layers=layer_maps(spec, search, signals_of),
        convergence=course,
        next=following,
        reproduction=reproduction(spec, results, environment_of(runs)),
        views=views or {},
        audit=audit(spec, search),
        sureness=confirmed(spec, results),
        pareto=pareto(spec, search),
    )


def _spread(spec: StudySpec, results: Sequence[TrialResult], signals_of: SignalsOf) -> Spread | None:
    """How sure the best value is; None without a best one."""
    best = best_result(spec, results)
    if best is None:
        return None
    return spread_of(spec, results, best, signals_of(best, [spec.metric.name]))
