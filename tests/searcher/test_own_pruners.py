"""Our own pruners: the decisions and notes of those of Optuna whose place they take, and in no more time."""

from __future__ import annotations

import gc
import inspect
import math
import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState, create_trial

from searcher.contest import Contest
from searcher.options import options_of
from searcher.pruning import PruningBoard, build_judge
from searcher.samplers import PRUNERS, build_pruner

OWN = [name for name, kind in PRUNERS.items() if kind.own is not None]
HALVING = ["asha", "hyperband"]
CONTEST = Contest("a study", "minimize")
STREAMS, TRIALS, AT_ONCE, LONGEST = 150, 25, 4, 14


class InOptuna:
    """The study in Optuna itself. An attempt that begins anew makes a study without the one before."""

    def __init__(self, pruner: optuna.pruners.BasePruner, contest: Contest) -> None:
        self._pruner, self._contest = pruner, contest
        self._make([])

    @property
    def trials(self) -> list[FrozenTrial]:
        return self._study.get_trials()

    def begin(self, number: int) -> None:
        trials, fresh = self.trials, create_trial(state=TrialState.RUNNING)
        if number == len(trials):
            self._study.add_trial(fresh)
        else:
            self._make([*trials[:number], fresh, *trials[number + 1 :]])

    def should_prune(self, number: int, values: Mapping[int, float]) -> bool:
        for due, value in values.items():
            if due not in self._storage.get_trial(number).intermediate_values:
                self._storage.set_trial_intermediate_value(number, due, value)
        return bool(self._pruner.prune(self._study, self._storage.get_trial(number)))

    def end(self, number: int, state: TrialState, value: float | None) -> dict[str, Any]:
        self._storage.set_trial_state_values(number, state, None if value is None else [value])
        return dict(self._storage.get_trial(number).system_attrs)

    def _make(self, trials: list[FrozenTrial]) -> None:
        self._storage = InMemoryStorage()  # ids are numbers in a store of one study
        name, goal = self._contest.study, self._contest.goal
        self._study = optuna.create_study(storage=self._storage, study_name=name, direction=goal)
        self._study.add_trials(trials)


def drawn_options(name: str, rng: np.random.Generator) -> dict[str, Any]:
    """Options over all there are, most often; else the defaults of some."""
    draw = drawn_halving if name in HALVING else drawn_forecast if name == "forecast" else drawn_percentile
    options = draw(name, rng)
    return (
        options if rng.random() < 0.8 else {key: given for key, given in options.items() if given == "auto"}
    )


def drawn_forecast(name: str, rng: np.random.Generator) -> dict[str, Any]:
    fewest = int(rng.integers(3, 8))
    return {"chance": rng.uniform(0.02, 0.6), "rank": int(rng.integers(1, 5)), "n_startup_trials": fewest}


def drawn_halving(name: str, rng: np.random.Generator) -> dict[str, Any]:
    auto, least = rng.random() < 0.3, int(rng.integers(1, 4))
    options: dict[str, Any] = {"reduction_factor": int(rng.integers(2, 5)), "min_resource": least}
    if name == "hyperband":
        options["max_resource"] = "auto" if auto else int(rng.integers(least, 40))
    else:
        options["min_early_stopping_rate"] = int(rng.integers(3))
        options["min_resource"] = "auto" if auto else least
    return options if auto else {**options, "bootstrap_count": int(rng.integers(4))}


def drawn_percentile(name: str, rng: np.random.Generator) -> dict[str, Any]:
    numbers = {
        "n_startup_trials": (0, 5),
        "n_warmup_steps": (0, 5),
        "interval_steps": (1, 99),
        "n_min_trials": (1, 4),
    }
    options: dict[str, Any] = {key: int(rng.integers(low, high)) for key, (low, high) in numbers.items()}
    if rng.random() < 0.5:
        options["interval_steps"] = int(rng.integers(1, 4))
    if name == "percentile":
        options["percentile"] = float(rng.choice([0.0, 10.0, 50.0, 100.0, rng.uniform(0, 100)]))
    return options


