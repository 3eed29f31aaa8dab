"""Samplers and pruners by name, and draws that depend on the seed and the history alone."""

from __future__ import annotations

import copy
import inspect
import warnings
import zlib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from searcher.contest import Judge
from searcher.foretold import foretold
from searcher.percentiles import Median, Percentile
from searcher.rungs import Hyperband, SuccessiveHalving

Space = dict[str, BaseDistribution]
Options = Mapping[str, Any]

SIGN = {StudyDirection.MINIMIZE: 1.0, StudyDirection.MAXIMIZE: -1.0}
"""What makes lower values of a metric the better ones."""


@dataclass(frozen=True)
class Seeds:
    """What a sampler's draws hang on: the seed of the study, and one of the trial's own."""

    study: int
    trial: int


def _own(seeds: Seeds, space: Space) -> dict[str, Any]:
    return {"seed": seeds.trial}


def _beside_random(seeds: Seeds, space: Space) -> dict[str, Any]:
    return {"seed": seeds.trial, "independent_sampler": samplers.RandomSampler(seed=seeds.trial)}


def _beside_tpe(seeds: Seeds, space: Space) -> dict[str, Any]:
    return {"seed": seeds.trial, "independent_sampler": samplers.TPESampler(seed=seeds.trial)}


def _one_sequence(seeds: Seeds, space: Space) -> dict[str, Any]:
    # The sequence is one for the whole study; only what lies outside it is drawn with the trial's seed.
    return {**_beside_random(seeds, space), "seed": seeds.study, "scramble": True}


def _one_order(seeds: Seeds, space: Space) -> dict[str, Any]:
    # The seed orders the grid's points, whose places are recorded: one order for the whole study.
    return {"seed": seeds.study, "search_space": {name: grid_values(name, d) for name, d in space.items()}}


@dataclass(frozen=True)
class SamplerKind:
    """A sampler by name: its class and its defaults, given the seeds and the space.

    `joint` says that it may be handed the declared space at once, instead of searching every
    recorded trial for the settings they have in common; `warm` that it learns from the trials of other
    studies; `foretold` that it knows completed trials alone, so that stopped ones are shown to it as such.
    """

    cls: type[samplers.BaseSampler]
    defaults: Callable[[Seeds, Space], dict[str, Any]] = _own
    joint: bool = False
    warm: bool = False
    foretold: bool = False


SAMPLERS: dict[str, SamplerKind] = {
    "tpe": SamplerKind(samplers.TPESampler, joint=True, warm=True),
    "gp": SamplerKind(samplers.GPSampler, _beside_random, joint=True, warm=True, foretold=True),
    "cma-es": SamplerKind(samplers.CmaEsSampler, _beside_tpe),
    "random": SamplerKind(samplers.RandomSampler),
    "qmc": SamplerKind(samplers.QMCSampler, _one_sequence),
    "grid": SamplerKind(samplers.GridSampler, _one_order),
    "brute-force": SamplerKind(samplers.BruteForceSampler),
    "nsga-ii": SamplerKind(samplers.NSGAIISampler),
    "nsga-iii": SamplerKind(samplers.NSGAIIISampler),
}


@dataclass(frozen=True)
class PrunerKind:
    """A pruner by name: Optuna's class and our defaults for its options.

    `own` decides in its place, with the same options, where Optuna's takes longer the more trials there are.
    """

    cls: type[pruners.BasePruner]
    defaults: Options = field(default_factory=dict)
    own: Callable[..., Judge] | None = None


_HALVING = {"min_resource": 1, "reduction_factor": 3}

PRUNERS: dict[str, PrunerKind] = {
    "none": PrunerKind(pruners.NopPruner),
    "asha": PrunerKind(pruners.SuccessiveHalvingPruner, _HALVING, SuccessiveHalving),
    "hyperband": PrunerKind(pruners.HyperbandPruner, own=Hyperband),
    "median": PrunerKind(pruners.MedianPruner, own=Median),
    "percentile": PrunerKind(pruners.PercentilePruner, {"percentile": 25.0}, Percentile),
    "patient": PrunerKind(pruners.PatientPruner, {"wrapped_pruner": None, "patience": 5}),
    "threshold": PrunerKind(pruners.ThresholdPruner),
    "wilcoxon": PrunerKind(pruners.WilcoxonPruner),
}


