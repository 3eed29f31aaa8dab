"""A warm start: finished trials of earlier studies guide the sampler of a new one.

They are copied when the study begins and kept with it, so that whatever becomes of the earlier studies its
points stay the same. They are no trials of the study: the sampler alone sees them, before all others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from optuna.trial import FrozenTrial, create_trial

from searcher.errors import SearcherError
from searcher.feasibility import amounts
from searcher.figures import figures
from searcher.frozen import STATE
from searcher.identity import MACHINE
from searcher.policy import constraints_of
from searcher.settings import settings_of
from searcher.space import conditions_first, distribution_of, distributions, holds, point_of, value_in
from searcher.spec import StudySpec
from searcher.trial import Outcome, TrialResult
from searcher.vectors import OBJECTIVES, Vector, to_rows, vectors_in
from trainers.config import SETTINGS, default_of
from trainers.errors import SettingError

WARM_START = "searcher:warm_start"
"""Where a study keeps the earlier trials, among what Optuna calls its system attributes: those of people are
read every second."""


@dataclass(frozen=True)
class Guide:
    """A finished trial of the earlier study `study`, as it would be in this one: its point and its values.

    `constraints` are what it violates, above 0, or keeps: what it died of, and those of this study. With
    several objectives `objectives` are all of them at its end, and `vectors` all of its `values`.
    """

    study: str
    number: int
    outcome: Outcome
    value: float | None
    values: Mapping[int, float]
    params: Mapping[str, Any]
    constraints: Mapping[str, float]
    objectives: tuple[float, ...] = ()
    vectors: Mapping[int, Vector] = field(default_factory=dict)


@dataclass(frozen=True)
class WarmStart:
    """The earlier trials that guide a study, the oldest first, and what a person is told of them."""

    guides: tuple[Guide, ...] = ()
    notes: tuple[str, ...] = ()

    def to_record(self) -> dict[str, Any]:
        """Plain data for the store."""
        trials = [
            [
                g.study,
                g.number,
                g.outcome.value,
                g.value,
                list(g.values.items()),
                dict(g.params),
                dict(g.constraints),
                *([list(g.objectives), to_rows(g.vectors)] if g.objectives else []),
            ]
            for g in self.guides
        ]
        return {"notes": list(self.notes), "trials": trials}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> WarmStart:
        """What `to_record` gave."""
        guides = [
            Guide(study, number, Outcome(outcome), value, dict(values), params, constraints, *_several(more))
            for study, number, outcome, value, values, params, constraints, *more in record["trials"]
        ]
        return cls(tuple(guides), tuple(record["notes"]))

    def trials(self, spec: StudySpec) -> list[FrozenTrial]:
        """As Optuna's samplers know trials. Their numbers are below 0, the oldest has the lowest."""
        space = distributions(spec)
        found = [_frozen(guide, {name: space[name] for name in guide.params}) for guide in self.guides]
        for number, trial in zip(range(-len(found), 0), found, strict=True):
            trial.number = trial._trial_id = number
        return found


class _Unfit(Exception):
    """Why a trial cannot guide a study."""


def warm_start(spec: StudySpec, earlier: Iterable[tuple[StudySpec, Sequence[TrialResult]]]) -> WarmStart:
    """The trials of earlier studies that fit `spec`.

    Raises: SearcherError when a study has another metric, goal or trainer, or no trial fits at all.
    """
    guides: list[Guide] = []
    notes: list[str] = []
    for there, results in earlier:
        _check_comparable(spec, there)
        fitting, left_out = _fitting(spec, there, results)
        guides += fitting
        notes.append(_note(there.name, len(fitting), len(results), left_out))
    if not guides and notes:
        raise SearcherError(
            f"nothing can guide study {spec.name!r}:\n"
            + "\n".join(f"  {note}" for note in notes)
            + "\nleave the warm start out, or make space, [train] and metric fit"
        )
    return WarmStart(tuple(guides), tuple(f"warm start: {note}" for note in notes))


