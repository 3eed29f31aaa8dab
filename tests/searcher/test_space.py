"""The search space: distributions, conditions and points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from searcher.space import (
    conditions_first,
    distribution_of,
    find_cycle,
    point_of,
    suggest,
)
from searcher.spec import Choices, Range, StudySpec

Make = Callable[..., StudySpec]

CHAIN = {
    "scale": {"low": 0.1, "high": 0.2, "when": {"block": [True], "kind": ["b", "c"]}},
    "block": {"choices": [True, False], "when": {"kind": ["b"]}},
    "kind": ["a", "b", "c"],
}


@pytest.mark.parametrize(
    ("name", "setting", "expected"),
    [
        ("charm", Range(low=1, high=9), IntDistribution(1, 9)),
        ("charm", Range(low=1, high=64, log=True), IntDistribution(1, 64, log=True)),
        ("charm", Range(low=2, high=10, step=4), IntDistribution(2, 10, step=4)),
        ("charm", Range(low=1, high=9.0), FloatDistribution(1, 9)),
        ("charm", Range(low=0, high=1, step=0.25), FloatDistribution(0, 1, step=0.25)),
        ("learning_rate", Range(low=1, high=9), FloatDistribution(1, 9)),
        ("dropout", Range(low=0, high=1), FloatDistribution(0, 1)),
        ("width", Range(low=1, high=9), IntDistribution(1, 9)),
        ("clip_norm", Range(low=1, high=9, log=True), FloatDistribution(1, 9, log=True)),
        ("charm", Choices(choices=["a", 2, 0.5, True]), CategoricalDistribution(["a", 2, 0.5, True])),
    ],
)
def test_distributions(name: str, setting: Range | Choices, expected: object) -> None:
    assert distribution_of(name, setting) == expected


def test_conditions_come_before_what_waits_for_them(make_spec: Make) -> None:
    assert conditions_first(make_spec(space=CHAIN)) == ["kind", "block", "scale"]


def test_settings_whose_condition_does_not_hold_are_not_sampled(
    make_spec: Make, rng: np.random.Generator
) -> None:
    spec = make_spec(space=CHAIN)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=int(rng.integers(1 << 30))))
    seen = set()
    for _ in range(60):
        trial = study.ask()
        point = suggest(trial, spec)
        kind, block = point.sampled["kind"], point.sampled.get("block")
        assert ("block" in point.sampled) == (kind == "b")
        assert ("scale" in point.sampled) == (block is True)
        assert {*point.sampled, *point.inactive} == set(CHAIN) and not {*point.sampled} & {*point.inactive}
        assert list(point.sampled) == [name for name in CHAIN if name in point.sampled]
        assert dict(point.sampled) == {name: trial.params[name] for name in point.sampled}
        assert set(trial.params) == set(point.sampled)
        assert point_of(trial.params, spec) == point
        seen.add((kind, block))
    assert seen == {("a", None), ("b", True), ("b", False), ("c", None)}


def test_cycles() -> None:
    assert find_cycle({"a": {}, "b": {"a": [1]}, "c": {"a": [1], "b": [2]}}) == []
    assert find_cycle({"a": {"a": [1]}}) == ["a"]
    assert find_cycle({"a": {"c": [1]}, "b": {}, "c": {"d": [1]}, "d": {"a": [1]}}) == ["a", "c", "d"]