def options_of(cls: type[Any]) -> list[str]:
    """The options a sampler or pruner takes from a study file."""
    ours = {"self", "seed", "search_space", "independent_sampler", "constraints_func", "wrapped_pruner"}
    return [name for name in inspect.signature(cls.__init__).parameters if name not in ours]


def build_pruner(name: str, options: Options) -> pruners.BasePruner:
    """Optuna's pruner `name` with its options. Raises: ValueError or TypeError for options it refuses."""
    kind = PRUNERS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return kind.cls(**{**kind.defaults, **options})


def build_sampler(
    name: str,
    options: Options,
    seed: int,
    space: Space,
    always: Space,
    earlier: Sequence[FrozenTrial] = (),
) -> Reproducible:
    """The sampler `name` with its options, reproducible (see `Reproducible`).

    `space` holds every setting, `always` those that no condition switches off. Trials of `earlier` studies
    have numbers below 0.
    """
    kind = SAMPLERS[name]

    def build(trial_seed: int) -> samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return kind.cls(**{**kind.defaults(Seeds(seed, trial_seed), space), **options})

    def look(study: optuna.Study) -> Any:
        return _Seen(study, earlier, kind.foretold) if earlier or kind.foretold else study

    return Reproducible(build, seed, always if kind.joint else None, look)


class _Seen:
    """A study as its sampler sees it: with trials of earlier studies before its own, and where it knows no
    others all of those that were stopped as if they were completed."""

    def __init__(self, study: optuna.Study, earlier: Sequence[FrozenTrial], is_foretold: bool) -> None:
        self._study = study
        self._earlier = earlier
        self._is_foretold = is_foretold

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        return self._get_trials(deepcopy, states)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [*self._earlier, *self._study._get_trials(deepcopy=False, use_cache=use_cache)]
        if self._is_foretold:
            trials = foretold(trials, SIGN[self._study.direction])
        trials = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(trials) if deepcopy else trials


class Reproducible(samplers.BaseSampler):
    """A sampler whose draws for trial n depend on the study's seed, on n and on the history alone.

    Optuna's samplers carry a random state from trial to trial, which a killed process takes with it.
    Here every trial gets a fresh sampler, seeded with (seed, n): a study that was interrupted goes
    on as if it had not been, and no state has to be stored beside the trials.
    """

    def __init__(
        self,
        build: Callable[[int], samplers.BaseSampler],
        seed: int,
        joint: Space | None,
        look: Callable[[optuna.Study], Any],
    ) -> None:
        self._build = build
        self._seed = seed
        self._joint = joint
        self._look = look
        self._inner = build(self._seed_of(0))

    def __str__(self) -> str:
        return type(self._inner).__name__

    def reseed_rng(self) -> None:
        """Nothing to do: draws differ between trials by their number."""

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Bring in the sampler of this trial."""
        self._inner = self._build(self._seed_of(trial.number))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        """The settings that are sampled together."""
        if self._joint is not None:
            return self._joint
        return self._inner.infer_relative_search_space(self._look(study), trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """Values for the settings that are sampled together."""
        return self._inner.sample_relative(self._look(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value for one setting alone, whatever was drawn before it: an ask may be cut in two."""
        sampler = self._build(self._seed_of(trial.number, param_name))
        return sampler.sample_independent(self._look(study), trial, param_name, param_distribution)

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler note how the trial ended."""
        try:
            self._inner.after_trial(study, trial, state, values)
        except RuntimeError as error:
            if "Study.stop" not in str(error):
                raise  # else it wishes to stop, having no more points: see `space.count_points`

    def _seed_of(self, number: int, setting: str = "") -> int:
        words = [self._seed, number, zlib.crc32(setting.encode())]
        return int(np.random.SeedSequence(words).generate_state(1)[0])


def grid_values(name: str, distribution: BaseDistribution) -> list[Any]:
    """Every value of a setting. Raises: ValueError for a range without steps."""
    if isinstance(distribution, CategoricalDistribution):
        return list(distribution.choices)
    if isinstance(distribution, IntDistribution) and not distribution.log:
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    if isinstance(distribution, FloatDistribution) and distribution.step is not None:
        count = round((distribution.high - distribution.low) / distribution.step) + 1
        return [distribution.low + i * distribution.step for i in range(count)]
    raise ValueError(f"{name} is a range without steps; a grid needs choices, whole numbers or a step")