def _fitting(
    spec: StudySpec, there: StudySpec, results: Sequence[TrialResult]
) -> tuple[list[Guide], Counter[str]]:
    """The trials that fit, and why the others do not, with how many."""
    found: list[Guide] = []
    left_out: Counter[str] = Counter()
    for result in results:
        try:
            params = _params(spec, result)
        except _Unfit as reason:
            left_out[str(reason)] += 1
            continue
        here = replace(result, constraints=_kept(spec, result))
        constraints = constraints_of(here)
        value = result.value if result.outcome is Outcome.COMPLETED else None
        guide = Guide(there.name, result.number, result.outcome, value, result.values, params, constraints)
        found.append(replace(guide, objectives=(*result.objectives.values(),), vectors=result.vectors))
    return found, left_out


def _params(spec: StudySpec, result: TrialResult) -> dict[str, Any]:
    """The point of `spec` that an earlier trial stands for. Raises: _Unfit."""
    if result.outcome is Outcome.FAILED:
        raise _Unfit("it failed by accident")
    known = dict(result.settings)
    if spec.trainer is None:  # settings that are younger than the trial had their defaults
        known = {**{name: default_of(name) for name in SETTINGS if name not in MACHINE}, **known}
    params: dict[str, Any] = {}
    for name in conditions_first(spec):
        setting = spec.space[name]
        if not holds(setting.when, params):
            continue
        if name not in known:
            raise _Unfit(f"it has no {name}")
        params[name] = value_in(distribution_of(name, setting), known[name])
        if params[name] is None:
            raise _Unfit(f"its {name} is outside of the space")
    point = point_of(params, spec)
    try:
        here = settings_of(spec, point)
    except SettingError as error:
        raise _Unfit(f"its settings do not go together here ({error})") from None
    for name in (name for name in {**here, **known} if name not in MACHINE):
        if name in point.inactive and name not in known:
            continue  # switched off here, and unknown there
        if name not in known or name not in here or known[name] != here[name]:
            there, now = (repr(all_[name]) if name in all_ else "not set" for all_ in (known, here))
            raise _Unfit(f"{name} was {there} and is {now} here")
    return params


def _kept(spec: StudySpec, result: TrialResult) -> dict[str, float]:
    """How an earlier trial keeps the constraints of this study; its metrics only when it was trained to its
    end."""
    metrics = result.best.metrics if result.best and result.outcome is Outcome.COMPLETED else {}
    return amounts(spec.search.limits, figures(result.settings, result.facts, metrics))


def _check_comparable(spec: StudySpec, there: StudySpec) -> None:
    pairs = (("metric", _words(there), _words(spec)), ("trainer", there.trainer, spec.trainer))
    for what, before, now in pairs:
        if before != now:
            before, now = (name or "the one that comes along" for name in (before, now))
            raise SearcherError(
                f"study {there.name!r} cannot guide study {spec.name!r}: its {what} is {before}, but here it "
                f"is {now}"
            )


def _words(spec: StudySpec) -> str:
    further = (f", {metric.name} ({metric.goal})" for metric in spec.further)
    return f"{spec.metric.name} ({spec.metric.goal}, {spec.metric.of}){''.join(further)}"


def _several(more: Sequence[Any]) -> tuple[tuple[float, ...], dict[int, Vector]]:
    """What is recorded of an earlier trial of a study with several objectives."""
    objectives, rows = more or ((), ())
    return tuple(objectives), vectors_in({OBJECTIVES: rows})


def _note(study: str, taken: int, of: int, left_out: Counter[str]) -> str:
    note = f"{taken} of {of} finished trials of study {study!r} guide the sampler"
    reasons = [f"{reason} ({count})" for reason, count in left_out.most_common()]
    return f"{note}; left out: {', '.join(reasons)}" if reasons else note


def _values(guide: Guide) -> list[float] | None:
    """What the trial was told with, if it was trained to its end."""
    if guide.value is None:
        return None
    return [*guide.objectives] or [guide.value]


def _frozen(guide: Guide, space: Mapping[str, Any]) -> FrozenTrial:
    return create_trial(
        state=STATE[guide.outcome],
        values=_values(guide),
        user_attrs={OBJECTIVES: to_rows(guide.vectors)} if guide.vectors else {},
        params=dict(guide.params),
        distributions=dict(space),
        intermediate_values=dict(guide.values),
        constraints=dict(guide.constraints) or None,
    )