def drawn_curve(rng: np.random.Generator, stride: int) -> list[dict[int, float]]:
    """All values so far, at each question: with ties, NaN, and evaluations between two questions."""
    values: dict[int, float] = {}
    questions = []
    for due in range(1, int(rng.integers(1, LONGEST + 1)) + 1):
        value = float(rng.integers(8)) if rng.random() < 0.97 else math.nan
        values[due * stride] = value if rng.random() < 0.98 else math.inf
        if rng.random() < 0.8:
            questions.append(dict(values))
    return questions


class Stream:
    """Trials that run at once in random order, before our board and in Optuna."""

    def __init__(self, name: str, rng: np.random.Generator) -> None:
        self._rng = rng
        options = drawn_options(name, rng)
        print(name, options)
        contest = Contest(f"study {rng.integers(1000)}", "maximize" if rng.random() < 0.5 else "minimize")
        self._judge = lambda: build_judge(name, options, contest)
        self._ours = PruningBoard(self._judge())
        self._optuna = InOptuna(build_pruner(name, options), contest)
        self._stride = int(rng.choice([1, 2, 40, 150]))
        self._curves: dict[int, list[dict[int, float]]] = {}
        self.pruned = 0

    def run(self) -> None:
        begun = 0
        while begun < TRIALS or self._curves:
            if begun < TRIALS and len(self._curves) < AT_ONCE:
                self._begin(begun)
                begun += 1
            event = self._rng.random()
            if event < 0.03:
                self._begin(int(self._rng.choice(list(self._curves))))
            elif event < 0.04:
                self._start_again()
            else:
                self._go_on(int(self._rng.choice(list(self._curves))))

    def _begin(self, number: int) -> None:
        self._curves[number] = drawn_curve(self._rng, self._stride)
        self._ours.begin(number)
        self._optuna.begin(number)

    def _start_again(self) -> None:
        """Another process takes up what Optuna has recorded, half of it as if it came from elsewhere."""
        recorded = [trial for trial in self._optuna.trials if trial.state.is_finished()]
        self._rng.shuffle(recorded)  # type: ignore[arg-type]
        self._ours = PruningBoard(self._judge(), recorded)
        self._ours.learn(recorded[::2])
        for number in list(self._curves):
            self._begin(number)

    def _go_on(self, number: int) -> None:
        """One question. The last one ends the trial, so that one trial is known to complete first."""
        curve = self._curves[number]
        values = curve.pop(0) if curve else {}
        given_up = self._ours.should_prune(number, values)
        assert given_up == self._optuna.should_prune(number, values), (number, values)
        self.pruned += given_up
        if given_up and self._rng.random() < 0.9:  # else who asked goes on all the same
            self._end(number, TrialState.PRUNED)
        elif not curve:
            self._end(number, TrialState.COMPLETE if self._rng.random() < 0.8 else TrialState.FAIL)

    def _end(self, number: int, state: TrialState) -> None:
        value = float(self._rng.random()) if state is TrialState.COMPLETE else None
        assert self._ours.end(number, state, value) == self._optuna.end(number, state, value)
        del self._curves[number]


@pytest.mark.filterwarnings("ignore:All-NaN slice", "ignore:invalid value encountered")
@pytest.mark.parametrize("name", OWN)
def test_decisions_and_notes_are_optunas(name: str, rng: np.random.Generator) -> None:
    pruned = 0
    for _ in range(STREAMS):
        stream = Stream(name, rng)
        stream.run()
        pruned += stream.pruned
    assert pruned > STREAMS


class Counted(float):
    """A value whose every comparison takes some steps of the interpreter, which can be counted."""

    def __lt__(self, other: float) -> bool:
        return float(self) < float(other)

    def __le__(self, other: float) -> bool:
        return float(self) <= float(other)

    def __rmul__(self, other: float) -> Counted:
        return Counted(other * float(self))


