"""Samplers and pruners by name, and draws that depend on the seed and the history alone."""

from __future__ import annotations

import math
import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np
import optuna
from optuna import pruners, samplers
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from searcher.contest import Judge
from searcher.forecasts import Forecast, ForecastPruner
from searcher.foretold import foretold
from searcher.guiding import Guide
from searcher.history import SIGN, History, Shown, View, without_values
from searcher.options import built
from searcher.percentiles import Median, Percentile
from searcher.ranges import grid_values
from searcher.repeats import repeat_of
from searcher.rungs import Hyperband, SuccessiveHalving
from searcher.starts import Start

Space = dict[str, BaseDistribution]
Options = Mapping[str, Any]


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


def _is_one_group(options: Options) -> bool:
    """Whether `tpe` samples together what all trials have: not one by one, and not in groups of its own."""
    return options.get("multivariate", True) and not options.get("group", False)


LEARNING = 10
"""Trials after which `tpe` and `gp` begin to learn: Optuna's default."""


@dataclass(frozen=True)
class SamplerKind:
    """A sampler by name: its class and its defaults, given the seeds and the space.

    `joint` says whether, with its options, it may be handed the declared space at once, instead of searching
    every recorded trial for the settings they have in common; `startup` how many trials it draws evenly
    before it learns, unless `n_startup_trials` says otherwise; `warm` that it learns from the trials of other
    studies; `complete` that it reads trials in state COMPLETE alone, and is shown stopped ones as such;
    `several` that it can search by several objectives, and `stopped` as what it is then shown stopped trials.
    """

    cls: type[samplers.BaseSampler]
    defaults: Callable[[Seeds, Space], dict[str, Any]] = _own
    joint: Callable[[Options], bool] = lambda options: False
    startup: int = 0
    warm: bool = False
    complete: bool = False
    several: bool = True
    stopped: View | None = None


SAMPLERS: dict[str, SamplerKind] = {
    "tpe": SamplerKind(samplers.TPESampler, _own, _is_one_group, LEARNING, warm=True, stopped=without_values),
    "gp": SamplerKind(
        samplers.GPSampler, _beside_random, lambda options: True, LEARNING, warm=True, complete=True
    ),
    "cma-es": SamplerKind(samplers.CmaEsSampler, _beside_tpe, startup=1, several=False),
    "random": SamplerKind(samplers.RandomSampler),
    "qmc": SamplerKind(samplers.QMCSampler, _one_sequence),
    "grid": SamplerKind(samplers.GridSampler, _one_order),
    "brute-force": SamplerKind(samplers.BruteForceSampler),
    "nsga-ii": SamplerKind(samplers.NSGAIISampler, stopped=foretold),
    "nsga-iii": SamplerKind(samplers.NSGAIIISampler, stopped=foretold),
}


@dataclass(frozen=True)
class PrunerKind:
    """A pruner by name: a class as Optuna has them, and our defaults for its options.

    `own` decides in its place, with the same options, where that takes longer the more trials there are, and
    where there are `several` objectives, with which Optuna's cannot deal.
    """

    cls: type[pruners.BasePruner]
    defaults: Options = field(default_factory=dict)
    own: Callable[..., Judge] | None = None
    several: bool = False


_HALVING = {"min_resource": 1}

