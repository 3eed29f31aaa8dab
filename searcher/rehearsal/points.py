"""A sampler before a finished study: each point that it asks for is the nearest one on record.

Notation
    n       recorded trials
    d       distance of two points: root of the mean, over all settings, of the squared difference, 0 to 1.
            Ranges are brought to 0 to 1, on their log scale where they have one; other choices, and a setting
            that one of the two does not have, differ by 1

Every recorded trial is given once: the same training again would tell nothing new.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.beginnings import attributes_of
from searcher.rehearsal.course import Ended
from searcher.rehearsal.recordings import Ending, Recording
from searcher.sampling import sampler_of
from searcher.space import distributions, suggest
from searcher.spec import Choices, Named, Range, StudySpec

Array = NDArray[np.float64]


class RecordedPoints:
    """Recorded points, from which distances are taken."""

    def __init__(self, spec: StudySpec, recordings: Sequence[Recording]) -> None:
        self._space = spec.space
        self._places = np.array([self._place(recording.params) for recording in recordings])
        self._is_choice = np.array([isinstance(setting, Choices) for setting in spec.space.values()])

    def distances(self, params: Mapping[str, Any]) -> Array:
        """How far a point is from each of them: d, [n]."""
        apart = np.abs(self._places - self._place(params))
        differs = self._is_choice & (apart > 0) | np.isnan(apart)
        both_off = np.isnan(self._places) & np.isnan(self._place(params))
        apart = np.where(both_off, 0.0, np.where(differs, 1.0, apart))
        return np.asarray(np.sqrt((apart**2).mean(axis=1)))

    def _place(self, params: Mapping[str, Any]) -> Array:
        """Where a point lies in each setting; NaN where it does not have it."""
        return np.array(
            [
                _place(setting, params[name]) if name in params else math.nan
                for name, setting in self._space.items()
            ]
        )


def _place(setting: Range | Choices, value: Any) -> float:
    if isinstance(setting, Choices):
        alike = [type(choice) is type(value) and choice == value for choice in setting.choices]
        return float(alike.index(True))
    if setting.low == setting.high:
        return 0.0
    if setting.log:
        return math.log(value / setting.low) / math.log(setting.high / setting.low)
    return float((value - setting.low) / (setting.high - setting.low))


def searched_by(spec: StudySpec, sampler: Named, seed: int) -> StudySpec:
    """The same study with this sampler and seed."""
    search = spec.search.model_copy(update={"sampler": sampler, "seed": seed})
    return spec.model_copy(update={"search": search})


class Proposed:
    """The trials in the order in which a sampler asks for them, knowing what came of those before."""

    def __init__(
        self, spec: StudySpec, recordings: Sequence[Recording], sampler: Named, seed: int, trials: int
    ) -> None:
        self.apart: list[float] = []  # how far each trial given was from the point that was asked for
        self._spec = spec
        self._recordings = recordings
        self._left = np.ones(len(recordings), dtype=bool)
        self._trials = min(trials, len(recordings))
        self._places = RecordedPoints(spec, recordings)
        self._distributions = distributions(spec)
        before = sampler_of(searched_by(spec, sampler, seed))
        numbers = [recording.number for recording in recordings]  # as the study gave them, with its gaps
        before.number_of = lambda _: numbers[len(self.apart)]
        self._study = optuna.create_study(
            storage=InMemoryStorage(),
            study_name=spec.name,
            direction=spec.metric.goal,
            sampler=before,
        )
        self._notes: dict[int, dict[str, Any]] = {}  # number -> what the sampler noted when it was asked

    @property
    def told(self) -> list[FrozenTrial]:
        """The trials that the sampler knows, as they ended."""
        return [
            trial for trial in self._study.get_trials(deepcopy=False) if trial.state is not TrialState.FAIL
        ]

    def next(self) -> tuple[int, Recording] | None:
        """The trial that is nearest to the point the sampler asks for, of equals the first."""
        number = len(self.apart)
        if number == self._trials:
            return None
        asked = self._study.ask()
        point = suggest(asked, self._spec)
        put_back = self._study.tell(asked, state=TrialState.FAIL)  # the recorded point counts in its place
        self._notes[number] = dict(put_back.system_attrs)
        distances = np.where(self._left, np.round(self._places.distances(point.sampled), 12), math.inf)
        nearest = int(np.argmin(distances))
        self._left[nearest] = False
        self.apart.append(float(distances[nearest]))
        return number, self._recordings[nearest]

    def learn(self, ended: Ended) -> None:
        """Tell the sampler how a trial has ended, as a study would."""
        recording, values = ended.recording, dict(ended.values)
        is_stopped = ended.ending is Ending.STOPPED
        if is_stopped and recording.has_stand_in and recording.value is not None:
            values[max(values, default=0) + 1] = recording.value
        self._study.add_trial(
            create_trial(
                state=TrialState.COMPLETE if ended.ending is Ending.COMPLETED else TrialState.PRUNED,
                value=ended.value,
                params=dict(recording.params),
                distributions={name: self._distributions[name] for name in recording.params},
                user_attrs=attributes_of(recording.learnt_by(max(ended.values, default=0))),
                intermediate_values=values,
                system_attrs=self._notes.pop(ended.number),
                constraints=dict(recording.constraints) if is_stopped else None,
            )
        )
