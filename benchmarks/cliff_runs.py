"""One search of the cliff study: the product's sampler and pruner on trainings that take no time.

A doomed trial is told to the sampler in one of several ways; all else is as in a study. With blame it says
nothing of settings that its diagnosis does not blame.
"""

from __future__ import annotations

import contextlib
import copy
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import optuna
from optuna.trial import FrozenTrial, Trial, TrialState

from benchmarks.cliff_world import World
from benchmarks.search_runs import Enough, Meter, Task, Trace
from searcher.contest import Contest
from searcher.guiding import Guide
from searcher.history import History
from searcher.policy import stand_in
from searcher.pruning import PruningBoard, build_judge
from searcher.samplers import SAMPLERS, Reproducible, Seeds
from searcher.sampling import sampler_of
from searcher.space import conditions_first, distributions, holds, suggest
from searcher.spec import StudySpec


class Way(Enum):
    """How a doomed trial is told."""

    BOTH = "both"  # pruned, with a stand-in as its last value and a violated constraint: the product's way
    CONSTRAINT = "constraint"  # pruned with what it has reached, and a violated constraint
    STAND_IN = "stand-in"  # pruned, with a stand-in as its last value
    COMPLETED = "completed"  # completed, with the stand-in
    NEITHER = "neither"  # pruned with what it has reached
    FAILED = "failed"  # failed: no sampler looks at it
    UNNOTICED = "unnoticed"  # not at all: there is no diagnosis, it is trained on


LOUD = (Way.BOTH, Way.CONSTRAINT)
"""Ways with a violated constraint."""

RATE = ("learning_rate", "schedule", "warmup_epochs", "optimizer", "momentum")
START = ("init", "init_std", "norm", "activation")
PULL = ("weight_decay", "dropout", "l1", "label_smoothing")

BLAMED: Mapping[str, tuple[str, ...]] = {
    "learning-rate-too-high": RATE,
    "learning-rate-too-low": RATE,
    "bad-init-scale": START,
    "norm-masks-init": START,
    "vanishing-gradients": START,
    "saturated-activations": (*START, *RATE),
    "dead-units": (*START, *RATE),
    "weight-blowup": (*RATE, "weight_decay"),
    "over-regularized": PULL,
    "dropout-too-high": ("dropout",),
}
"""What a training was doomed of -> the settings that it may be due to; a kind that is not here blames all."""


@dataclass(frozen=True)
class Arm:
    """A way with a sampler. With `copies` above 0 a doomed trial blames its cause alone, and so many trials
    stand in its place, which differ in all other settings. With `foretold` the sampler is shown stopped
    trials as completed ones, which the product does for `gp` alone."""

    sampler: str
    way: Way
    copies: int = 0
    pruner: str = "asha"
    foretold: bool = False

    @property
    def name(self) -> str:
        """As it is called in tables."""
        blame = f" blame {self.copies}" if self.copies else ""
        foretold = ", foretold" if self.foretold else ""
        pruner = "" if self.pruner == "asha" else f", pruner {self.pruner}"
        return f"{self.sampler} {self.way.value}{blame}{foretold}{pruner}"


ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for pruner in ("asha", "none")
    for arm in (
        *(Arm("tpe", way, 0, pruner) for way in Way),
        *(Arm("tpe", Way.BOTH, copies, pruner) for copies in (1, 4)),
        *(Arm("gp", way, 0, pruner) for way in Way),
        Arm("gp", Way.BOTH, 1, pruner),
        *(Arm("cma-es", way, 0, pruner) for way in Way),
        Arm("cma-es", Way.BOTH, 0, pruner, foretold=True),
    )
}
"""All that can be compared, by name."""


def rival_of(name: str) -> str:
    """The product's own way with the same sampler and pruner."""
    return Arm(ARMS[name].sampler, Way.BOTH, 0, ARMS[name].pruner).name


PRUNERS: Mapping[str, Any] = {
    "asha": {"name": "asha", "min_resource": 1, "reduction_factor": 3},
    "none": "none",
}
"""The pruners of the arms. `asha` lets one trial in three go on, and first points are drawn from everywhere:
what is compared are ways to tell of doomed trials, and there have to be many."""


@dataclass
class Course(Trace):
    """A search as it went, and how many of its trials were doomed."""

    doomed: int = 0


def search(world: World, task: Task, trace: Course, arm: Arm) -> None:
    """A search that ends with the task's budget; `trace` takes what it finds."""
    plain = {"start": "anywhere", "guided": False}  # so that what is told is all that guides
    spec = task.spec(trace.seed, {"sampler": arm.sampler, "pruner": PRUNERS[arm.pruner], **plain})
    run = _Run(world, spec, task, arm)
    meter = Meter(trace, task.budget)
    with contextlib.suppress(Enough):
        while True:
            trace.doomed += run.trial(meter)


