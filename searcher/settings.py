"""The settings of a trial: fixed and sampled ones, and the defaults of the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from searcher.confirming import SEED, base_seed
from searcher.identity import MACHINE
from searcher.launchers.job import Job
from searcher.memory import predicted_micro_batch, predicted_peak_mb
from searcher.records import trial_folder
from searcher.repeats import Repeat
from searcher.space import Point
from searcher.spec import StudySpec
from searcher.tabulated import nearest
from searcher.trial import TrialResult
from trainers.config import SETTINGS, config_from, default_of
from trainers.tabulated import LINE, is_replay


def settings_of(spec: StudySpec, point: Point, repeat: Repeat | None = None) -> dict[str, Any]:
    """Every setting of a trial, as it is recorded: no machine's paths among them.

    An inactive setting has its default, so that no trial lacks a value. A `repeat` has a seed of its own.
    """
    given = {**spec.fixed, **point.sampled, **({} if repeat is None else {SEED: repeat.seed})}
    if spec.trainer is not None:
        where = {LINE: nearest(spec, point.sampled).line} if is_replay(spec.trainer) else {}
        return {**_off(point), **given, **where}
    settings = config_from({**given, **_from_metric(spec)}).settings()
    return {name: value for name, value in settings.items() if name not in MACHINE}


def refused_settings(spec: StudySpec, point: Point) -> dict[str, Any]:
    """The settings of a trial that cannot be used together, as far as they are known, to be recorded."""
    given = {**_off(point), **spec.fixed, **point.sampled}
    return {name: value for name, value in given.items() if name not in MACHINE}


def switched_off(name: str) -> Any:
    """The value of a setting that is switched off: its default, `none` where it is of own code."""
    return default_of(name) if name in SETTINGS else "none"


def job_of(
    spec: StudySpec,
    number: int,
    settings: Mapping[str, Any],
    runs: Path,
    alike: Sequence[TrialResult],
    slots: int,
) -> Job:
    """What the worker of a trial gets.

    The settings, where it finds its data and leaves its files, how often it keeps its state, and what the
    memory of trials that are `alike` says about its own.
    """
    folder = str(trial_folder(runs, number).resolve())
    machine = {name: value for name, value in spec.fixed.items() if name in MACHINE}
    if spec.trainer is not None:
        seed = {SEED: base_seed(spec)} if spec.search.confirm else {}  # that of a repeat is a setting of it
        return Job(number, spec.trainer, {**seed, **settings, **machine, "folder": folder})
    dispatch, parts = spec.dispatch, predicted_micro_batch(settings, alike)
    kept = {"save_every": dispatch.state_seconds, "state_mb": dispatch.states_gb * 1000 / max(slots, 1)}
    ours = {**kept, **({} if parts is None else {"micro_batch": parts}), "folder": folder}
    return Job(number, None, {**ours, **settings, **machine}, predicted_peak_mb(settings, alike))


def _off(point: Point) -> dict[str, Any]:
    return {name: switched_off(name) for name in point.inactive}


def _from_metric(spec: StudySpec) -> dict[str, Any]:
    return {"best_by": spec.metric.name, "keep": spec.metric.of}
