"""A stand-in for real trainings: what a point would come to, by forests that have learnt a task's table.

Notation
    x    a point: ranges brought to 0 to 1, on their log scale where they have one, choices as 0 or 1, -1
         where a setting is switched off                                                        [features]
    y    log of the best value of a training until each of its rows, at most three times the trivial model's,
         which also stands for what was not finite                                              [rows]
    c    what a training was doomed of; `SOUND` for one that was not
    t    log of the epoch at which a training was doomed

Source of the forests: P. Geurts et al. (2006), Extremely randomized trees.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from benchmarks.cliff_tables import Recorded
from benchmarks.search_runs import Task
from searcher.spec import Choices, StudySpec

Array = NDArray[np.float64]

SOUND = "sound"
FAR = 3.0
"""Times the trivial model's metric that is told apart from worse."""

FOREST: Mapping[str, Any] = {"n_estimators": 40, "max_features": 0.6, "random_state": 0}
FOLDS = 5


class World:
    """Trainings of a task that take no time. The same point is always the same training."""

    def __init__(self, task: Task, recorded: Sequence[Recorded]) -> None:
        self._spec = task.spec(0, {})
        self._epochs = [epoch for epoch, _ in max((one.values for one in recorded), key=len)]
        x = np.array([features(self._spec, one.params) for one in recorded])
        y = np.array([curve(task, one, len(self._epochs)) for one in recorded])
        c = np.array([cause_of(one) for one in recorded])
        t = np.log([one.doomed[0] for one in recorded if one.doomed is not None])
        self._causes = ExtraTreesClassifier(**FOREST).fit(x, c)
        self._sound = ExtraTreesRegressor(**FOREST).fit(x[c == SOUND], y[c == SOUND])
        self._lost = ExtraTreesRegressor(**FOREST).fit(x[c != SOUND], y[c != SOUND])
        self._when = ExtraTreesRegressor(**FOREST).fit(x[c != SOUND], t)

    def training(self, params: Mapping[str, Any]) -> Recorded:
        """What would come of a point."""
        x = np.array([features(self._spec, params)], dtype=np.float32)
        cause = str(self._causes.classes_[int(np.argmax(_mean(self._causes, x)))])
        y = _mean(self._sound if cause == SOUND else self._lost, x)
        doomed = None if cause == SOUND else (math.exp(float(_mean(self._when, x))), cause)
        return Recorded(params, tuple(zip(self._epochs, np.exp(y).tolist(), strict=True)), doomed)


def features(spec: StudySpec, params: Mapping[str, Any]) -> list[float]:
    """x of a point."""
    x: list[float] = []
    for name, setting in spec.space.items():
        value = params.get(name)
        if isinstance(setting, Choices):
            x += [float(value == choice) for choice in setting.choices]
        elif value is None:
            x.append(-1.0)
        elif setting.log:
            x.append(math.log(value / setting.low) / math.log(setting.high / setting.low))
        else:
            x.append((value - setting.low) / (setting.high - setting.low))
    return x


def curve(task: Task, one: Recorded, rows: int) -> list[float]:
    """y of a training; where it has none, the worst."""
    values = [value for _, value in one.values] + [math.inf] * (rows - len(one.values))
    most = FAR * task.trivial
    finite = [min(value, most) if math.isfinite(value) else most for value in values]
    return np.log(np.minimum.accumulate(finite)).tolist()


def cause_of(one: Recorded) -> str:
    """c of a training."""
    return SOUND if one.doomed is None else one.doomed[1]


def held_out(task: Task, recorded: Sequence[Recorded]) -> tuple[float, float, float]:
    """How well worlds know trainings that they have not seen: the rank correlation of the best value among
    those that are sound in both, the share of all of which they know whether they are doomed, and of the
    doomed, of what."""
    order = np.random.default_rng(0).permutation(len(recorded))
    pairs: list[tuple[Recorded, Recorded]] = []
    for fold in range(FOLDS):
        unseen = set(order[fold::FOLDS].tolist())
        world = World(task, [one for place, one in enumerate(recorded) if place not in unseen])
        pairs += [(recorded[place], world.training(recorded[place].params)) for place in unseen]
    sound = [
        (curve(task, one, 1)[-1], curve(task, other, 1)[-1])
        for one, other in pairs
        if one.doomed is None and other.doomed is None
    ]
    known = float(spearmanr(*np.array(sound).T).statistic)
    doomed = float(np.mean([(one.doomed is None) == (other.doomed is None) for one, other in pairs]))
    causes = [cause_of(one) == cause_of(other) for one, other in pairs if one.doomed]
    return known, doomed, float(np.mean(causes))


def _mean(forest: Any, x: NDArray[np.float32]) -> Array:
    """The forest's answer for one point, past scikit-learn's checks, which take longer than all trees."""
    return np.asarray(np.mean([tree.tree_.predict(x)[0] for tree in forest.estimators_], axis=0)).squeeze()
