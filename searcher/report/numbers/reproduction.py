"""Section 9 of a report: what is needed to get the results again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from typing import Any

from searcher.catalog import shipped
from searcher.environment import Environment
from searcher.report.numbers.study_file import study_file, toml_value
from searcher.report.study_report import Reproduction
from searcher.report.words import counted
from searcher.sampling import chosen
from searcher.spec import StudySpec, parse_spec, read_spec
from searcher.summary import best_result, best_settings, settings_toml
from searcher.trial import TrialResult

OPTIONS = ("trials", "hours", "seed", "confirm")
"""Parts of [search] that an option of `searcher run` can change."""


def reproduction(spec: StudySpec, results: Sequence[TrialResult], ran_in: Environment) -> Reproduction:
    """Command, seed, sampler, versions, device, data, commit, best settings."""
    best = best_result(spec, results)
    return Reproduction(
        command=_command(spec),
        seed=spec.search.seed,
        sampler=str(chosen(spec)),
        versions=ran_in.versions,
        device=_counted(results, "device"),
        data_digest=_counted(results, "data_digest"),
        git_commit=ran_in.git_commit,
        best_settings="" if best is None else settings_toml(best_settings(spec, best)),
        study_file=study_file(spec),
    )


def _command(spec: StudySpec) -> str:
    """The run of a study that comes along, with the options that differ; else of the study file."""
    for entry in shipped():
        if entry.name == spec.name:
            options = _options(read_spec(entry.path), spec)
            if options is not None:
                return " ".join(["searcher run", spec.name, *options])
    return f"searcher run {spec.name}.toml"


def _options(there: StudySpec, spec: StudySpec) -> list[str] | None:
    """The options that make a shipped study the one that was run; None where no options do."""
    options: list[str] = []
    search: dict[str, Any] = {}
    for name in OPTIONS:
        value = getattr(spec.search, name)
        if value is not None and value != getattr(there.search, name):
            search[name] = value
            options.append(f"--{name} {value}")
    if spec.search.warm_start != there.search.warm_start:
        search["warm_start"] = spec.search.warm_start
        options += [f"--from {shlex.quote(name)}" for name in spec.search.warm_start]
    train = {k: v for k, v in spec.train.items() if k not in there.train or there.train[k] != v}
    options += [f"--set {shlex.quote(f'{name}={_given(value)}')}" for name, value in train.items()]
    dispatch = there.dispatch.model_dump()  # says where, not what
    changed = {**there.model_dump(), "train": {**there.train, **train}}
    changed["search"] = {**changed["search"], **search}
    again = parse_spec(changed, there.name).model_dump()
    return options if again == {**spec.model_dump(), "dispatch": dispatch} else None


def _given(value: Any) -> str:
    """A fixed setting as `--set` takes it."""
    return value if isinstance(value, str) else toml_value(value)


def _counted(results: Sequence[TrialResult], fact: str) -> str:
    """What trials know of themselves, the most frequent first; with how many say so where they differ."""
    counts = Counter(str(result.facts[fact]) for result in results if result.facts.get(fact))
    if len(counts) <= 1:
        return "".join(counts)
    return ", ".join(f"{value} ({counted(count, 'trial')})" for value, count in counts.most_common())
