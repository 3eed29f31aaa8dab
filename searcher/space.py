"""The search space: distributions, conditions, and the settings a trial gets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from optuna import Trial
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from searcher.errors import SearcherError
from searcher.spec import Choices, Conditions, Range, StudySpec
from trainers.choices import unknown
from trainers.config import is_continuous


@dataclass(frozen=True)
class Point:
    """What one trial was given: the settings that were sampled, and those a condition switched off."""

    sampled: Mapping[str, Any]
    inactive: tuple[str, ...]


def distribution_of(name: str, setting: Range | Choices) -> BaseDistribution:
    """The Optuna distribution of a setting: whole numbers when its bounds are, unless `name` takes any."""
    if isinstance(setting, Choices):
        return CategoricalDistribution(setting.choices)
    whole = all(isinstance(value, int) for value in (setting.low, setting.high, setting.step or 1))
    if whole and not is_continuous(name):
        return IntDistribution(
            int(setting.low), int(setting.high), log=setting.log, step=int(setting.step or 1)
        )
    return FloatDistribution(float(setting.low), float(setting.high), log=setting.log, step=setting.step)


def distributions(spec: StudySpec) -> dict[str, BaseDistribution]:
    """Every setting's distribution."""
    return {name: distribution_of(name, setting) for name, setting in spec.space.items()}


def suggest(trial: Trial, spec: StudySpec) -> Point:
    """Sample every setting whose condition holds, conditions first."""
    sampled: dict[str, Any] = {}
    for name in conditions_first(spec):
        setting = spec.space[name]
        if holds(setting.when, sampled):
            sampled[name] = _suggest_one(trial, name, setting)
    return point_of(sampled, spec)


def point_of(params: Mapping[str, Any], spec: StudySpec) -> Point:
    """The point with these values, in the order of the study file."""
    return Point(
        {name: params[name] for name in spec.space if name in params},
        tuple(name for name in spec.space if name not in params),
    )


def check_values(values: Mapping[str, Any], spec: StudySpec) -> None:
    """Raises: SearcherError for values that no trial of the study can have."""
    for name, message in unusable_values(values, spec):
        raise SearcherError(f"{name} {message}" if name in spec.space else message)


def unusable_values(
    values: Mapping[str, Any], spec: StudySpec, alone: bool = False
) -> Iterator[tuple[str, str]]:
    """The settings whose values no trial of the study can have, with what is wrong; `alone`: whatever they
    wait for."""
    for name, value in values.items():
        if name not in spec.space:
            yield name, unknown(name, spec.space)
            continue
        setting = spec.space[name]
        if value_in(distribution_of(name, setting), value) is None:
            allowed = f"from {setting.low} to {setting.high}" if isinstance(setting, Range) else ""
            if isinstance(setting, Range) and setting.step is not None:
                allowed += f" in steps of {setting.step}"
            yield name, f"has to be {allowed or f'one of {setting.examples}'}, but got {value!r}"
            continue
        for other, wanted in () if alone else setting.when.items():
            if values.get(other) not in wanted:
                got = f"{other} = {values[other]!r}" if other in values else f"no {other}"
                yield name, f"is only for {other} in {wanted}, but got {got}"


def value_in(distribution: BaseDistribution, value: Any) -> Any:
    """The value as trials have it, None when it is not in the distribution."""
    if not isinstance(distribution, CategoricalDistribution) and type(value) not in (int, float):
        return None
    try:
        inside = distribution.to_internal_repr(value)
        return distribution.to_external_repr(inside) if distribution._contains(inside) else None
    except (ValueError, TypeError):
        return None


def find_cycle(whens: Mapping[str, Conditions]) -> list[str]:
    """Settings whose conditions wait for each other, or an empty list."""
    done: set[str] = set()
    while True:
        ready = [name for name, when in whens.items() if name not in done and done.issuperset(when)]
        if not ready:
            return [name for name in whens if name not in done]
        done.update(ready)


def _suggest_one(trial: Trial, name: str, setting: Range | Choices) -> Any:
    distribution = distribution_of(name, setting)
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(
        name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
    )


def holds(when: Conditions, sampled: Mapping[str, Any]) -> bool:
    """Whether a condition holds for these values."""
    return all(sampled.get(other) in allowed for other, allowed in when.items())


def conditions_first(spec: StudySpec) -> list[str]:
    """The names of all settings, each after those its condition names."""
    order: list[str] = []
    while len(order) < len(spec.space):
        order += [
            name
            for name, setting in spec.space.items()
            if name not in order and set(setting.when) <= set(order)
        ]
    return order
