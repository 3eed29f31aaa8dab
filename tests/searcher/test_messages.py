"""What own trainers may say: whatever cannot be used is told, and never reaches the coordinator."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from diagnostics import Series, Signals
from searcher.launchers.messages import FAMILIES, NUMBERS, Hearing, Unusable
from searcher.spec import StudySpec
from searcher.study import Places, run_study
from searcher.trial import Outcome
from trainers.progress import Progress

ROOT = Path(__file__).parents[2]

WELL = {"step": 4, "epoch": 1.0, "of_epochs": 3, "metrics": {"val_loss": 0.5}}


def rows(steps: list[int], *layers: str) -> Series:
    shape = (len(steps), len(layers)) if layers else (len(steps),)
    return Series(np.array(steps), np.ones(shape), layers)


def say(**changes: Any) -> Progress:
    return Progress(**{**WELL, **changes})


def signals(**series: Series) -> Signals:
    return Signals(series)


BEFORE = say(signals=signals(loss=rows([0, 3]), grad_norm=rows([3], "a", "b"), val_loss=rows([3])))

UNUSABLE: dict[str, tuple[Progress, str]] = {
    "another layer": (
        say(signals=signals(grad_norm=rows([5], "a", "c"))),
        "the layers of the signal 'grad_norm' change (gone: 'b'; new: 'c'); give it the same layers",
    ),
    "a layer more": (
        say(signals=signals(grad_norm=rows([5], "a", "b", *"cdefg"))),
        "'grad_norm' change (new: 'c', 'd', 'e' and 2 more)",
    ),
    "no layers": (say(signals=signals(grad_norm=rows([5]))), "'grad_norm' change (gone: 'a', 'b')"),
    "layers in another order": (
        say(signals=signals(grad_norm=rows([5], "b", "a"))),
        "'grad_norm' change (another order)",
    ),
    "a metric that had layers": (say(metrics={"grad_norm": 1.0}), "'grad_norm' change (gone: 'a', 'b')"),
    "rows that go back": (
        say(signals=signals(loss=rows([2]))),
        "the steps of the signal 'loss' go back from 3 to 2; count optimizer steps over the whole training",
    ),
    "a step that goes back": (say(step=1, metrics={}), "its step goes back from 4 to 1"),
    "a step in parts": (say(step=4.5), "its step is 4.5; count the optimizer steps that are done"),
    "no step": (say(step=None), "its step is None, not a number"),
    "no epoch": (say(epoch=math.nan), "its epoch is nan, not a finite number"),
    "no planned epochs": (say(of_epochs=None), "of_epochs is None, not a number"),
    "metrics in a list": (say(metrics=[0.5]), "its metrics are [0.5]; give a dict from names to values"),
    "a metric of several numbers": (
        say(metrics={"val_loss": np.array([0.5, 0.6])}),
        "the metric 'val_loss' is array([0.5, 0.6]), not a number",
    ),
    "a metric in words": (say(metrics={"val_loss": "0.5"}), "the metric 'val_loss' is '0.5', not a number"),
    "a metric without a name": (say(metrics={3: 0.5}), "one of its metrics is called 3; give it a text"),
    "a metric no record can keep": (
        say(metrics={"F1@0.5": 0.5}),
        "a metric is called 'F1@0.5', which no record can keep; names are made of letters, digits",
    ),
    "a metric on a detour": (say(metrics={"../loss": 0.5}), "a metric is called '../loss'"),
    "a fact in words that is a number": (
        say(facts={"trivial_loss": "about 2"}),
        "the fact 'trivial_loss' is 'about 2', not a number",
    ),
    "such a fact of a family": (
        say(facts={"label_max": "nine"}),
        "the fact 'label_max' is 'nine', not a number",
    ),
    "such a fact of the signals": (
        say(signals=Signals({}, {"outputs": "ten"})),
        "the fact 'outputs' is 'ten', not a number",
    ),
    "a fact that is rounded": (
        say(facts={"evaluations_per_epoch": math.nan}),
        "the fact 'evaluations_per_epoch' is nan, not a finite number",
    ),
    "a fact in arrays": (
        say(facts={"shape": np.ones(200)}),
        "(of type ndarray), neither a number nor a text",
    ),
    "signals in a dict": (
        say(signals={"loss": ([0], [1.0])}),
        "its signals are {'loss': ([0], [1.0])}; make them with Signals.of(",
    ),
    "rows that are none": (say(signals=Signals({"loss": [1.0]})), "the signal 'loss' is [1.0]; make signals"),  # type: ignore[dict-item]
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_used_is_told_in_a_sentence(name: str) -> None:
    message, said = UNUSABLE[name]
    hearing = Hearing()
    hearing.take(BEFORE)
    with pytest.raises(Unusable, match=re.escape(said)) as caught:
        hearing.take(message)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_numbers_in_arrays_and_tensors_arrive_as_those_of_python() -> None:
    message = say(
        step=np.int64(7),
        epoch=torch.tensor(1.5),
        metrics={"val/loss": torch.tensor(0.25, requires_grad=True), "loss": np.array([2.0])},
        facts={"parameters": np.int64(12), "note": "own", "trivial_loss": np.float32(0.5)},
    )
    taken = Hearing().take(message)
    assert (taken.step, taken.epoch, taken.metrics) == (7, 1.5, {"val/loss": 0.25, "loss": 2.0})
    assert taken.facts == {"parameters": 12, "note": "own", "trivial_loss": 0.5}
    plain = [taken.step, taken.epoch, *taken.metrics.values(), *taken.facts.values()]
    assert {type(value) for value in plain} == {int, float, str}


def test_messages_that_fit_each_other_pass_as_they_are() -> None:
    hearing = Hearing()
    hearing.take(BEFORE)
    later = say(step=9, signals=signals(loss=rows([3, 8]), grad_norm=rows([5], "a", "b"), new=rows([0])))
    taken = hearing.take(later)
    assert taken.signals["loss"].steps.tolist() == [3, 8]
    hearing.take(say(step=9, metrics={"val_loss": math.inf, "gap": math.nan}, of_epochs=math.nan))


def test_every_fact_that_is_calculated_with_has_to_be_a_number() -> None:
    read = re.compile(r"(?:float|int)\((?:\w+\.)*facts(?:\.get\(|\[)\"(\w+)\"")
    files = [path for floor in ("diagnostics", "searcher") for path in (ROOT / floor).rglob("*.py")]
    names = {name for path in files for name in read.findall(path.read_text())}
    assert {"trivial_loss", "outputs", "evaluations_per_epoch", "total_steps"} <= names
    assert [name for name in sorted(names) if name not in NUMBERS and not name.startswith(FAMILIES)] == []


@pytest.mark.parametrize("trainer", ["other_layers", "fact_in_words"])
def test_it_fails_its_trial_and_the_study_goes_on(
    make_spec: Callable[..., StudySpec], workplace: Path, trainer: str
) -> None:
    spec = make_spec(
        train={"trainer": f"own_trainers:{trainer}"},
        space={"x": [0.0, 1.0]},
        search={"sampler": "grid", "trials": 2},
    )
    storage, runs = f"sqlite:///{workplace}/studies.db", workplace / "runs"
    results = run_study(spec, Places(storage, None, runs), lambda event: None)
    ended = {result.settings["x"]: result for result in results}
    assert ended[0.0].outcome is Outcome.COMPLETED
    assert ended[1.0].outcome is Outcome.FAILED
    assert (
        f"trainer 'own_trainers:{trainer}' yielded a Progress that cannot be used: the" in ended[1.0].reason
    )
