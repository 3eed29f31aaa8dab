"""What is wrong with the section [search] of a study file, and with the points it lists."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from searcher.confirming import SEED
from searcher.extending import EPOCHS
from searcher.feasibility import known_names
from searcher.options import option_mistakes
from searcher.pruning import judge_of
from searcher.samplers import PRUNERS, SAMPLERS
from searcher.sampling import AUTO, NAMES, PARTIAL, base_of, chosen, count_points, sampler_of
from searcher.space import unusable_values
from searcher.spec import StudySpec
from trainers.choices import choices, unknown
from trainers.parts.schedules import LASTING
from trainers.tabulated import is_replay

Found = Iterator[tuple[str, str]]

SAMPLER = "search.sampler"


def search_mistakes(spec: StudySpec, sound: bool) -> Found:
    """Every mistake, with its place; `sound` says that the conditions of the space can be followed."""
    of_sampler = list(_sampler(spec))
    can_choose = sound and not of_sampler
    yield from ((SAMPLER, message) for message in of_sampler or (_unsuited(spec) if sound else ()))
    yield from (("search.pruner", message) for message in _pruner(spec))
    name = chosen(spec).name if can_choose else spec.search.sampler.name
    if spec.search.warm_start and name in SAMPLERS and not SAMPLERS[name].warm:
        warm = ", ".join(name for name, kind in SAMPLERS.items() if kind.warm)
        yield (
            "search.warm_start",
            f"the sampler {name!r} learns nothing from other studies; choose from: {warm}",
        )
    yield from _limits(spec)
    yield from _confirm(spec)
    yield from _extend(spec)
    yield from _enqueued(spec)
    if spec.enqueue and name == "grid":
        yield "enqueue", "is not for the sampler 'grid', which tries every point in its own order"


def _sampler(spec: StudySpec) -> Iterator[str]:
    """What is wrong with the names and options of the sampler, whatever the space is."""
    part = spec.search.sampler
    if part.name not in NAMES:
        yield unknown(part.name, NAMES)
        return
    if part.name == PARTIAL and (found := list(_partial(spec, part.options))):
        yield from found
        return
    base, _ = base_of(spec)
    if spec.is_several and base.name != AUTO and not SAMPLERS[base.name].several:
        there = ", ".join([*(name for name, kind in SAMPLERS.items() if kind.several), AUTO])
        yield f"{base.name!r} searches by one metric, but there are {len(spec.metrics)}; choose from: {there}"
    elif base.name == AUTO:
        if base.options:
            yield f"'auto' has no options, but got {', '.join(base.options)}; name a sampler to give it some"
    else:
        yield from option_mistakes(SAMPLERS[base.name].cls, base.options)


def _partial(spec: StudySpec, options: Mapping[str, Any]) -> Iterator[str]:
    known = ("fixed", "base")
    for name in options:
        if name not in known:
            yield f"has no option {name!r}; {choices(name, known)}"
    fixed = options.get("fixed")
    if not isinstance(fixed, Mapping) or not fixed:
        example = next(iter(spec.space))
        yield f"needs the settings to hold, such as fixed = {{ {example} = ... }}, but got {fixed!r}"
    else:
        for name, message in unusable_values(fixed, spec, alone=True):
            yield f"fixed: {name} is fixed in [train]" if name in spec.train else f"fixed: {name}: {message}"
        if set(fixed) >= set(spec.space):
            yield "holds every setting, so that nothing is left to search"
    base = options.get("base", "tpe")
    named: object = base.get("name") if isinstance(base, Mapping) else base
    if not isinstance(named, str):
        yield f"base needs a sampler's name, or a table with a name and options, but got {base!r}"
    elif named == "brute-force":
        yield "base: 'brute-force' would also try the other values of what is held; use 'grid'"
    elif named not in (*SAMPLERS, AUTO):
        yield f"base: {unknown(named, [*SAMPLERS, AUTO])}"


def _unsuited(spec: StudySpec) -> Iterator[str]:
    """Why a sampler that is named rightly cannot be had for this space, or here."""
    plan = chosen(spec)
    try:
        sampler_of(spec)
        count_points(spec)
    except ImportError as error:
        way = "; install it, or name another sampler" if plan.why else ""
        who = f"auto chooses {plan.name}, which " if plan.why else ""
        yield f"{who}needs a package that is not installed: {error}{way}"
    except (ValueError, TypeError) as error:
        yield str(error)


def _pruner(spec: StudySpec) -> Iterator[str]:
    pruner = spec.search.pruner
    if pruner.name not in PRUNERS:
        yield unknown(pruner.name, PRUNERS)
        return
    found = list(option_mistakes(PRUNERS[pruner.name].cls, pruner.options))
    yield from found or _refused(lambda: judge_of(spec, pruner))


def _refused(build: Callable[[], object]) -> Iterator[str]:
    try:
        build()
    except (ValueError, TypeError) as error:
        yield str(error)


def _limits(spec: StudySpec) -> Found:
    known = known_names(spec)
    for constraint in spec.search.limits:
        if known is not None and constraint.name not in known:
            yield "search.constraints", f"{str(constraint)!r}: {unknown(constraint.name, known)}"


def _confirm(spec: StudySpec) -> Found:
    """Why trials cannot be trained again with another seed alone."""
    if not spec.search.confirm:
        return
    place, seed = "search.confirm", spec.fixed.get(SEED, 0)
    if spec.is_several:
        yield place, "names one best trial, but there are several metrics; leave confirm out"
    elif is_replay(spec.trainer):
        yield place, "a table of recorded trainings has no other seeds to train with; leave confirm out"
    elif SEED in spec.space:
        yield (
            place,
            f"[space] searches {SEED}, in which repeats differ; search without it, or leave confirm out",
        )
    elif not isinstance(seed, int) or isinstance(seed, bool):
        yield place, f"repeats count up from train.{SEED}, which has to be a whole number, but is {seed!r}"


def _extend(spec: StudySpec) -> Found:
    """Why no trial can go on beyond its planned epochs."""
    if spec.search.extend == 1:
        return
    place = "search.extend"
    if spec.trainer is not None:
        yield place, "is for the trainer that comes along: another one ends when it says so; leave extend out"
        return
    if spec.is_several:
        yield (
            place,
            "goes by what comes up to the best trial, but there are several metrics; leave extend out",
        )
    if EPOCHS in spec.space:
        yield place, f"[space] searches {EPOCHS}, which a trial would leave; take it out, or leave extend out"
    schedule = spec.space.get("schedule")
    values = [spec.fixed.get("schedule", "constant")] if schedule is None else schedule.examples
    if not set(values) & set(LASTING):
        named = ", ".join(map(str, values))
        yield (
            place,
            f"no trial can go on under the schedule {named}, which ends with the planned epochs; choose "
            f"from: {', '.join(LASTING)}, or leave extend out",
        )


def _enqueued(spec: StudySpec) -> Found:
    for place, point in enumerate(spec.enqueue):
        for name, message in unusable_values(point, spec):
            fixed = name in spec.train and name not in spec.space
            yield f"enqueue.{place}.{name}", "is fixed in [train]; leave it out" if fixed else message
