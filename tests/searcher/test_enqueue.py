"""Points that a study file lists: tried first, in order, and once."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest

from searcher.checks import check, read_checked
from searcher.errors import SpecError
from searcher.opening import load_study, open_study
from searcher.report.numbers.study_file import study_file
from searcher.spec import StudySpec, parse_spec
from searcher.toml_lines import lines_of

Make = Callable[..., StudySpec]
SPACE = {
    "learning_rate": {"low": 1e-4, "high": 1.0, "log": True},
    "init": ["normal", "orthogonal"],
    "init_std": {"low": 0.1, "high": 1.0, "when": {"init": "normal"}},
}
STUDY = """
name = "listed"
[train]
epochs = 3
[space]
learning_rate = { low = 1e-4, high = 1.0, log = true }
init = ["normal", "orthogonal"]
init_std = { low = 0.1, high = 1.0, when = { init = "normal" } }
[search]
trials = 4
"""


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'studies.db'}"


def spec_of(points: list[dict[str, Any]], **sections: Any) -> StudySpec:
    raw = {"name": "listed", "space": SPACE, "search": {"trials": 4, "sampler": "random"}}
    return parse_spec({**raw, "enqueue": points, **sections}, "study.toml")


def mistakes(text: str, tmp_path: Path) -> dict[str, tuple[int, str]]:
    """Place -> line and message."""
    file = tmp_path / "study.toml"
    file.write_text(text)
    with pytest.raises(SpecError) as caught:
        read_checked(file, {})
    return {mistake.place: (mistake.line, mistake.message) for mistake in caught.value.mistakes}


def test_listed_points_come_first_and_the_rest_of_them_is_drawn(url: str) -> None:
    rates = [float(rate) for rate in np.random.default_rng().uniform(0.01, 0.5, 3)]
    points = [{"learning_rate": rates[0]}, {"init": "normal", "init_std": 0.5}, {"learning_rate": rates[2]}]
    store = open_study(spec_of(points), url)
    asked = [store.ask()[1].sampled for _ in range(4)]
    for point, sampled in zip(points, asked, strict=False):
        assert {name: sampled[name] for name in point} == point
        assert {"learning_rate", "init"} <= sampled.keys(), "what the point lacks was drawn"
    assert asked[3]["learning_rate"] not in rates


def test_a_study_that_is_opened_again_does_not_queue_them_again(url: str) -> None:
    points = [{"init": "normal"}, {"init": "normal"}, {"learning_rate": 0.5}]
    spec = spec_of(points)
    open_study(spec, url)
    assert len(open_study(spec, url).unfinished()) == 3
    open_study(spec, url).ask()
    assert len(open_study(spec, url).unfinished()) == 3


def test_a_start_that_died_half_way_queues_what_lacks(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [{"learning_rate": rate} for rate in (0.1, 0.2, 0.3)]
    whole, died = optuna.Study.enqueue_trial, []

    def dies(self: optuna.Study, *arguments: Any, **named: Any) -> None:
        if len(died) == 2:
            raise KeyboardInterrupt
        died.append(1)
        whole(self, *arguments, **named)

    monkeypatch.setattr(optuna.Study, "enqueue_trial", dies)
    with pytest.raises(KeyboardInterrupt):
        open_study(spec_of(points), url)
    monkeypatch.undo()
    store = open_study(spec_of(points), url)
    assert [store.ask()[1].sampled["learning_rate"] for _ in range(3)] == [0.1, 0.2, 0.3]
    assert store.unfinished()[3:] == []


def test_points_that_are_listed_later_are_tried_next(url: str) -> None:
    first, later = {"learning_rate": 0.1}, {"learning_rate": 0.2}
    open_study(spec_of([first]), url).ask()
    store = open_study(spec_of([later, first]), url)
    assert store.ask()[1].sampled["learning_rate"] == 0.2
    assert load_study("listed", url).spec.enqueue == [later, first]


@pytest.mark.parametrize(
    ("point", "place", "message"),
    [
        ("lerning_rate = 0.1", "enqueue.1.lerning_rate", "did you mean 'learning_rate'"),
        ("learning_rate = 2.0", "enqueue.1.learning_rate", "has to be from 0.0001 to 1.0, but got 2.0"),
        ("learning_rate = '0.1'", "enqueue.1.learning_rate", "but got '0.1'"),
        ("learning_rate = nan", "enqueue.1.learning_rate", "but got nan"),
        ("init = 'zeros'", "enqueue.1.init", "has to be one of ['normal', 'orthogonal'], but got 'zeros'"),
        ("init_std = 0.5", "enqueue.1.init_std", "is only for init in ['normal'], but got no init"),
        ("epochs = 5", "enqueue.1.epochs", "is fixed in [train]"),
    ],
)
def test_mistakes_in_a_listed_point_are_told_with_their_line(
    point: str, place: str, message: str, tmp_path: Path
) -> None:
    text = f"{STUDY}\n[[enqueue]]\nlearning_rate = 0.1\n[[enqueue]]\n{point}\n"
    line, said = mistakes(text, tmp_path)[place]
    assert message in said
    assert text.splitlines()[line - 1] == point


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = STUDY.replace("trials = 4", "trials = -1").replace("epochs = 3", "epoch = 3")
    listed = 'enqueue = [\n{ init = "zeros", learning_rate = 7 },\n3 ]\n'
    assert mistakes(listed + text, tmp_path).keys() == {"enqueue.1", "search.trials", "train.epoch"}
    listed = listed.replace("3 ]", "]")
    found = mistakes(listed + text, tmp_path)
    assert found.keys() == {"enqueue.0.init", "enqueue.0.learning_rate", "search.trials", "train.epoch"}
    assert found["enqueue.0.init"][0] == 1


def test_what_follows_from_a_mistake_in_the_space_is_not_told(tmp_path: Path) -> None:
    text = STUDY.replace("low = 1e-4", "low = 9.0") + "[[enqueue]]\nlearning_rate = 0.1\n"
    assert mistakes(text, tmp_path).keys() == {"space.learning_rate"}


def test_values_that_do_not_go_together_are_a_mistake_of_the_file() -> None:
    points: list[dict[str, Any]] = [{"model": "mlp"}, {"model": "cnn", "data": "diabetes"}]
    space = {"model": ["mlp", "cnn"], "data": ["digits", "diabetes"]}
    with pytest.raises(SpecError, match="choose from: mlp"):
        check(spec_of(points, space=space, metric={"name": "val_loss"}), "study.toml")


def test_a_grid_takes_no_listed_points() -> None:
    search = {"trials": 4, "sampler": "grid"}
    with pytest.raises(SpecError, match="enqueue: is not for the sampler 'grid'"):
        check(spec_of([{"init": "normal"}], space={"init": SPACE["init"]}, search=search), "study.toml")


def test_the_study_file_in_a_report_lists_them_again() -> None:
    spec = spec_of([{"learning_rate": 0.1, "init": "normal"}, {}])
    text = study_file(spec)
    assert parse_spec(tomllib.loads(text), "again") == spec
    assert lines_of(text)["enqueue.0.init"] > lines_of(text)["enqueue.0"] > 1


def test_a_run_tries_them_and_counts_them_as_trials(
    searcher: Callable[..., Any], workplace: Path, make_spec: Make
) -> None:
    spec = make_spec(search={"sampler": "tpe", "pruner": "none", "trials": 3})
    listed = spec.model_copy(update={"enqueue": [{"x": 0.25}, {"x": 0.75}]})
    (workplace / "study.toml").write_text(study_file(listed))
    for _ in range(2):
        said = searcher("run", "study.toml", "--no-tracking")
        assert said.code == 0, said.err
    results = load_study("own", "sqlite:///studies.db").results()
    assert [result.settings["x"] for result in results][:2] == [0.25, 0.75]
    assert len(results) == 3
