"""Which sampler a study gets: the one it names, or by the rule of `auto`; for all settings, or some of them.

The study file alone decides, so that a study that is stopped and started goes on as it began. The rule and
its reasons are in docs/samplers.md.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial

from searcher.ranges import count_values, grid_values
from searcher.samplers import LEARNING, SAMPLERS, Reproducible, build_sampler, is_guided
from searcher.space import conditions_first, distribution_of, holds, value_in
from searcher.spec import Conditions, Named, StudySpec
from searcher.starts import EVERY, Start, nearest
from trainers.config import SETTINGS, default_of

AUTO, PARTIAL = "auto", "partial-fixed"

NAMES = (*SAMPLERS, AUTO, PARTIAL)
"""What a study file may name as its sampler."""

GP_TRIALS = 250
"""Trials up to which `gp` is chosen: the bound of AutoSampler on OptunaHub."""

CONDITIONAL = 3
"""At most one setting in so many may have a condition for `gp`, which draws those at random (house rule)."""

GP_SETTINGS = 20
"""Settings up to which `gp` is chosen: "best-suited for optimization over continuous domains of less than 20
dimensions" (Frazier, A Tutorial on Bayesian Optimization, arXiv:1807.02811)."""

CMA_TRIALS = 1000
"""Trials from which on `cma-es` is chosen: the budget that Optuna's documentation recommends it for."""

GENETIC_TRIALS = 10_000
"""Trials from which on `nsga-ii` is chosen: an ask of `tpe` looks at all trials before it."""


FRONT_TRIALS = 1000
"""Trials from which on a genetic algorithm is chosen for several metrics: Optuna's documentation recommends
`tpe` for 100 to 1,000 trials, and them for up to 10,000."""

MOST_FOR_CROWDING = 3
"""Metrics up to which that is `nsga-ii`: `nsga-iii` was made for four and more (Deb and Jain, IEEE
Transactions on Evolutionary Computation 18, 2014)."""

GP_METRICS = 3
"""Metrics up to which `gp` is chosen: what it maximizes takes the longer, the more of them there are."""