class _Run:
    def __init__(self, world: World, spec: StudySpec, task: Task, arm: Arm) -> None:
        self._world, self._spec, self._task, self._way = world, spec, task, arm.way
        self._causes: dict[int, str] = {}  # number -> what a trial was doomed of
        self._study = optuna.create_study(
            sampler=sampler_for(spec, arm, self._causes), direction=spec.metric.goal
        )
        pruner = spec.search.pruner
        judge = build_judge(pruner.name, pruner.options, Contest("cliff", spec.metric.goal))
        self._board = PruningBoard(judge)

    def trial(self, meter: Meter) -> bool:
        """Ask for a point, go through its training, tell what came of it; whether it was doomed.

        Raises: Enough.
        """
        asked = self._study.ask()
        self._board.begin(asked.number)
        training = self._world.training(suggest(asked, self._spec).sampled)
        meter.begin()
        values: dict[int, float] = {}
        doomed = None if self._way is Way.UNNOTICED else training.doomed
        for due, (epoch, value) in enumerate(training.values, 1):
            if doomed is not None and doomed[0] <= epoch:
                meter.note(doomed[0], None)
                self._causes[asked.number] = doomed[1]
                self._tell_doomed(asked, values)
                return True
            meter.note(epoch, value)
            values[due] = min(value, values.get(due - 1, math.inf))
            if self._board.should_prune(asked.number, values):
                self._tell(asked, values, TrialState.PRUNED, None)
                return False
        self._tell(asked, values, TrialState.COMPLETE, min(values.values()))
        return False

    def _tell_doomed(self, asked: Trial, values: dict[int, float]) -> None:
        known = [trial.value for trial in self._study.get_trials(deepcopy=False) if trial.value is not None]
        trivial = self._task.trivial
        facts = {"trivial_loss": trivial**2 if self._task.metric.endswith("rmse") else trivial}
        worst = stand_in(known, values.values(), facts, self._spec.metric)
        if self._way in LOUD:
            asked.set_constraint("doomed", 1.0)
        told = values
        if self._way in (Way.BOTH, Way.STAND_IN):
            told = {**values, max(values, default=0) + 1: worst}
        states = {Way.COMPLETED: TrialState.COMPLETE, Way.FAILED: TrialState.FAIL}
        self._tell(asked, told, states.get(self._way, TrialState.PRUNED), worst)

    def _tell(
        self, asked: Trial, values: Mapping[int, float], state: TrialState, value: float | None
    ) -> None:
        for due, reached in values.items():
            asked.report(reached, due)
        is_sound = asked.number not in self._causes
        self._board.end(asked.number, state if is_sound else TrialState.PRUNED, value)
        self._study.tell(asked, value if state is TrialState.COMPLETE else None, state)


def sampler_for(spec: StudySpec, arm: Arm, causes: Mapping[int, str]) -> Reproducible:
    """The product's sampler of a study; with blame it sees doomed trials, by their `causes`, otherwise."""
    if not (arm.copies or arm.foretold):
        return sampler_of(spec)
    kind, seed, space = SAMPLERS[arm.sampler], spec.search.seed, distributions(spec)
    always = {name: space[name] for name in space if not spec.space[name].when}

    def build(own: int) -> optuna.samplers.BaseSampler:
        return kind.cls(**kind.defaults(Seeds(seed, own), space))

    def seen(study: optuna.Study) -> Any:
        shown = Blaming(study, spec, causes, arm.copies) if arm.copies else study
        return History(shown, (), kind.complete or arm.foretold)

    return Reproducible(build, seed, always if kind.joint({}) else None, seen, Guide(space))


@dataclass
class Blaming:
    """A study in which a doomed trial says nothing of settings that its diagnosis does not blame.

    In its place stand `copies` of it with the other settings drawn anew for every ask: on average over the
    draws a sampler learns what is true of the blamed settings whatever the others are.
    """

    study: optuna.Study
    spec: StudySpec
    causes: Mapping[int, str]
    copies: int
    _drawn: dict[tuple[int, int, int], FrozenTrial] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = self.study._get_trials(deepcopy, states, use_cache)
        asked, seen = len(self.study._get_trials(False, None)), []
        for trial in trials:
            if BLAMED.get(self.causes.get(trial.number, "")) is None:
                seen.append(trial)
            else:
                seen += [self._copy(trial, asked, one) for one in range(self.copies)]
        return seen

    def _copy(self, trial: FrozenTrial, asked: int, one: int) -> FrozenTrial:
        key = asked, trial.number, one
        if key not in self._drawn:
            drawn = np.random.default_rng([self.spec.search.seed, *key])
            blamed = BLAMED[self.causes[trial.number]]
            self._drawn[key] = redrawn(self.spec, trial, blamed, int(drawn.integers(2**32)))
        return self._drawn[key]


def redrawn(spec: StudySpec, trial: FrozenTrial, blamed: Container[str], seed: int) -> FrozenTrial:
    """The trial with all settings drawn anew but those that are blamed, as conditions have it."""
    space, params = distributions(spec), {}
    sampler, study = optuna.samplers.RandomSampler(seed=seed), None
    for name in conditions_first(spec):
        if name in blamed and name in trial.params:
            params[name] = trial.params[name]
        elif holds(spec.space[name].when, params):
            params[name] = sampler.sample_independent(study, trial, name, space[name])
    seen = copy.copy(trial)
    seen.params = params
    seen.distributions = {name: space[name] for name in params}
    return seen