def steps_of_a_climb(name: str, trials: int) -> int:
    """Steps of the interpreter while a good trial is asked about at 30 evaluations, after so many others.

    What an earlier test left behind, finalizers and all, is not collected on the way.
    """
    board = PruningBoard(build_judge(name, {"max_resource": 30} if name == "hyperband" else {}, CONTEST))
    for number in range(trials):
        board.begin(number)
        board.should_prune(number, {1: Counted(number % 977), 3: Counted(number % 991)})
        board.end(number, TrialState.COMPLETE, 1.0)
    steps = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal steps
        frame.f_trace_opcodes = True
        steps += event == "opcode"
        return count

    board.begin(trials)
    before = sys.gettrace()
    gc.disable()
    sys.settrace(count)
    try:
        given_up = [board.should_prune(trials, {due: Counted(-1)}) for due in range(1, 31)]
        board.end(trials, TrialState.COMPLETE, -1.0)
    finally:
        sys.settrace(before)
        gc.enable()
    assert not any(given_up)
    return steps


@pytest.mark.parametrize("name", OWN)
def test_a_question_takes_hardly_longer_after_a_hundred_times_as_many_trials(name: str) -> None:
    few, many = steps_of_a_climb(name, 200), steps_of_a_climb(name, 20_000)
    assert 100 < few <= many < 2 * few


@pytest.mark.parametrize("name", OWN)
def test_options_and_their_defaults_are_optunas(name: str) -> None:
    kind = PRUNERS[name]
    assert kind.own is not None
    ours, optunas = inspect.signature(kind.own).parameters, inspect.signature(kind.cls).parameters
    assert [*ours][1:] == [*optunas] == [*options_of(kind.cls)]
    assert [ours[option].default for option in optunas] == [given.default for given in optunas.values()]


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("asha", {"min_resource": 1.5}, "min_resource is 1.5; give a whole number from 1 on, or 'auto'"),
        ("asha", {"reduction_factor": 2.5}, "reduction_factor is 2.5; give a whole number from 2 on"),
        ("hyperband", {"min_resource": 0}, "min_resource is 0; give a whole number from 1 on"),
        ("hyperband", {"max_resource": 0}, "max_resource is 0; give a whole number from 1 on, or 'auto'"),
        ("hyperband", {"min_resource": 9, "max_resource": 5}, "max_resource is 5, less than min_resource, 9"),
    ],
)
def test_options_that_optuna_would_trip_over_later_are_refused(
    name: str, options: dict[str, Any], said: str
) -> None:
    build_pruner(name, options)
    with pytest.raises(ValueError, match=said):
        build_judge(name, options, CONTEST)


def test_hyperband_gives_nobody_up_where_the_first_trial_was_shorter_than_its_first_rung() -> None:
    board = PruningBoard(build_judge("hyperband", {"min_resource": 9}, CONTEST))
    for number in range(9):
        board.begin(number)
        assert not board.should_prune(number, {5 if number == 0 else 30: float(number)})
        assert board.end(number, TrialState.COMPLETE, 0.0) == {}


@pytest.mark.parametrize("name", HALVING)
def test_the_first_trial_to_complete_says_how_long_trials_are_also_after_an_interruption(name: str) -> None:
    option = "min_resource" if name == "asha" else "max_resource"
    lengths = (100, 900, 300)

    def judged(board: PruningBoard) -> list[bool]:
        board.begin(9)
        return [board.should_prune(9, {due: 2.0}) for due in range(1, 950)]

    whole = PruningBoard(build_judge(name, {option: "auto"}, CONTEST))
    recorded = []
    for number, length in enumerate(lengths):
        whole.begin(number)
        whole.should_prune(number, {length: 1.0})
        notes = whole.end(number, TrialState.COMPLETE, 1.0)
        recorded.append(create_trial(value=1.0, intermediate_values={length: 1.0}, system_attrs=notes))
        recorded[-1].number = number
    again = PruningBoard(build_judge(name, {option: "auto"}, CONTEST), recorded[::-1])
    assert judged(again) == judged(whole)
