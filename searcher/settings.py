"""The settings of a trial: fixed and sampled ones, and the defaults of the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from searcher.identity import MACHINE
from searcher.space import Point
from searcher.spec import StudySpec
from trainers.config import SETTINGS, config_from, default_of


def settings_of(spec: StudySpec, point: Point) -> dict[str, Any]:
    """Every setting of a trial, as it is recorded: no machine's paths among them.

    An inactive setting has its default, so that no trial lacks a value.
    """
    given = {**spec.fixed, **point.sampled}
    if spec.trainer is not None:
        return {**_off(point), **given}
    settings = config_from({**given, **_from_metric(spec)}).settings()
    return {name: value for name, value in settings.items() if name not in MACHINE}


def refused_settings(spec: StudySpec, point: Point) -> dict[str, Any]:
    """The settings of a trial that cannot be used together, as far as they are known, to be recorded."""
    given = {**_off(point), **spec.fixed, **point.sampled}
    return {name: value for name, value in given.items() if name not in MACHINE}


def switched_off(name: str) -> Any:
    """The value of a setting that is switched off: its default, `none` where it is of own code."""
    return default_of(name) if name in SETTINGS else "none"


def job_settings(spec: StudySpec, settings: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What the worker gets: the settings, and where it finds its data and leaves its weights."""
    machine = {name: value for name, value in spec.fixed.items() if name in MACHINE}
    return {**settings, **machine, "folder": str(folder.resolve())}


def _off(point: Point) -> dict[str, Any]:
    return {name: switched_off(name) for name in point.inactive}


def _from_metric(spec: StudySpec) -> dict[str, Any]:
    return {"best_by": spec.metric.name, "keep": spec.metric.of}