@dataclass(frozen=True)
class Chosen:
    """A sampler with its options, the settings that are held at values, and why `auto` has chosen it; empty
    where the study file names it."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    held: Mapping[str, Any] = field(default_factory=dict)
    why: str = ""

    def __str__(self) -> str:
        held = ", ".join(f"{name} = {value}" for name, value in self.held.items())
        text = f"{self.name}, with {held} held" if held else self.name
        return f"{text}, chosen by auto: {self.why}" if self.why else text


def base_of(spec: StudySpec) -> tuple[Named, Mapping[str, Any]]:
    """The sampler that a study file names for the settings that are not held, and those that are."""
    part = spec.search.sampler
    if part.name != PARTIAL:
        return part, {}
    base = part.options.get("base", "tpe")
    fixed = {name: (distribution_of(name, spec.space[name]), v) for name, v in part.options["fixed"].items()}
    held = {name: value_in(distribution, value) for name, (distribution, value) in fixed.items()}
    return Named.model_validate({"name": base} if isinstance(base, str) else base), held


def chosen(spec: StudySpec) -> Chosen:
    """The sampler of a study without mistakes."""
    base, held = base_of(spec)
    if base.name != AUTO:
        return Chosen(base.name, base.options, held)
    name, why = _by_rule(spec, held)
    return Chosen(name, {}, held, why)


def sampler_of(spec: StudySpec, earlier: Sequence[FrozenTrial] = ()) -> Reproducible:
    """The sampler of a study, which `earlier` trials of other studies guide. Raises: ValueError, TypeError or
    ImportError when its options or the space do not suit it."""
    plan = chosen(spec)
    free = _free(spec, plan.held)
    space = {name: distribution_of(name, spec.space[name]) for name in free}
    always = {name: space[name] for name, when in free.items() if not when}
    seed, several = spec.search.seed, spec.is_several
    start, guided = _start(spec, plan), spec.search.guided
    return build_sampler(
        plan.name, plan.options, seed, space, always, earlier, plan.held, several, start, guided
    )


def sampler_notes(spec: StudySpec) -> tuple[str, ...]:
    """What a person is told of the sampler when the study starts: what `auto` has chosen, and why."""
    plan = chosen(spec)
    notes = [f"sampler: {plan}"] if plan.why else []
    start = _start(spec, plan)
    if start is not None:
        middle = "the best so far" if start.followed else "them"
        around = f", and {EVERY - 1} in {EVERY} of the first {start.count} lie around {middle}"
        others = around if start.count > 2 else ""  # the second one is drawn from the whole space
        notes.append(f"start: the first trial has the defaults of the training{others}")
    if is_guided(plan.name, spec.search.guided, spec.is_several):
        notes.append("guided: half of the later trials lie around the best, all of them where trials live")
    return tuple(notes)


def count_points(spec: StudySpec) -> int | None:
    """How many points there are for a sampler that tries each of them once; None for all others."""
    plan = chosen(spec)
    if plan.name not in ("grid", "brute-force"):
        return None
    free = _free(spec, plan.held)
    values = {name: grid_values(name, distribution_of(name, spec.space[name])) for name in free}
    if plan.name == "grid":  # it counts settings that are switched off like any other
        return math.prod(len(choices) for choices in values.values())
    return _count(spec, math.inf)


def _start(spec: StudySpec, plan: Chosen) -> Start | None:
    """The first points of a sampler that would draw its first ones evenly; None where there is nothing to
    start from."""
    count = int(plan.options.get("n_startup_trials", SAMPLERS[plan.name].startup))
    defaults = _to_start_from(spec, plan.held)
    if not count or not defaults:
        return None
    space = {name: distribution_of(name, spec.space[name]) for name in defaults}
    return Start(space, defaults, count, followed=not spec.is_several)


def _to_start_from(spec: StudySpec, held: Mapping[str, Any]) -> dict[str, Any]:
    """What the trainer that comes along takes for the settings that are searched, as near as the space has
    it; of own trainers that is not known. Nothing where the study is to start elsewhere, as with a warm
    start."""
    if spec.trainer is not None or spec.search.start != "defaults" or spec.search.warm_start:
        return {}
    known = {name: default_of(name) for name in _free(spec, held) if name in SETTINGS}
    found = {name: nearest(distribution_of(name, spec.space[name]), value) for name, value in known.items()}
    return {name: value for name, value in found.items() if value is not None}


def _by_rule(spec: StudySpec, held: Mapping[str, Any]) -> tuple[str, str]:
    """The sampler for a space and a budget, and why."""
    trials, free = spec.search.trials, _free(spec, held)
    space = {name: distribution_of(name, spec.space[name]) for name in free}
    plain = not any(isinstance(d, CategoricalDistribution) for d in space.values())
    plain = plain and not any(free.values())
    is_warm = bool(spec.search.warm_start)
    if trials is not None and not is_warm:
        points = None if held else _count(spec, trials)
        if points is not None:
            return "brute-force", f"there are {points} points, and {trials} trials try them all"
        at_once = spec.dispatch.slots or 1
        if trials <= max(LEARNING, at_once) and not _to_start_from(spec, held):
            few = f"{trials} trials are too few to learn from"
            why = few if trials > at_once else "all trials run at once"
            return ("qmc", f"{why}, and it is more even than chance") if plain else ("random", why)
    return _that_learns(spec, free, plain, is_warm)


def _that_learns(
    spec: StudySpec, free: Mapping[str, Conditions], plain: bool, is_warm: bool
) -> tuple[str, str]:
    trials, settings = spec.search.trials, len(free)
    many = trials if trials is not None and not is_warm else 0
    if spec.is_several and many >= FRONT_TRIALS:
        name = "nsga-ii" if len(spec.metrics) <= MOST_FOR_CROWDING else "nsga-iii"
        return name, f"there are several metrics, and {FRONT_TRIALS} trials or more"
    if not plain and many >= GENETIC_TRIALS:
        return "nsga-ii", f"tpe would look at up to {trials} trials before each point"
    if sum(bool(when) for when in free.values()) * CONDITIONAL > settings:
        return "tpe", f"more than one setting in {CONDITIONAL} has a condition"
    if trials is None:
        return "tpe", "the budget does not say how many trials there will be"
    if spec.is_several and len(spec.metrics) > GP_METRICS:
        return "tpe", f"gp takes too long for more than {GP_METRICS} metrics"
    if trials <= GP_TRIALS and settings <= GP_SETTINGS:
        return "gp", f"there are no more than {GP_TRIALS} trials and {GP_SETTINGS} settings"
    if plain and many >= CMA_TRIALS and settings > 1 and not spec.search.constraints and not spec.is_several:
        return "cma-es", f"all settings are numbers, and there are {CMA_TRIALS} trials or more"
    return "tpe", f"there are too many {'trials' if trials > GP_TRIALS else 'settings'} for gp"


def _free(spec: StudySpec, held: Mapping[str, Any]) -> dict[str, Conditions]:
    """The settings that are searched when some are held, and what is left of their conditions."""
    found: dict[str, Conditions] = {}
    for name in conditions_first(spec):
        when = spec.space[name].when
        decided = {other: values for other, values in when.items() if other in held}
        lost = any(other not in held and other not in found for other in when)
        if name not in held and not lost and holds(decided, held):
            found[name] = {other: values for other, values in when.items() if other not in held}
    return {name: found[name] for name in spec.space if name in found}


def _count(spec: StudySpec, most: float) -> int | None:
    """How many points the space has, with its conditions; None when they are more than `most`, or there is
    no end of them."""
    points: list[dict[str, Any]] = [{}]
    for name in conditions_first(spec):
        distribution, when = distribution_of(name, spec.space[name]), spec.space[name].when
        active = [point for point in points if holds(when, point)]
        if len(points) + len(active) * (count_values(distribution) - 1) > most:
            return None
        values = grid_values(name, distribution)
        points = [point for point in points if not holds(when, point)]
        points += [{**point, name: value} for point in active for value in values]
    return len(points)
