"""Studies over a table of recorded trainings: which one a point stands for, what does not fit, whole runs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mlflow import MlflowClient

from searcher.checks import check
from searcher.errors import SpecError
from searcher.opening import load_study
from searcher.spec import StudySpec, parse_spec
from searcher.tabulated import nearest, table_notes
from trainers.errors import SettingError

Call = Callable[..., Any]
STORE = "sqlite:///studies.db"
SHOWN = (Path(__file__).resolve().parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
HEADER = "rate,width,kind,only_b,epoch,val_loss"
SPACE: dict[str, Any] = {
    "rate": {"low": 1e-4, "high": 1.0, "log": True},
    "width": {"low": 10, "high": 110},
    "kind": ["a", "b"],
    "only_b": {"low": 0.0, "high": 1.0, "when": {"kind": "b"}},
}


def block(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", SHOWN, re.DOTALL)
    assert found
    return found.group(1)


def write(*rows: str, header: str = HEADER) -> None:
    Path("curves.csv").write_text("\n".join([header, *rows]) + "\n")


def spec_of(space: dict[str, Any] = SPACE, metric: str = "val_loss", **train: Any) -> StudySpec:
    fixed = {"trainer": "replay:curves.csv", **train}
    raw = {"name": "s", "train": fixed, "space": space, "search": {"trials": 3}, "metric": {"name": metric}}
    return parse_spec(raw, "study.toml")


def mistakes(spec: StudySpec) -> dict[str, str]:
    with pytest.raises(SpecError) as caught:
        check(spec, "study.toml")
    return {mistake.place: mistake.message for mistake in caught.value.mistakes}


def test_the_nearest_configuration_is_found(workplace: Path, rng: np.random.Generator) -> None:
    rates, widths = 10 ** rng.uniform(-4, 0, 30), rng.integers(10, 111, 30)
    write(*(f"{rate},{width},a,,1,0.5" for rate, width in zip(rates, widths, strict=True)))
    for _ in range(20):
        rate, width = float(10 ** rng.uniform(-4, 0)), int(rng.integers(10, 111))
        away = ((np.log10(rates) - np.log10(rate)) / 4) ** 2 + ((widths - width) / 100) ** 2
        assert nearest(spec_of(), {"rate": rate, "width": width, "kind": "a"}).line == 2 + np.argmin(away)


def test_ties_go_to_the_first_row(workplace: Path) -> None:
    write("0.1,20,a,,1,1", "0.1,40,a,,1,1", "0.1,20,b,0.5,1,1")
    assert nearest(spec_of(), {"rate": 0.1, "width": 30, "kind": "a"}).line == 2


def test_choices_match_and_what_is_switched_off_is_empty(workplace: Path) -> None:
    write("0.1,20,a,,1,1", "0.1,20,a,0.5,1,1", "0.1,90,b,0.5,1,1", "0.1,90,b,,1,1")
    point = {"rate": 0.1, "width": 90}
    assert nearest(spec_of(), {**point, "kind": "a"}).line == 2
    assert nearest(spec_of(), {**point, "kind": "b", "only_b": 0.1}).line == 4


def test_rows_outside_of_the_ranges_do_not_take_part(workplace: Path) -> None:
    write("0.1,9,a,,1,1", "0.1,110,a,,1,1", "2.0,10,a,,1,1")
    assert nearest(spec_of(), {"rate": 1.0, "width": 10, "kind": "a"}).line == 3


def test_a_choice_of_values_that_no_row_has_is_told(workplace: Path) -> None:
    write("0.1,20,a,,1,1", header=HEADER)
    with pytest.raises(SettingError, match="has no configuration with kind = b inside of the space"):
        nearest(spec_of(), {"rate": 0.1, "width": 20, "kind": "b", "only_b": 0.5})


@pytest.mark.parametrize(
    ("value", "cell", "fits"),
    [
        (True, "true", True),
        (False, "True", False),
        (32, "32.0", True),
        (0.001, "1e-3", True),
        ("32", "32", True),
        ("relu", "relu", True),
        (1, "true", False),
        (1, "one", False),
    ],
)
def test_what_a_cell_says_is_read_as_the_choice_is_written(
    value: Any, cell: str, fits: bool, workplace: Path
) -> None:
    write(f"{cell},1,0.5", header="x,epoch,val_loss")
    spec = spec_of({"x": [value]})
    if fits:
        assert nearest(spec, {"x": value}).line == 2
    else:
        assert f"there are: {cell}" in mistakes(spec)["space.x"]


def test_everything_that_does_not_fit_is_told_at_once(workplace: Path) -> None:
    write("0.1,20,a,,1,1", "0.2,20,c,,1,1")
    space = {"rat": {"low": 0.1, "high": 1.0}, "width": {"low": 30, "high": 40}, "kind": ["a", "b"]}
    found = mistakes(
        spec_of(space, only_b=3).model_copy(
            update={"metric": spec_of().metric.model_copy(update={"name": "val_los"})}
        )
    )
    assert "did you mean 'rate'" in found["space.rat"]
    assert "no row of the table lies inside; there are: 20" in found["space.width"]
    assert "'b' is in no row of the table; there are: a, c" in found["space.kind"]
    assert "3 is in no row of the table; there are: (empty)" in found["train.only_b"]
    assert "several values of rate; search it, or fix one" in found["train.trainer"]
    assert "did you mean 'val_loss'" in found["metric.name"]


def test_a_table_with_a_mistake_is_one_of_the_study_file(workplace: Path) -> None:
    assert "there is no table 'curves.csv'" in mistakes(spec_of())["train.trainer"]
    write("0.1,20,a,,1,much")
    assert "curves.csv, line 2: val_loss is 'much', no number" in mistakes(spec_of())["train.trainer"]


def test_fixed_settings_choose_and_those_without_a_column_are_told(workplace: Path) -> None:
    write("0.1,20,a,,1,1", "0.1,20,b,0.5,1,1", "0.1,90,b,0.5,1,1")
    space = {"width": SPACE["width"]}
    spec = spec_of(space, kind="b", only_b=0.5, epochs=9, threads=2)
    check(spec, "study.toml")
    assert nearest(spec, {"width": 20}).line == 3
    trained, trusted = table_notes(spec)
    assert trained.startswith("nothing is trained: 3 configurations of ")
    assert trusted == "the table has no columns epochs: they are not looked at"


@pytest.mark.parametrize("launcher", ["inprocess", "local"])
def test_the_study_that_is_shown_runs(launcher: str, searcher: Call, workplace: Path) -> None:
    diverges = 'enqueue = [{ learning_rate = 0.09, optimizer = "adam" }]\n'
    (workplace / "study.toml").write_text(diverges + block("toml"))
    (workplace / "curves.csv").write_text(block("csv"))
    said = searcher("run", "study.toml", "--launcher", launcher, "--slots", "1", "--no-tracking")
    assert said.code == 0, said.err
    assert "nothing is trained: 5 configurations" in said.out + said.err
    results = load_study("replayed", STORE).results()
    assert len(results) == 12
    best = {0.1: 0.62, 0.01: 0.66}
    assert max(result.value or 0.0 for result in results) in best.values()
    for result in results:
        assert f"(line {result.settings['table_line']})" in str(result.facts["replayed"])
        assert f"optimizer = {result.settings['optimizer']}" in str(result.facts["replayed"])
    assert results[0].settings["table_line"] == 8 and str(results[0].outcome) == "doomed"
    assert str(results[0].verdict) == "non-finite" and results[0].report.fatal is not None
    shown = searcher("diagnose", "replayed", "3")
    assert "replayed: learning_rate = " in shown.out
    assert searcher("report", "replayed").code == 0


def test_another_study_is_driven_by_a_table(searcher: Call, workplace: Path) -> None:
    """What the table lacks of it is said."""
    write(
        *(f"{rate},{k},{n},{v}" for rate in (0.1, 0.01) for k in "a" for n, v in ((1, 0.5), (2, rate))),
        header="x,kind,epoch,val_loss",
    )
    (workplace / "study.toml").write_text(
        'name = "own"\n[train]\ntrainer = "own_trainers:quick"\n[space]\nx = { low = 0.0, high = 1.0 }\n'
        '[search]\ntrials = 4\npruner = "none"\n[dispatch]\nlauncher = "inprocess"\n'
    )
    said = searcher(
        "run", "study.toml", "--no-tracking", "--trainer", "replay:curves.csv", "--set", "noise=1"
    )
    assert said.code == 0, said.err
    assert "the table has no columns noise: they are not looked at" in said.out + said.err
    assert {result.value for result in load_study("own", STORE).results()} <= {0.1, 0.01}


def test_a_point_without_a_configuration_fails_alone(searcher: Call, workplace: Path) -> None:
    write("1,a,,1,0.5", "2,a,1,1,0.4", "2,b,1,1,0.3", header="x,kind,y,epoch,val_loss")
    (workplace / "study.toml").write_text(
        'name = "own"\nenqueue = [{ x = 1, kind = "a" }, { x = 1, kind = "b" }]\n'
        '[train]\ntrainer = "replay:curves.csv"\n[space]\nx = [1, 2]\nkind = ["a", "b"]\n'
        "y = { low = 1, high = 1, when = { x = 2 } }\n"
        '[search]\nsampler = "random"\ntrials = 3\npruner = "none"\n[dispatch]\nlauncher = "inprocess"\n'
    )
    assert searcher("run", "study.toml", "--no-tracking").code == 0
    first, second, *_ = load_study("own", STORE).results()
    assert str(first.outcome) == "completed" and str(second.outcome) == "failed"
    assert "has no configuration with x = 1, kind = b without y" in second.reason


def test_a_record_of_replayed_trials_agrees_and_holds_no_earlier_ones(
    searcher: Call, workplace: Path
) -> None:
    (workplace / "curves.csv").write_text(block("csv"))
    text = block("toml").replace("trials = 12", "trials = 4") + '[dispatch]\nlauncher = "inprocess"\n'
    for name in ("first", "second"):
        (workplace / f"{name}.toml").write_text(text.replace('"replayed"', f'"{name}"'))
    assert searcher("run", "first.toml", "--no-tracking").code == 0
    uri = ("--tracking-uri", f"sqlite:///{workplace / 'mlflow.db'}")
    said = searcher("run", "second.toml", "--from", "first", *uri)
    assert said.code == 0, said.err
    assert "4 of 4 finished trials of study 'first' guide the sampler" in said.out + said.err
    assert searcher("verify", "second", *uri).code == 0
    client = MlflowClient(uri[1])
    experiment = client.get_experiment_by_name("second")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    names = sorted(run.info.run_name for run in runs)
    assert [name[:5] for name in names if name.startswith("t0")] == [f"t000{n}" for n in range(4)]
    assert len(runs) == 5