PRUNERS: dict[str, PrunerKind] = {
    "none": PrunerKind(pruners.NopPruner, several=True),
    "asha": PrunerKind(pruners.SuccessiveHalvingPruner, _HALVING, SuccessiveHalving, several=True),
    "hyperband": PrunerKind(pruners.HyperbandPruner, own=Hyperband, several=True),
    "median": PrunerKind(pruners.MedianPruner, own=Median, several=True),
    "percentile": PrunerKind(pruners.PercentilePruner, {"percentile": 25.0}, Percentile, several=True),
    "forecast": PrunerKind(ForecastPruner, own=Forecast),
    "patient": PrunerKind(pruners.PatientPruner, {"wrapped_pruner": None, "patience": 5}),
    "threshold": PrunerKind(pruners.ThresholdPruner),
    "wilcoxon": PrunerKind(pruners.WilcoxonPruner),
}


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
    held: Mapping[str, Any] = MappingProxyType({}),
    several: bool = False,
    start: Start | None = None,
    guided: bool = True,
) -> Reproducible:
    """The sampler `name` with its options, reproducible (see `Reproducible`).

    `space` holds every setting that is searched, `always` those that no condition switches off; `held` are
    values of others, which all trials have. Trials of `earlier` studies have numbers below 0. With `several`
    objectives `tpe` samples settings one by one unless it is told otherwise, as Optuna does. The first trials
    are those of `start`; `gp` is `guided` after them (see `Guide`).
    """
    kind = SAMPLERS[name]

    def build(trial_seed: int) -> samplers.BaseSampler:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            startup = {"n_startup_trials": kind.startup} if kind.startup else {}
            base = kind.cls(**{**startup, **kind.defaults(Seeds(seed, trial_seed), space), **built(options)})
            return samplers.PartialFixedSampler(dict(held), base) if held else base

    is_alone = several and name == "tpe" and not options.get("multivariate", False)
    joint = always if kind.joint(options) and not is_alone else None
    view = foretold if kind.complete else kind.stopped if several else None
    shown = None if view is None else Shown(view)

    def seen(study: optuna.Study) -> Any:
        return History(study, earlier, shown=shown)

    learns = int(options.get("n_startup_trials", kind.startup))
    since = learns if is_guided(name, guided, several) else math.inf
    return Reproducible(build, seed, joint, seen, Guide(space, start, since))


def is_guided(name: str, wanted: bool, several: bool) -> bool:
    """Whether a sampler goes by the best trials and by where trials died: `gp` for one metric, if wanted."""
    return wanted and SAMPLERS[name].complete and not several


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
        seen: Callable[[optuna.Study], Any],
        guide: Guide,
    ) -> None:
        self._build = build
        self._seed = seed
        self._joint = joint
        self._seen = seen
        self._guide = guide
        self.number_of: Callable[[FrozenTrial], int] = lambda trial: trial.number
        """Which number a trial has; a rehearsal counts otherwise than Optuna."""
        self._inner = build(self._seed_of(0))

    def __str__(self) -> str:
        return type(self._inner).__name__

    def reseed_rng(self) -> None:
        """Nothing to do: draws differ between trials by their number."""

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """Bring in the sampler of this trial; a repeat has its values already."""
        if repeat_of(trial.user_attrs) is not None:
            return
        self._inner = self._build(self._seed_of(self.number_of(trial)))
        self._inner.before_trial(study, trial)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        """The settings that are sampled together."""
        if given := self._given(study, trial):
            return {name: self._guide.space[name] for name in given}
        if self._joint is not None:
            return self._ranges(study, trial, self._joint)
        return self._inner.infer_relative_search_space(self._seen(study), trial)

    def sample_relative(self, study: optuna.Study, trial: FrozenTrial, search_space: Space) -> dict[str, Any]:
        """Values for the settings that are sampled together."""
        if given := self._given(study, trial):
            return given
        return self._inner.sample_relative(self._seen(study), trial, search_space)

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """A value for one setting alone, whatever was drawn before it: an ask may be cut in two."""
        sampler = self._build(self._seed_of(self.number_of(trial), param_name))
        alone = self._ranges(study, trial, {param_name: param_distribution})
        return sampler.sample_independent(self._seen(study), trial, param_name, alone[param_name])

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Let the sampler note how the trial ended; of a repeat it knows nothing."""
        if repeat_of(trial.user_attrs) is not None:
            return
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Constraints have been set", UserWarning)
                self._inner.after_trial(study, trial, state, values)
        except RuntimeError as error:
            if "Study.stop" not in str(error):
                raise  # else it wishes to stop, having no more points: see `sampling.count_points`

    def _given(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, Any]:
        """What the trial is given of its point."""
        seed = self._seed_of(self.number_of(trial), "start")
        return self._guide.point(self.number_of(trial), self._told(study), _sign_of(study), seed)

    def _ranges(self, study: optuna.Study, trial: FrozenTrial, space: Space) -> Space:
        return self._guide.ranges(self.number_of(trial), space, self._told(study), _sign_of(study))

    def _told(self, study: optuna.Study) -> Callable[[], list[FrozenTrial]]:
        return lambda: list(self._seen(study).get_trials(deepcopy=False))

    def _seed_of(self, number: int, setting: str = "") -> int:
        words = [self._seed, number, zlib.crc32(setting.encode())]
        return int(np.random.SeedSequence(words).generate_state(1)[0])


def _sign_of(study: optuna.Study) -> float:
    """Of the first metric, the only one of a search that is guided."""
    return SIGN[study.directions[0]]
