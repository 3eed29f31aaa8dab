"""What the names in a study file mean: settings, choices, conditions, metric, sampler, pruner, launcher."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import combinations_with_replacement, product
from pathlib import Path
from typing import Any

from searcher.contest import Contest
from searcher.errors import Mistake, SpecError
from searcher.identity import MACHINE
from searcher.launchers import LAUNCHERS
from searcher.pruning import build_judge
from searcher.samplers import PRUNERS, SAMPLERS, build_sampler, options_of
from searcher.space import (
    conditions_first,
    count_points,
    distributions,
    find_cycle,
    unconditional,
    unusable_values,
)
from searcher.spec import Changes, Choices, Dispatch, StudySpec, read_spec, salvage
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
        rest = None if "file" in known else salvage(path, changes, broken.mistakes)
        more = [m for m in _mistakes(rest, text) if m.place not in known] if rest is not None else []
        raise SpecError(broken.source, [*broken.mistakes, *more]) from None
    check(spec, str(path), text)
    return spec


def check(spec: StudySpec, source: str, text: str = "") -> None:
    """Raises: SpecError with every mistake at once, each with its place in the file."""
    found = _mistakes(spec, text)
    if found:
        raise SpecError(source, found)


def _mistakes(spec: StudySpec, text: str) -> list[Mistake]:
    found = [
        *_conditions(spec),
        *search_mistakes(spec),
        *_warm_start(spec),
        *_enqueued(spec),
        *_dispatch(spec),
    ]
    if is_replay(spec.trainer):
        found += [*table_mistakes(spec)]
    elif spec.trainer is None:
        found += [*_settings(spec), *_metric(spec)]
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


def _metric(spec: StudySpec) -> Found:
    known = metric_names(str(spec.fixed.get("task", "auto")))
    if spec.metric.name not in known:
        yield "metric.name", unknown(spec.metric.name, known)
    elif spec.metric.goal != goal_of(spec.metric.name):
        better = "larger" if spec.metric.goal == "minimize" else "smaller"
        yield (
            "metric.goal",
            f"{spec.metric.name} is the better the {better} it is: say goal = {goal_of(spec.metric.name)!r}",
        )


def search_mistakes(spec: StudySpec) -> Found:
    sampler, pruner = spec.search.sampler, spec.search.pruner
    if sampler.name not in SAMPLERS:
        yield "search.sampler", unknown(sampler.name, SAMPLERS)
    else:
        space, always = distributions(spec), unconditional(spec)
        yield from _part(
            "search.sampler",
            sampler.options,
            options_of(SAMPLERS[sampler.name].cls),
            lambda: (
                build_sampler(sampler.name, sampler.options, spec.search.seed, space, always),
                [] if any(_conditions(spec)) else count_points(spec),
            ),
        )
    if pruner.name not in PRUNERS:
        yield "search.pruner", unknown(pruner.name, PRUNERS)
    else:
        yield from _part(
            "search.pruner",
            pruner.options,
            options_of(PRUNERS[pruner.name].cls),
            lambda: build_judge(pruner.name, pruner.options, Contest(spec.name, spec.metric.goal)),
        )


def _warm_start(spec: StudySpec) -> Found:
    sampler = spec.search.sampler.name
    if spec.search.warm_start and sampler in SAMPLERS and not SAMPLERS[sampler].warm:
        warm = ", ".join(name for name, kind in SAMPLERS.items() if kind.warm)
        yield (
            "search.warm_start",
            f"the sampler {sampler!r} learns nothing from other studies; choose from: {warm}",
        )


def _enqueued(spec: StudySpec) -> Found:
    for place, point in enumerate(spec.enqueue):
        for name, message in unusable_values(point, spec):
            fixed = name in spec.train and name not in spec.space
            yield f"enqueue.{place}.{name}", "is fixed in [train]; leave it out" if fixed else message
    if spec.enqueue and spec.search.sampler.name == "grid":
        yield "enqueue", "is not for the sampler 'grid', which tries every point in its own order"


def _part(place: str, options: Mapping[str, Any], known: list[str], build: Callable[[], object]) -> Found:
    strange = [name for name in options if name not in known]
    for name in strange:
        yield place, f"has no option {name!r}; {choices(name, known)}"
    if strange:
        return
    try:
        build()
    except ImportError as error:
        yield place, f"needs a package that is not installed: {error}"
    except (ValueError, TypeError) as error:
        yield place, str(error)


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
