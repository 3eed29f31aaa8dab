"""What the names in a study file mean: settings, choices, conditions, metric, sampler, pruner, launcher."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from searcher.dispatch import Dispatch
from searcher.errors import Mistake, SpecError
from searcher.feasibility import known_names
from searcher.identity import MACHINE
from searcher.launchers import LAUNCHERS
from searcher.search_checks import search_mistakes
from searcher.space import (
    conditions_first,
    find_cycle,
)
from searcher.spec import Changes, Choices, StudySpec, read_spec, read_toml
from searcher.tabulated import table_mistakes
from searcher.toml_lines import line_of, lines_of
from trainers.choices import choices, unknown
from trainers.config import SETTINGS, TrialConfig, check_setting, config_from, unknown_setting, uses_own_code
from trainers.data import check_data, data_kind
from trainers.errors import SettingError
from trainers.losses import goal_of, metric_names
from trainers.models import MODELS
from trainers.owncode import load_object
from trainers.tabulated import is_replay

Found = Iterator[tuple[str, str]]


def read_checked(path: Path, changes: Changes) -> StudySpec:
    """The study file at `path` with `changes` laid over it, found in order.

    Raises: SpecError with every mistake at once, in its structure and in what its names mean.
    """
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    try:
        spec = read_spec(path, changes)
    except SpecError as broken:
        known = {mistake.place for mistake in broken.mistakes}
        rest = None if "file" in known else _salvaged(path, changes, broken.mistakes)
        more = [m for m in _mistakes(rest, text) if m.place not in known] if rest is not None else []
        raise SpecError(broken.source, [*broken.mistakes, *more]) from None
    check(spec, str(path), text)
    return spec


def _salvaged(path: Path, changes: Changes, mistakes: Sequence[Mistake]) -> StudySpec | None:
    """What the study file at `path` is without the entries that are `mistakes`, so that the rest can be
    looked at as well; None when too little is left."""
    _, raw = read_toml(path, changes)
    gone = {mistake.place.partition(".")[::2] for mistake in mistakes}
    for section, rest in gone:
        part, name = raw.get(section), rest.partition(".")[0]
        if isinstance(part, dict) and name and section != "metric":
            part.pop(name, None)
        else:
            raw.pop(section, None)
    space = raw.get("space") or {"seed": [0]}
    lost = {rest.partition(".")[0] for section, rest in gone if section == "space"}
    listed = raw.pop("enqueue", []) if raw.get("space") else []
    points = [{name: value for name, value in point.items() if name not in lost} for point in listed]
    for setting in space.values():
        if isinstance(setting, dict) and lost & set(setting.get("when", {})):
            setting.pop("when")  # it waits for a setting that is a mistake itself
    search = {"trials": 1, **raw.get("search", {})}
    try:
        whole = {"name": "nameless", **raw, "space": space, "search": search, "enqueue": points}
        return StudySpec.model_validate(whole)
    except ValidationError:
        return None


def check(spec: StudySpec, source: str, text: str = "") -> None:
    """Raises: SpecError with every mistake at once, each with its place in the file."""
    found = _mistakes(spec, text)
    if found:
        raise SpecError(source, found)


def _mistakes(spec: StudySpec, text: str) -> list[Mistake]:
    conditions = [*_conditions(spec)]
    found = [*conditions, *_twice(spec), *search_mistakes(spec, sound=not conditions), *_dispatch(spec)]
    if is_replay(spec.trainer):
        found += [*table_mistakes(spec)]
    elif spec.trainer is None:
        found += [*_settings(spec), *_metrics(spec)]
        found += [] if found else [*_together(spec)]
    lines = lines_of(text)
    return [Mistake(place, message, line_of(place, lines)) for place, message in found]


def check_sources(spec: StudySpec) -> None:
    """Say before any worker starts that the data are not there or that own code cannot be imported.

    Fetches a public data set that is not here yet. Raises: DataError, OwnCodeError.
    """
    if is_replay(spec.trainer):
        return  # the table was read to see whether the study fits
    if spec.trainer is not None:
        load_object(spec.trainer, "trainer")
        return
    for settings in _points_of_sources(spec):
        config = config_from(settings)
        if config.model not in MODELS:
            load_object(config.model, "model")
        check_data(config)


def _settings(spec: StudySpec) -> Found:
    own_code = uses_own_code(spec.fixed) or any(
        uses_own_code({name: value}) for name, setting in spec.space.items() for value in setting.examples
    )
    for name, value in spec.fixed.items():
        yield from _setting(f"train.{name}", name, [value], own_code)
    for name, setting in spec.space.items():
        yield from _setting(f"space.{name}", name, setting.examples, own_code)
        if name in MACHINE:
            yield f"space.{name}", "says where a trial is trained, not what; give it one value in [train]"
        if name in spec.fixed:
            yield f"space.{name}", "is fixed in [train] and searched in [space]; keep one of the two"


def _setting(place: str, name: str, values: list[Any], own_code: bool) -> Found:
    if name not in SETTINGS:
        if not own_code:
            yield place, unknown_setting(name)
        return
    for value in values:
        problem = check_setting(name, value)
        if problem is not None:
            yield place, problem


def _conditions(spec: StudySpec) -> Found:
    for name, setting in spec.space.items():
        for other, allowed in setting.when.items():
            place = f"space.{name}"
            if other not in spec.space:
                yield (
                    place,
                    f"its condition names {other!r}, which is not searched; {choices(other, spec.space)}",
                )
                continue
            known = spec.space[other]
            if isinstance(known, Choices):
                for value in (value for value in allowed if value not in known.choices):
                    there = choices(value, [str(choice) for choice in known.choices])
                    yield place, f"its condition waits for {other} = {value!r}, never chosen; {there}"
    whens = {
        name: {other: v for other, v in setting.when.items() if other in spec.space}
        for name, setting in spec.space.items()
    }
    for name in find_cycle(whens):
        yield f"space.{name}", "its condition waits, over others, for itself"


def _metrics(spec: StudySpec) -> Found:
    """The first objective is a metric, the others may be anything that a constraint may name."""
    metrics = metric_names(str(spec.fixed.get("task", "auto")))
    for place, metric in enumerate(spec.metrics):
        known = known_names(spec) if place else None
        if metric.name not in (known or metrics):
            yield f"{spec.place_of(metric)}.name", unknown(metric.name, known or metrics)
        elif metric.name in metrics and metric.goal != goal_of(metric.name):
            better = "larger" if metric.goal == "minimize" else "smaller"
            yield (
                f"{spec.place_of(metric)}.goal",
                f"{metric.name} is the better the {better} it is: say goal = {goal_of(metric.name)!r}",
            )


def _twice(spec: StudySpec) -> Found:
    names = [metric.name for metric in spec.metrics]
    for place, name in enumerate(names):
        if name in names[:place]:
            yield f"metric.{place}.name", f"{name!r} stands there twice; leave one out"


def _dispatch(spec: StudySpec) -> Found:
    if spec.dispatch.launcher not in LAUNCHERS:
        yield "dispatch.launcher", unknown(spec.dispatch.launcher, LAUNCHERS)
    yield from _dispatch_of(spec.dispatch)
    device = str(spec.fixed.get("device", "auto"))
    if spec.trainer is None and spec.dispatch.launcher in ("local", "ray") and device.startswith("cuda:"):
        yield (
            "train.device",
            f"{device!r} names one GPU, but each worker sees only its own: say 'cuda', and choose GPUs by "
            "CUDA_VISIBLE_DEVICES",
        )


def _dispatch_of(dispatch: Dispatch) -> Found:
    """Settings of `[dispatch]` that the launcher has no use for."""
    if dispatch.launcher == "ray" and dispatch.devices is not None:
        yield "dispatch.devices", "is for the launcher 'local': a Ray cluster gives out its devices by itself"
    if dispatch.launcher == "ray" and dispatch.slots_per_device == "auto":
        yield "dispatch.slots_per_device", "'auto' is for the launcher 'local'; give a number for 'ray'"
    if dispatch.launcher != "ray" and dispatch.address is not None:
        yield "dispatch.address", f"is for the launcher 'ray', but the launcher is {dispatch.launcher!r}"


def _together(spec: StudySpec) -> Found:
    """Values that are fine alone but not with others: all pairs, beside the first and last of the rest."""
    seen: set[tuple[str, str]] = set()
    examples = [(name, value) for name, setting in spec.space.items() for value in setting.examples]
    for place_of_rest, pair in product((0, -1), combinations_with_replacement(examples, 2)):
        try:
            _check_reads(config_from(_point(spec, pair, place_of_rest)))
        except SettingError as error:
            for blamed, message in error.mistakes.items():
                place = f"space.{blamed}" if blamed in spec.space else f"train.{blamed}"
                if (place, message) not in seen:
                    seen.add((place, message))
                    yield place, message


def _point(spec: StudySpec, wanted: Iterable[tuple[str, Any]] = (), rest: int = 0) -> dict[str, Any]:
    """The settings of a trial: the wanted values, what they wait for, and example `rest` of the others."""
    chosen: dict[str, Any] = {}
    for name, _ in wanted:
        chosen |= _waits_for(spec, name)
    chosen |= dict(wanted)
    point: dict[str, Any] = {}
    for name in conditions_first(spec):
        setting = spec.space[name]
        if all(point.get(other) in allowed for other, allowed in setting.when.items()):
            point[name] = chosen.get(name, setting.examples[rest])
    return {**point, **spec.fixed}


def _waits_for(spec: StudySpec, name: str) -> dict[str, Any]:
    """Values that switch `name` on, those its conditions wait for included."""
    found: dict[str, Any] = {}
    for other, allowed in spec.space[name].when.items():
        found |= {**_waits_for(spec, other), other: allowed[0]}
    return found


def _points_of_sources(spec: StudySpec) -> Iterator[dict[str, Any]]:
    """A point for every data set, label column and model that is searched over, else the first point."""
    names = [name for name in ("data", "target", "model") if name in spec.space]
    searched = [[(name, value)] for name in names for value in spec.space[name].examples]
    return (_point(spec, wanted) for wanted in searched or [[]])


def _check_reads(config: TrialConfig) -> None:
    """Raises: SettingError when the model cannot read data of this kind."""
    model, kind = MODELS.get(config.model), data_kind(config.data)
    if model is not None and kind is not None and kind not in model.reads:
        fitting = ", ".join(name for name, known in MODELS.items() if kind in known.reads)
        raise SettingError(
            {
                "model": f"{config.model!r} reads {' or '.join(model.reads)}, but {config.data!r} holds "
                f"{kind}; choose from: {fitting}"
            }
        )
